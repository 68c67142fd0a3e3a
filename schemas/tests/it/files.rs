//! Findings about files and how they fit together.

use insta::assert_snapshot;

use crate::memory_files::MemoryFiles;
use crate::rendering::findings;
use crate::rendering::findings_for;
use crate::rendering::findings_in;

#[test]
fn a_project_without_a_definition_is_told_what_is_missing() {
    assert_snapshot!(findings_in(&MemoryFiles::new()), @r#"
    L0001 liminal.yml does not exist
      hint: a project is a folder with this file in it; `liminal init` makes one
    "#);
}

#[test]
fn a_parent_or_included_file_that_is_missing_is_named_at_its_reference() {
    assert_snapshot!(findings(r#"
project: p
extends: base.yml
include: [pipelines/train.yml]
pipelines: {p: {steps: {s: {run: [echo]}}}}
"#), @r#"
    liminal.yml:3:10 L0001 base.yml does not exist
      hint: paths are relative to the project folder
    liminal.yml:4:11 L0001 pipelines/train.yml does not exist
      hint: paths are relative to the project folder
    "#);
}

#[test]
fn a_pattern_that_matches_nothing_is_a_warning() {
    assert_snapshot!(findings(r#"
project: p
include: [pipelines/*.yml]
pipelines: {p: {steps: {s: {run: [echo]}}}}
"#), @r#"
    liminal.yml:3:11 L0001 warning: `pipelines/*.yml` matches no file
      hint: patterns are relative to the project folder
    "#);
}

#[test]
fn definitions_that_extend_each_other_are_named_in_a_circle() {
    assert_snapshot!(findings_in(&MemoryFiles::new().with("liminal.yml", r#"
extends: a.yml
project: p
pipelines: {p: {steps: {s: {run: [echo]}}}}
"#).with("a.yml", r#"extends: b.yml
"#).with("b.yml", r#"extends: a.yml
"#)), @r#"
    b.yml:1:10 L0006 definitions extend each other: a.yml → b.yml → a.yml
      here: comes round to itself
      hint: leave out one `extends:`; put what they share into a file that extends nothing
    "#);
}

#[test]
fn a_pipeline_in_two_files_names_both_places() {
    assert_snapshot!(findings_in(&MemoryFiles::new().with("liminal.yml", r#"
project: p
include: [a.yml, b.yml]
"#).with("a.yml", r#"pipelines: {p: {steps: {s: {run: [echo]}}}}
"#).with("b.yml", r#"pipelines: {p: {steps: {s: {run: [echo]}}}}
"#)), @r#"
    b.yml:1:13 L0005 pipeline `p` is defined in a.yml and in b.yml
      here: again here
      a.yml:1:13: first here
      hint: rename one of them, or leave one out
    "#);
}

#[test]
fn an_included_file_holds_nothing_but_pipelines() {
    assert_snapshot!(findings_in(&MemoryFiles::new().with("liminal.yml", r#"
project: p
include: [a.yml]
"#).with("a.yml", r#"
pipelines: {p: {steps: {s: {run: [echo]}}}}
params: {a: 1}
"#)), @r#"
    a.yml:3:1 L0201 an included file has no key `params`
      hint: known keys: pipelines
    "#);
}

#[test]
fn paths_of_definition_files_stay_inside_the_project() {
    assert_snapshot!(findings(r#"
project: p
extends: ../base.yml
include: [/etc/*.yml, 'a\b.yml']
pipelines: {p: {steps: {s: {run: [echo]}}}}
"#), @r#"
    liminal.yml:3:10 L0502 the path of a definition file has `..` in it
      hint: write a path relative to the project folder, with `/` between its parts
    liminal.yml:4:11 L0502 the path of a definition file is absolute
      hint: write a path relative to the project folder, with `/` between its parts
    liminal.yml:4:23 L0502 the path of a definition file has a backslash
      hint: write a path relative to the project folder, with `/` between its parts
    "#);
}

#[test]
fn a_broken_file_does_not_hide_what_is_wrong_with_the_others() {
    assert_snapshot!(findings_in(&MemoryFiles::new().with("liminal.yml", r#"
project: p
include: [a.yml, b.yml]
owner: [x]
"#).with("a.yml", r#"
pipelines:
  a: [
"#).with("b.yml", r#"pipelines: {b: {steps: {s: {rum: x}}}}
"#)), @r"
    a.yml:4:1 L0101 this is no YAML: while parsing a node, did not find expected node content
      hint: check the indentation, quotes and brackets here and in the line above
    b.yml:1:25 L0206 step `s` has no way to execute
      here: nothing says what it does
      hint: give it one of run, call, gate, register, pipeline
    b.yml:1:29 L0201 a step has no key `rum`
      here: did you mean `run`?
      hint: known keys: phase, description, run, call, gate, register, pipeline, params, code, inputs, outputs, metrics, plots, map, after, when, retries, timeout, resources, compute, image, cache, env, python
    liminal.yml:4:8 L0203 a text is needed for the owner, not a list
    ");
}

#[test]
fn an_environment_that_does_not_exist_gets_a_suggestion() {
    assert_snapshot!(findings_for("stagign", &MemoryFiles::new().with("liminal.yml", r#"
project: p
environments:
  staging: {}
pipelines: {p: {steps: {s: {run: [echo]}}}}
"#)), @r#"
    liminal.yml:4:3 L0208 there is no environment `stagign`
      hint: did you mean `staging`?
      hint: known environments: local, staging
    "#);
}

#[test]
fn all_environments_are_checked_whichever_is_chosen() {
    assert_snapshot!(findings(r#"
project: p
params: {rate: {type: float, default: 0.5, max: 1}}
environments:
  local: {keep: many}
  staging:
    platform: aws
    regionn: eu
    params: {rate: 2}
    pipelines: {p: {steps: {s: {timeout: soon}}}}
pipelines: {p: {steps: {s: {run: [echo]}}}}
"#), @"
    liminal.yml:5:17 L0203 a whole number is needed for the number of retired releases kept, not a text
    liminal.yml:6:3 L0202 the environment `staging` is on AWS, and needs the key `region`
      here: `region` is missing
      hint: write it as AWS does: `region: eu-central-1`
    liminal.yml:8:5 L0201 an environment has no key `regionn`
      here: did you mean `region`?
      hint: known keys: platform, branch, protected, template, ttl, canary, region, account, bucket, arch, log_retention, fargate, owner, python, params, secrets, env, defaults, keep, policies, pipelines
    liminal.yml:9:20 L0304 the default of parameter `rate` is not allowed: 2.0 is above the maximum of 1
    liminal.yml:10:42 L0205 the timeout can not be read
      hint: write a number and a unit: 500ms, 30s, 5m, 2h, 1d
    ");
}
