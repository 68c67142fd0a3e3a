//! Input that is broken on purpose or by accident: refused with a place and a hint, in bounded time and memory.

use std::fmt::Write as _;

use liminal_schemas::definition::json_schema;
use liminal_schemas::definition::load;
use liminal_schemas::definition::read::read;
use liminal_schemas::definition::yaml::MAX_FILE_BYTES;
use liminal_schemas::files::RefusedFile;
use liminal_schemas::finding::Code;
use liminal_schemas::finding::Finding;
use liminal_schemas::finding::Report;
use liminal_schemas::name::EnvironmentName;
use proptest::prelude::*;

use crate::memory_files::MemoryFiles;
use crate::rendering::findings;
use crate::rendering::findings_in;

/// The first finding in a definition of one file.
fn first(yaml: impl AsRef<[u8]>) -> Finding {
    let (definition, report) = read(&MemoryFiles::new().with("liminal.yml", yaml), "liminal.yml", None);
    assert!(definition.is_none(), "refused");
    report.findings.into_iter().next().expect("a finding")
}

#[test]
fn nesting_is_refused_in_every_shape() {
    let flow = |opening: &str| format!("a: {}", opening.repeat(100_000));
    let blocks: String = (0..200).fold(String::new(), |mut text, depth| {
        writeln!(text, "{}a:", " ".repeat(depth)).expect("a string takes all");
        text
    });
    for yaml in
        [flow("["), flow("{"), flow("[{a: "), "- ".repeat(100_000), "? ".repeat(100_000), blocks, "[".repeat(100_000)]
    {
        let finding = first(&yaml);
        assert_eq!(finding.code, Code::YamlTooDeep, "{}", finding.message);
        assert!(finding.span.is_some() && !finding.hints.is_empty());
    }
}

#[test]
fn nesting_up_to_the_limit_is_read() {
    let nested = |depth: usize| {
        format!(
            "project: p\nparams: {{a: {}{}}}\npipelines: {{p: {{steps: {{s: {{run: [x]}}}}}}}}",
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    assert_eq!(findings(nested(62)), "");
    assert!(findings(nested(63)).contains("L0102"));
}

#[test]
fn size_is_refused_before_anything_is_parsed() {
    let fits = "#".repeat(MAX_FILE_BYTES);
    assert_ne!(first(&fits).code, Code::FileTooLarge);
    insta::assert_snapshot!(findings("#".repeat(MAX_FILE_BYTES + 1)), @r#"
    L0003 liminal.yml has 1048577 bytes, more than the 1048576 that are read
      hint: spread the pipelines over several files with `include:`
    "#);
    insta::assert_snapshot!(findings("- a\n".repeat(MAX_FILE_BYTES / 4)), @r#"
    liminal.yml:99998:3 L0003 the file has more than 100000 keys and values
      here: too many from here on
      hint: spread the pipelines over several files with `include:`
    "#);
}

#[test]
fn what_is_no_text_is_refused_with_its_offset() {
    insta::assert_snapshot!(findings(b"project: p\nowner: \xff\n"), @r#"
    L0004 liminal.yml is not UTF-8 from byte 18 on, in line 2
      hint: save the file as UTF-8
    "#);
}

#[test]
fn refused_files_are_named_where_they_are_asked_for() {
    let files = MemoryFiles::new()
        .with(
            "liminal.yml",
            "project: p\nextends: link.yml\ninclude: [more/*.yml]\npipelines: {p: {steps: {s: {run: [x]}}}}\n",
        )
        .refusing("link.yml", RefusedFile::Symlink)
        .refusing("more/module", RefusedFile::Submodule);
    insta::assert_snapshot!(findings_in(&files), @r#"
    liminal.yml:2:10 L0002 link.yml is not used: it is a symbolic link, and links are not followed
      hint: put a regular file there
    liminal.yml:3:11 L0002 more/module is not used: it is a git submodule, and submodules are not read
    "#);
}

#[test]
fn a_chain_of_parents_has_an_end() {
    let mut files = MemoryFiles::new().with("liminal.yml", "project: p\nextends: p0.yml\n");
    for parent in 0..20 {
        files = files.with(&format!("p{parent}.yml"), format!("extends: p{}.yml\n", parent + 1));
    }
    insta::assert_snapshot!(findings_in(&files), @r#"
    liminal.yml:1:1 L0202 the project has no pipelines
      hint: give it one under `pipelines:`, or name files that have some under `include:`
    p7.yml:1:10 L0006 the chain of `extends` is longer than 8
    "#);
}

#[test]
fn a_flood_of_problems_is_cut_off() {
    let mut keys = String::from("project: p\n");
    for key in 0..30_000 {
        writeln!(keys, "unknown{key}: x").expect("a string takes all");
    }
    let (_, report) = read(&MemoryFiles::new().with("liminal.yml", keys), "liminal.yml", None);
    assert!((100..=200).contains(&report.findings.len()));
    let (_, report) = read(&MemoryFiles::new().with("liminal.yml", "a: b\n".repeat(30_000)), "liminal.yml", None);
    assert!((50..=200).contains(&report.findings.len()));
}

#[test]
fn a_pipeline_has_no_more_than_a_thousand_steps() {
    let pipeline = |steps: usize| {
        let mut text = String::from("project: p\npipelines:\n  p:\n    steps:\n");
        for step in 0..steps {
            writeln!(text, "      s{step}: {{run: [x]}}").expect("a string takes all");
        }
        text
    };
    assert_eq!(findings(pipeline(1000)), "");
    insta::assert_snapshot!(findings(pipeline(1001)), @r#"
    liminal.yml:5:7 L0205 the pipeline has 1001 steps, more than 1000
    "#);
}

/// Every place must lie in its file, or nobody can be shown it.
fn assert_places_exist(report: &Report) {
    for finding in &report.findings {
        for span in finding.span.iter().chain(finding.related.as_ref().map(|(span, _)| span)) {
            let text = &report.sources[&*span.file];
            assert!(text.get(span.start..span.end).is_some(), "{finding:?}");
        }
    }
}

#[test]
fn definitions_of_apache_liminal_get_clear_findings() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    for entry in std::fs::read_dir(corpus).expect("the corpus") {
        let path = entry.expect("a file").path();
        let text = std::fs::read_to_string(&path).expect("text");
        let (_, report) = read(&MemoryFiles::new().with("liminal.yml", text), "liminal.yml", None);
        assert!(report.has_errors());
        assert_places_exist(&report);
        let hints = report.findings.iter().flat_map(|finding| &finding.hints);
        assert!(hints.filter(|hint| hint.contains("Apache Liminal")).count() > 0, "{}", path.display());
    }
}

#[test]
fn an_apache_liminal_definition_is_led_to_ours() {
    let yaml = "name: Old\nowner: Bosco\nvariables: {a: b}\nimages: []\npipelines:\n  - pipeline: old\n    schedule: 0 * 1 * *\n    tasks:\n      - task: t\n        type: python\n";
    insta::assert_snapshot!(findings(yaml), @"
    liminal.yml:1:1 L0201 a project has no key `name`
      hint: use `project:` for the name of a project; pipelines and steps are named by their keys
      hint: known keys: project, owner, description, extends, include, environments, python, params, secrets, env, defaults, keep, policies, pipelines
    liminal.yml:1:1 L0202 a project needs the key `project`
      here: `project` is missing
      hint: this looks like an Apache Liminal definition: here `name` is `project`, `pipelines` is a map from name to pipeline, `tasks` are `steps`, `cmd` is `run`, `env_vars` is `env`
    liminal.yml:3:1 L0201 a project has no key `variables`
      hint: use `params:`
      hint: known keys: project, owner, description, extends, include, environments, python, params, secrets, env, defaults, keep, policies, pipelines
    liminal.yml:4:1 L0201 a project has no key `images`
      hint: liminal builds no images: a step names what it needs under `python:` and `code:`, or a finished `image:`
      hint: known keys: project, owner, description, extends, include, environments, python, params, secrets, env, defaults, keep, policies, pipelines
    liminal.yml:6:3 L0203 a map is needed for the pipelines, not a list
      hint: this looks like an Apache Liminal definition: lists of named things are maps here, as in `train: {...}`
    ");
    let half_way = "project: new\npipelines:\n  old:\n    schedule: 0 * 1 * *\n    tasks: {t: {type: python, image: x, executors: 2, cmd: python x.py, env_vars: {A: b}}}\n    steps: {t: {task: t, type: python, image: x, executors: 2, cmd: python x.py, env_vars: {A: b}}}\n";
    insta::assert_snapshot!(findings(half_way), @r#"
    liminal.yml:4:5 L0201 a pipeline has no key `schedule`
      hint: write it in a pipeline, under `triggers:`: `triggers: [{schedule: "cron(0 6 * * ? *)"}]`
      hint: known keys: description, owner, params, env, python, defaults, inputs, outputs, triggers, deadline, overlap, max_concurrent_runs, steps, finally
    liminal.yml:5:5 L0201 a pipeline has no key `tasks`
      hint: this looks like an Apache Liminal definition: `tasks` are `steps` here, a map from name to step
      hint: known keys: description, owner, params, env, python, defaults, inputs, outputs, triggers, deadline, overlap, max_concurrent_runs, steps, finally
    liminal.yml:6:13 L0206 step `t` has no way to execute
      here: nothing says what it does
      hint: give it one of run, call, gate, register, pipeline
    liminal.yml:6:17 L0201 a step has no key `task`
      hint: this looks like an Apache Liminal definition: a step's name is its key under `steps:`
      hint: known keys: phase, description, run, call, gate, register, pipeline, params, code, inputs, outputs, metrics, plots, map, after, when, retries, timeout, resources, compute, image, cache, env, python
    liminal.yml:6:26 L0201 a step has no key `type`
      hint: this looks like an Apache Liminal definition: a step runs by `run:`, `call:`, `gate:`, `register:` or `pipeline:` alone
      hint: known keys: phase, description, run, call, gate, register, pipeline, params, code, inputs, outputs, metrics, plots, map, after, when, retries, timeout, resources, compute, image, cache, env, python
    liminal.yml:6:50 L0201 a step has no key `executors`
      hint: this looks like an Apache Liminal definition: a step runs by `run:`, `call:`, `gate:`, `register:` or `pipeline:` alone
      hint: known keys: phase, description, run, call, gate, register, pipeline, params, code, inputs, outputs, metrics, plots, map, after, when, retries, timeout, resources, compute, image, cache, env, python
    liminal.yml:6:64 L0201 a step has no key `cmd`
      hint: use `run:`, with the program and its arguments
      hint: known keys: phase, description, run, call, gate, register, pipeline, params, code, inputs, outputs, metrics, plots, map, after, when, retries, timeout, resources, compute, image, cache, env, python
    liminal.yml:6:82 L0201 a step has no key `env_vars`
      hint: use `env:`
      hint: known keys: phase, description, run, call, gate, register, pipeline, params, code, inputs, outputs, metrics, plots, map, after, when, retries, timeout, resources, compute, image, cache, env, python
    "#);
}

/// Definitions, as texts to spoil: an example, and one with every key.
const EXAMPLES: [&str; 2] = [include_str!("../../../examples/breast-cancer/liminal.yml"), crate::reading::EVERYTHING];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_reading_fail(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let (_, report) = read(&MemoryFiles::new().with("liminal.yml", bytes), "liminal.yml", None);
        assert_places_exist(&report);
    }

    #[test]
    fn no_yaml_like_text_makes_reading_fail(text in "[-:?#&*!|>%@`'\"{}\\[\\], \n\ta-cé{1}<~0.]{0,300}") {
        let (_, report) = read(&MemoryFiles::new().with("liminal.yml", text), "liminal.yml", None);
        assert_places_exist(&report);
    }

    #[test]
    fn no_spoiled_example_makes_reading_fail(
        example in prop::sample::select(EXAMPLES.to_vec()),
        environment in prop::sample::select(vec!["local", "staging", "prod"]),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..30, "[-:#&*!|>'\"{}\\[\\], \né0a<]{0,6}"), 1..6)
    ) {
        let mut text: Vec<char> = example.chars().collect();
        for (at, length, insert) in edits {
            let at = at.index(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, insert.chars());
        }
        let text: String = text.into_iter().collect();
        let files = MemoryFiles::new().with("liminal.yml", text).with("requirements.txt", "");
        let environment = EnvironmentName::new(environment).expect("a valid name");
        match load(&files, "liminal.yml", Some(&environment)) {
            Ok(loaded) => assert_places_exist(&loaded.report),
            Err(report) => assert_places_exist(&report),
        }
    }
}

#[test]
fn names_of_schemas_are_those_of_their_documents() {
    assert_eq!(json_schema::names().next(), Some("definition"));
    assert_eq!(json_schema::schema("nothing"), None);
}
