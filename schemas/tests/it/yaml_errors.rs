//! Findings about the YAML itself.

use insta::assert_snapshot;

use crate::rendering::findings;

#[test]
fn a_syntax_error_has_its_place() {
    assert_snapshot!(findings(r#"
project: p
pipelines:
  p: {steps: [
"#), @r#"
    liminal.yml:5:1 L0101 this is no YAML: while parsing a node, did not find expected node content
      hint: check the indentation, quotes and brackets here and in the line above
    "#);
}

#[test]
fn a_tab_in_the_indentation_is_named() {
    assert_snapshot!(findings(r#"
project: p
pipelines:
	p: 1
"#), @r#"
    liminal.yml:4:2 L0101 this is no YAML: tabs disallowed within this context (block indentation)
      hint: indent with spaces: tabs are not allowed there
    "#);
}

#[test]
fn a_template_at_the_start_of_a_value_needs_quotes() {
    assert_snapshot!(findings(r#"
project: p
env:
  A: {{ params.x }} y
"#), @r#"
    liminal.yml:4:7 L0101 a text that begins with `{{` needs quotes
      hint: write "{{ params.name }}", with the quotes
    liminal.yml:4:21 L0101 this is no YAML: while parsing a block mapping, did not find expected key
      hint: write "{{ params.name }}", with the quotes
    "#);
}

#[test]
fn an_alias_bomb_is_refused_by_its_anchors() {
    assert_snapshot!(findings(r#"
a: &a [x, x]
b: &b [*a, *a]
c: [*b, *b]
"#), @"
    liminal.yml:2:1 L0201 a project has no key `a`
      hint: known keys: project, owner, description, extends, include, environments, python, params, secrets, env, defaults, keep, policies, pipelines
    liminal.yml:2:1 L0202 a project needs the key `project`
      here: `project` is missing
    liminal.yml:2:4 L0103 anchors (`&name`) are not used in definitions
      hint: put what steps share under `defaults:` or `params:`
    liminal.yml:3:1 L0201 a project has no key `b`
      hint: known keys: project, owner, description, extends, include, environments, python, params, secrets, env, defaults, keep, policies, pipelines
    liminal.yml:3:4 L0103 anchors (`&name`) are not used in definitions
      hint: put what steps share under `defaults:` or `params:`
    liminal.yml:3:8 L0103 aliases (`*name`) are not used in definitions
      hint: write the value out, or put what steps share under `defaults:` or `params:`
    liminal.yml:3:12 L0103 aliases (`*name`) are not used in definitions
      hint: write the value out, or put what steps share under `defaults:` or `params:`
    liminal.yml:4:1 L0201 a project has no key `c`
      hint: known keys: project, owner, description, extends, include, environments, python, params, secrets, env, defaults, keep, policies, pipelines
    liminal.yml:4:5 L0103 aliases (`*name`) are not used in definitions
      hint: write the value out, or put what steps share under `defaults:` or `params:`
    liminal.yml:4:9 L0103 aliases (`*name`) are not used in definitions
      hint: write the value out, or put what steps share under `defaults:` or `params:`
    ");
}

#[test]
fn merge_keys_and_tags_are_refused() {
    assert_snapshot!(findings(r#"
project: p
env:
  <<: {A: b}
  B: !secret c
  C: !!str 1
pipelines: {p: {steps: {s: {run: [echo]}}}}
"#), @r#"
    liminal.yml:4:3 L0103 merge keys (`<<`) are not used in definitions
      hint: write the keys out, put them under `defaults:`, or use `extends:`
    liminal.yml:5:6 L0103 tags (`!name`) are not used in definitions
      hint: leave the tag out; put a text that looks like a number into quotes
    liminal.yml:6:6 L0103 tags (`!name`) are not used in definitions
      hint: leave the tag out; put a text that looks like a number into quotes
    "#);
}

#[test]
fn a_key_that_is_written_twice_names_both_places() {
    assert_snapshot!(findings(r#"
project: p
env:
  A: b
  A: c
pipelines: {p: {steps: {s: {run: [echo]}}}}
"#), @r#"
    liminal.yml:5:3 L0104 the key `A` is written twice
      here: again here
      liminal.yml:4:3: first here
      hint: keep one of them
    "#);
}

#[test]
fn numbers_that_are_no_numbers_are_refused() {
    assert_snapshot!(findings(r#"
project: p
params: {a: .nan, b: -.inf, c: 99999999999999999999}
pipelines: {p: {steps: {s: {run: [echo]}}}}
"#), @r#"
    liminal.yml:3:13 L0205 .nan is no finite number
      hint: leave the value out, or put it into quotes
    liminal.yml:3:22 L0205 -.inf is no finite number
      hint: leave the value out, or put it into quotes
    liminal.yml:3:32 L0205 99999999999999999999 does not fit into 64 bits
      hint: if it is text, put it into quotes
    "#);
}

#[test]
fn keys_are_text() {
    assert_snapshot!(findings(r#"
project: p
params:
  1: x
  true: y
  [a]: z
  ? {b: c}
  : d
pipelines: {p: {steps: {s: {run: [echo]}}}}
"#), @r#"
    liminal.yml:4:3 L0203 the key 1 is no text
      hint: put the key into quotes
    liminal.yml:5:3 L0203 the key true is no text
      hint: put the key into quotes
    liminal.yml:6:3 L0203 a list is no key
      hint: only text can be a key
    liminal.yml:7:5 L0203 a map is no key
      hint: only text can be a key
    "#);
}

#[test]
fn a_second_document_is_refused() {
    assert_snapshot!(findings(r#"
project: p
pipelines: {p: {steps: {s: {run: [echo]}}}}
---
more: 1
"#), @r#"
    liminal.yml:4:1 L0101 a second document begins here
      hint: put it into a file of its own and `include:` that
    "#);
}

#[test]
fn an_empty_file_is_told_what_is_expected() {
    assert_snapshot!(findings(r#"# nothing
"#), @"
    liminal.yml:1:1 L0203 liminal.yml is empty
      hint: a definition is a map with the keys project, owner, description, extends, include, environments, python, params, secrets, env, defaults, keep, policies, pipelines
    ");
}

#[test]
fn a_definition_is_a_map() {
    assert_snapshot!(findings(r#"- project
"#), @r#"
    liminal.yml:1:1 L0203 a map is needed for a definition, not a list
    "#);
}

#[test]
fn places_count_characters_not_bytes() {
    assert_snapshot!(findings(r#"
project: p # äöü€𝄞
"ключ": x
pipelines: {p: {steps: {s: {run: [echo]}}}}
"#), @"
    liminal.yml:3:1 L0201 a project has no key `ключ`
      hint: known keys: project, owner, description, extends, include, environments, python, params, secrets, env, defaults, keep, policies, pipelines
    ");
}
