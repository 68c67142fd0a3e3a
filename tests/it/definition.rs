//! `validate` on good and bad definitions.

use std::time::Duration;
use std::time::Instant;

use crate::harness::Project;

#[test]
fn five_mistakes_are_reported_at_once_with_their_places() {
    let project = Project::new(
        "project: Demo!\n\
         pipelines:\n\
         \x20 train:\n\
         \x20   stpes: {}\n\
         \x20   steps:\n\
         \x20     fetch:\n\
         \x20       run: [\"true\"]\n\
         \x20       outputs: {raw: ../raw.csv}\n\
         \x20     fit:\n\
         \x20       run: [\"true\"]\n\
         \x20       inputs: {data: fetch.rwa}\n\
         \x20       timeout: soon\n",
    );
    let outcome = project.liminal(&["validate"]).exits(1);
    for place in ["liminal.yml:1:", "liminal.yml:4:", "liminal.yml:8:", "liminal.yml:11:", "liminal.yml:12:"] {
        assert!(outcome.stderr.contains(place), "{place} is named:\n{}", outcome.stderr);
    }
    let outcome = outcome.says("did you mean").says("error[L");
    let report = project.liminal(&["validate", "-o", "json"]).exits(1);
    let json: serde_json::Value = serde_json::from_str(&report.stdout).expect("JSON");
    let lines: Vec<u64> =
        json["findings"].as_array().expect("a list").iter().filter_map(|finding| finding["line"].as_u64()).collect();
    assert_eq!(lines, [1, 4, 8, 11, 12], "{}", outcome.stderr);
}

#[test]
fn a_valid_definition_is_said_to_be_so() {
    let project = Project::copy_of("examples/breast-cancer");
    let text = project.ok(&["validate"]);
    insta::assert_snapshot!(text, @"liminal.yml is valid: project breast-cancer, environment local, 2 pipelines, 10 steps.");
}

#[test]
fn hostile_definitions_are_refused_quickly_and_by_name() {
    let bomb = (0..9).fold("a0: &a0 [x, x]\n".to_owned(), |text, level| {
        format!("{text}a{next}: &a{next} [*a{level}, *a{level}, *a{level}, *a{level}]\n", next = level + 1)
    });
    let cases: Vec<(&str, String)> = vec![
        ("alias bomb", bomb),
        ("deep brackets", "[".repeat(100_000)),
        ("deep braces", format!("project: {}", "{a: ".repeat(100_000))),
        ("duplicate key", "project: a\nproject: b\npipelines: {}\n".to_owned()),
        ("merge key", "project: a\npipelines:\n  <<: {}\n".to_owned()),
        ("tag", "project: !!binary aGk=\npipelines: {}\n".to_owned()),
        ("not a number", "project: a\nparams: {x: .nan}\npipelines: {}\n".to_owned()),
        ("large file", format!("project: a\n# {}\n", "x".repeat(2 << 20))),
        ("self edge", "project: a\npipelines: {p: {steps: {s: {run: [\"true\"], after: [s]}}}}\n".to_owned()),
        ("unknown field", "project: a\npipelnes: {}\n".to_owned()),
        ("shell in a name", "project: a\npipelines: {\"a;rm -rf\": {steps: {s: {run: [\"true\"]}}}}\n".to_owned()),
        (
            "long name",
            format!("project: a\npipelines: {{{}: {{steps: {{s: {{run: [\"true\"]}}}}}}}}\n", "x".repeat(300)),
        ),
        ("path out", "project: a\npipelines: {p: {steps: {s: {run: [\"true\"], outputs: {o: ../x}}}}}\n".to_owned()),
        ("empty", String::new()),
        ("binary", "\u{0}\u{1}\u{2}".to_owned()),
    ];
    for (name, definition) in cases {
        let project = Project::new(&definition);
        let start = Instant::now();
        let outcome = project.liminal(&["validate"]).exits(1);
        assert!(start.elapsed() < Duration::from_secs(5), "{name} is refused without a hang");
        assert!(outcome.stderr.contains("error["), "{name} has a code:\n{}", outcome.stderr);
        assert!(outcome.stderr.contains("liminal.yml"), "{name} has a place:\n{}", outcome.stderr);
        assert!(!outcome.stderr.contains("panicked"), "{name} never panics:\n{}", outcome.stderr);
    }
}

#[test]
fn a_definition_that_is_not_utf8_is_refused() {
    let project = Project::empty();
    project.write("liminal.yml", b"project: \xff\xfe\n");
    let _ = project.liminal(&["validate"]).exits(1).says("L0004");
}

#[test]
fn schemas_are_printed_and_error_codes_explained() {
    let project = Project::empty();
    let schema = project.json(&["schema"]);
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let page = project.ok(&["explain", "L0201"]);
    assert!(page.starts_with("# L0201"), "{page}");
    let _ = project.liminal(&["explain", "L9999"]).exits(64).says("no error code");
}
