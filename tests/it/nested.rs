//! Pipelines in pipelines: run here and on AWS, shown, planned, and taken up again.

use liminal_emulators::shared_ministack;

use crate::aws;
use crate::harness::Project;

const PIPELINES: &str = "  \
  train:
    params: {words: 3, full: true}
    steps:
      fetch:
        run: [sh, -c, 'seq 1 \"$1\" > \"$2\"', sh, \"{{ params.words }}\", \"{{ outputs.rows }}\"]
        outputs: {rows: rows.txt}
      features:
        pipeline: features
        inputs: {rows: fetch.rows}
        params: {times: 2, mode: exact}
        when: params.full
      fit:
        run: [sh, -c, 'cat \"$1\"/* > \"$2\"', sh, \"{{ inputs.table }}\", \"{{ outputs.model }}\"]
        inputs: {table: features.table}
        outputs: {model: model.txt}
      good: {gate: metrics.features.rows == params.words * 2}
      last: {run: [echo, done], after: [features]}
  features:
    params: {times: 1, mode: fast}
    inputs: {rows: file}
    outputs: {table: split.parts, metrics: double.metrics}
    env: {MODE: \"{{ params.mode }}\"}
    steps:
      double:
        run: [sh, -c, 'for i in $(seq 1 \"$4\"); do cat \"$1\"; done > \"$2\"; echo \"{\\\"rows\\\": $(wc -l < \"$2\")}\" > \"$3\"; echo \"$LIMINAL_STEP in $MODE\"', sh, \"{{ inputs.rows }}\", \"{{ outputs.rows }}\", \"{{ outputs.metrics }}\", \"{{ params.times }}\"]
        inputs: {rows: inputs.rows}
        outputs: {rows: twice.txt}
        metrics: metrics.json
      enough: {gate: metrics.double.rows > params.times}
      split: {pipeline: split, inputs: {rows: double.rows}, after: [enough]}
    finally:
      sweep: {run: [sh, -c, 'echo swept after $LIMINAL_RUN_STATUS']}
  split:
    inputs: {rows: file}
    outputs: {parts: each.part}
    steps:
      cut:
        run: [sh, -c, 'mkdir -p \"$2\"; split -l 2 \"$1\" \"$2/part-\"', sh, \"{{ inputs.rows }}\", \"{{ outputs.parts }}\"]
        inputs: {rows: inputs.rows}
        outputs: {parts: parts/}
      each:
        map: cut.parts
        run: [sh, -c, 'sort -r \"$1\" > \"$2\"', sh, \"{{ inputs.item }}\", \"{{ outputs.part }}\"]
        outputs: {part: part.txt}
";

#[test]
fn a_step_that_is_a_pipeline_runs_as_steps_of_its_own() {
    let project = Project::new(&format!("project: nested\npipelines:\n{PIPELINES}"));
    let plan = project.ok(&["plan"]);
    insta::assert_snapshot!(plan.split("Resources").next().unwrap_or_default(), @r#"
    Plan for nested, environment local

    + train  new, 9 steps, 15c69599
        + fetch                run sh -c seq 1 "$1" > "$2" sh {{ params.words }} {{ outputs.rows }}
        + features/double      run sh -c for i in $(seq 1 "$4"); do cat "$1"; done > "$2"; echo "{\"row…
        + features/enough      gate metrics.double.rows > params.times
        + features/split/cut   run sh -c mkdir -p "$2"; split -l 2 "$1" "$2/part-" sh {{ inputs.rows }}…
        + features/split/each  run sh -c sort -r "$1" > "$2" sh {{ inputs.item }} {{ outputs.part }}
        + fit                  run sh -c cat "$1"/* > "$2" sh {{ inputs.table }} {{ outputs.model }}
        + good                 gate metrics.features.rows == params.words * 2
        + last                 run echo done
        + features/sweep       run sh -c echo swept after $LIMINAL_RUN_STATUS

        What is skipped
          features  all 5 steps, unless params.full
          fit       with features/split/each, whose part it needs
          good      with features/double, whose metrics it needs
          last      not with features/split/each: it only comes after

        The next run: all 9 steps, for the first time

    Plan: 1 to create, 0 to update, 0 to delete.
    "#);
    let _ = project.liminal(&["run", "train"]).exits(0).prints("features/split/each").prints("succeeded");
    assert_eq!(project.ok(&["artifacts", "cat", "fit.model"]), "2\n1\n3\n1\n3\n2\n");
    let _ = project.liminal(&["logs", "features/double"]).exits(0).prints("features/double in exact");
    let _ = project.liminal(&["logs", "features/sweep"]).exits(0).prints("swept after succeeded");
    let _ = project.liminal(&["run", "train"]).exits(0).prints("cached");
    let _ = project.liminal(&["why", "features/double"]).exits(0).prints("takes features/double from the cache");
    let _ =
        project.liminal(&["lineage", "fit.model"]).exits(0).prints("step features/split/cut").prints("params.times");
    let _ = project.liminal(&["run", "train", "--fresh", "features/double"]).exits(0);
    let _ = project.liminal(&["run", "train", "--from", "features/split/cut"]).exits(0);
    let status = project.json(&["status", "-o", "json"]);
    assert_eq!(status["commits"]["features/double"]["status"], "cached", "{status}");
    assert_eq!(status["commits"]["features/split/cut"]["status"], "succeeded");
    let whole = project.json(&["run", "train", "--from", "features", "-o", "json"]);
    assert_eq!(whole["commits"]["features/double"]["status"], "succeeded", "the name of a pipeline is all its steps");
    assert_eq!(whole["commits"]["fetch"]["status"], "cached");
    let _ = project.liminal(&["logs", "features"]).exits(0).prints("features/double").prints("features/sweep");
    let _ = project.liminal(&["run", "train", "--set", "words=4"]).exits(0);
    let _ = project.liminal(&["why", "features/double"]).exits(0).prints("inputs.rows");
    let _ = project.liminal(&["run", "train", "--set", "full=false"]).exits(0);
    let status = project.json(&["status", "-o", "json"]);
    let skipped = [
        "features/double",
        "features/enough",
        "features/split/cut",
        "features/split/each",
        "features/sweep",
        "fit",
        "good",
    ];
    for step in skipped {
        assert_eq!(status["commits"][step]["status"], "skipped", "{step}: {status}");
    }
    assert_ne!(status["commits"]["last"]["status"], "skipped", "it only comes after");
    let _ = project.liminal(&["run", "features"]).exits(64);
}

#[test]
fn pipelines_in_pipelines_are_drawn_by_their_full_names() {
    let project = Project::new(&format!("project: nested\npipelines:\n{PIPELINES}"));
    insta::assert_snapshot!(project.ok(&["graph", "train"]), @r#"
    nested/train

                    [fetch]
                       │
                       ↓
               [features/double]
               ┌───────┴──┬───────────┐
               ↓          │           ↓
      [◇ features/enough] │       [◇ good]
               └─────┐    │     ┌─────┘
                     ├────┘     │
                     ↓          │
           [features/split/cut] │
                    ┌┘          │
                    ↓           │
          [features/split/each] │
                ┌───┴────┐      │
                ↓        ↓      │
              [fit]   [last]    │
                └───────┬┘      │
                        ├───────┘
                        ↓
           [features/sweep (finally)]

    STEP                 DOES                              WAITS FOR                         WHEN
    fetch                run sh -c seq 1 "$1" > "$2" sh…
    features/double      run sh -c for i in $(seq 1 "$4"…  fetch                             params.full
    features/enough      gate metrics.double.rows > para…  features/double                   params.full
    features/split/cut   run sh -c mkdir -p "$2"; split…   features/double, features/enough  params.full
    features/split/each  run sh -c sort -r "$1" > "$2" s…  features/split/cut                params.full
    fit                  run sh -c cat "$1"/* > "$2" sh…   features/split/each
    good                 gate metrics.features.rows == p…  features/double
    last                 run echo done                     features/split/each
    features/sweep       run sh -c echo swept after $LIM…  all others                        params.full
    "#);
}

#[test]
fn a_step_of_a_part_that_failed_is_done_again_alone() {
    let broken = PIPELINES.replace("sort -r", "test -e GO && sort -r");
    let project = Project::empty();
    let go = project.join("go");
    project.write(
        "liminal.yml",
        format!("project: nested\npipelines:\n{}", broken.replace("GO", &go.display().to_string())),
    );
    let _ = project.liminal(&["run", "train"]).exits(7).prints("features/split/each");
    let status = project.json(&["status", "-o", "json"]);
    assert_eq!(status["commits"]["features/sweep"]["status"], "succeeded", "it runs whatever came of the others");
    project.write("go", "");
    let _ = project.liminal(&["redrive"]).exits(0);
    let status = project.json(&["status", "-o", "json"]);
    assert_eq!(status["commits"]["features/split/cut"]["status"], "cached", "{status}");
    assert_eq!(status["commits"]["features/split/each"]["status"], "succeeded", "{status}");
}

#[test]
fn pipelines_in_pipelines_leave_on_aws_what_they_leave_here() {
    let emulator = shared_ministack();
    let project = Project::in_git(&aws::definition("demo-nested", PIPELINES));
    let project = aws::with_bucket(project, emulator, "demo-nested");
    let _ = project.commit("first");
    let _ = project.liminal(&["run", "train"]).exits(0);
    let here = project.json(&["status", "-o", "json"]);
    let plan = project.ok(&["plan", "-e", "dev"]);
    assert!(plan.contains("train/features/split/cut"), "{plan}");
    let _ = project.liminal(&["apply", "-y", "-e", "dev"]).exits(0);
    let _ = project.liminal(&["plan", "--detailed-exitcode", "-e", "dev"]).exits(0).prints("No changes");
    let _ = project.liminal(&["run", "train", "-e", "dev"]).exits(0).prints("succeeded");
    let there = project.json(&["status", "-e", "dev", "-o", "json"]);
    assert_eq!(aws::outputs(&there), aws::outputs(&here));
    let _ = project.liminal(&["logs", "features/double", "-e", "dev"]).exits(0).prints("features/double in exact");
    let _ = project.liminal(&["destroy", "-y", "--allow-destroy", "-e", "dev"]);
}
