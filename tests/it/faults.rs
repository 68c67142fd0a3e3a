//! Two at once, and files that something has damaged: a clear error, nothing lost, no hang.

use std::path::PathBuf;

use crate::harness::Outcome;
use crate::harness::Project;
use crate::harness::wait;

const DEFINITION: &str = "\
project: demo
pipelines:
  p:
    steps:
      make:
        run: [sh, -c, 'echo data > \"$1\"', sh, \"{{ outputs.o }}\"]
        outputs: {o: o.txt}
      take:
        run: [cp, \"{{ inputs.d }}\", \"{{ outputs.c }}\"]
        inputs: {d: make.o}
        outputs: {c: c.txt}
";

fn object(project: &Project, prefix: &str) -> PathBuf {
    let root = project.join(".liminal/local/objects").join(prefix);
    let mut open = vec![root];
    while let Some(next) = open.pop() {
        if next.is_file() {
            return next;
        }
        open.extend(std::fs::read_dir(&next).expect("a folder").map(|entry| entry.expect("an entry").path()));
    }
    panic!("there is an object below {prefix}");
}

/// Writes over a file even when it is read-only.
fn damage(path: &PathBuf, content: &[u8]) {
    std::fs::remove_file(path).expect("the file is there");
    std::fs::write(path, content).expect("the file is written");
}

#[test]
fn of_two_applies_at_once_both_end_well_or_one_is_refused_and_the_state_is_whole() {
    for _ in 0..5 {
        let project = Project::new(DEFINITION);
        let args = ["apply", "--auto-approve"];
        let children: Vec<_> = (0..2).map(|_| project.command(&args).spawn().expect("liminal starts")).collect();
        let outcomes: Vec<Outcome> = children.into_iter().map(|child| wait(child, &args)).collect();
        let codes: Vec<Option<i32>> = outcomes.iter().map(|outcome| outcome.code).collect();
        assert!(codes.contains(&Some(0)), "{outcomes:?}");
        for outcome in &outcomes {
            assert!(matches!(outcome.code, Some(0 | 5 | 6)), "{outcome:?}");
        }
        let _ = project.liminal(&["plan", "--detailed-exitcode"]).exits(0);
        let history = project.json(&["history", "-o", "json"]);
        assert_eq!(history.as_array().map(Vec::len), Some(1), "one of them changed something: {history}");
    }
}

#[test]
fn runs_at_once_all_succeed() {
    // Each round begins without a queue, so that its file is made by several processes at once.
    for _ in 0..5 {
        let project = Project::new(DEFINITION);
        let args = ["run", "-o", "json"];
        let children: Vec<_> = (0..3).map(|_| project.command(&args).spawn().expect("liminal starts")).collect();
        for child in children {
            let _ = wait(child, &args).exits(0);
        }
        let runs = project.json(&["runs", "-o", "json"]);
        assert_eq!(runs.as_array().map(Vec::len), Some(3));
    }
}

#[test]
fn a_corrupt_artifact_is_found_before_a_step_reads_it() {
    let project = Project::new(DEFINITION);
    let _ = project.liminal(&["run"]).exits(0);
    damage(&object(&project, "artifacts"), b"dbta\n");
    let outcome = project.liminal(&["run", "--fresh", "take"]).exits(7);
    let all = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(all.contains("artifacts/"), "the key is named:\n{all}");
    // A run that makes everything anew puts it right.
    let _ = project.liminal(&["run", "--no-cache"]).exits(0);
}

#[test]
fn a_truncated_state_is_refused_and_nothing_is_changed() {
    let project = Project::new(DEFINITION);
    let _ = project.liminal(&["apply", "--auto-approve"]).exits(0);
    let path = project.join(".liminal/local/objects/state/local.json");
    let whole = std::fs::read(&path).expect("the state is there");
    std::fs::write(&path, &whole[..whole.len() / 2]).expect("the state is written");
    for args in [&["plan"][..], &["apply", "--auto-approve"], &["state", "list"]] {
        let _ = project.liminal(args).exits(1).says("state/local.json");
    }
    assert_eq!(std::fs::read(&path).expect("the state is there").len(), whole.len() / 2, "nothing is changed");
    std::fs::write(&path, &whole).expect("the state is written");
    let _ = project.liminal(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn a_corrupt_run_record_hides_no_other_run() {
    let project = Project::new(DEFINITION);
    let _ = project.liminal(&["run"]).exits(0);
    let record = object(&project, "runs");
    let run = project.json(&["runs", "-o", "json"])[0]["run"].as_str().expect("an id").to_owned();
    let path = project.join(&format!(".liminal/local/objects/runs/p/{run}/run.json"));
    damage(&path, b"{");
    let _ = project.liminal(&["status", &run]).exits(1).says("run.json");
    let _ = project.liminal(&["run"]).exits(0);
    let _ = project.liminal(&["runs"]).exits(0).says("run.json");
    assert!(record.exists());
}

#[test]
fn a_held_lock_names_its_holder_and_can_be_taken_away() {
    let project = Project::new(DEFINITION);
    let _ = project.liminal(&["apply", "--auto-approve"]).exits(0);
    let lock = project.join(".liminal/local/objects/state/local.lock.json");
    std::fs::write(
        &lock,
        r#"{"schema":1,"holder":{"id":"x","user":"mia","host":"elsewhere","pid":7,"command":"apply","since":"2020-01-01T00:00:00Z","until":"2099-01-01T00:00:00Z"}}"#,
    )
    .expect("the lock is written");
    project.edit("liminal.yml", "o.txt", "p.txt");
    let _ =
        project.liminal(&["apply", "--auto-approve", "--lock-timeout", "0s"]).exits(5).says("mia").says("elsewhere");
    let _ = project.liminal(&["state", "unlock", "--auto-approve"]).exits(0);
    let _ = project.liminal(&["apply", "--auto-approve"]).exits(0);
}
