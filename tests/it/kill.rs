//! Kills at any moment: what is settled stays settled, and a retry finishes the work.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

use crate::harness::Project;
use crate::harness::wait;

const SLOW: &str = "\
project: demo
pipelines:
  p:
    steps:
      first:
        run: [sh, -c, 'echo 1 > \"$1\"', sh, \"{{ outputs.o }}\"]
        outputs: {o: o.txt}
      slow:
        run: [sh, -c, 'sleep 1.5; cat \"$1\" \"$1\" > \"$2\"', sh, \"{{ inputs.d }}\", \"{{ outputs.o }}\"]
        inputs: {d: first.o}
        outputs: {o: o.txt}
      last:
        run: [cp, \"{{ inputs.d }}\", \"{{ outputs.o }}\"]
        inputs: {d: slow.o}
        outputs: {o: o.txt}
";

/// Waits until something is the case.
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what} never came to be");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(name: &str, pid: u32) {
    let status = Command::new("kill").args([&format!("-{name}"), "--", &pid.to_string()]).status();
    assert!(status.expect("kill runs").success());
}

/// Starts a run and waits until its slow step runs.
fn start_slow(project: &Project) -> std::process::Child {
    let child = project.command(&["run"]).spawn().expect("liminal starts");
    let work = project.join(".liminal/local/work");
    until("the slow step", || find(&work, "slow"));
    std::thread::sleep(Duration::from_millis(200));
    child
}

fn find(folder: &std::path::Path, name: &str) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    let is_of = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with(&format!("{name}."));
    entries.flatten().any(|entry| is_of(&entry) || find(&entry.path(), name))
}

fn digests(status: &serde_json::Value) -> BTreeMap<String, String> {
    let commits = status["commits"].as_object().expect("commits");
    commits.iter().map(|(step, commit)| (step.clone(), commit["outputs"].to_string())).collect()
}

#[test]
fn a_run_that_was_killed_is_resumed_and_every_step_is_committed_once() {
    let project = Project::new(SLOW);
    let mut child = start_slow(&project);
    child.kill().expect("the child is ours");
    let _ = child.wait();
    let runs = project.json(&["runs", "-o", "json"]);
    assert_eq!(runs[0]["status"], "interrupted", "{runs}");
    let _ = project.liminal(&["resume"]).exits(0).prints("succeeded");
    let status = project.json(&["status", "-o", "json"]);
    assert_eq!(status["run"]["run"], runs[0]["run"], "it is the same run");
    assert_eq!(status["commits"]["first"]["attempt"], 1);
    assert_eq!(status["commits"]["slow"]["attempt"], 2, "the attempt that was killed counts");
    let other = Project::new(SLOW);
    let _ = other.liminal(&["run"]).exits(0);
    assert_eq!(digests(&status), digests(&other.json(&["status", "-o", "json"])));
    let _ = project.liminal(&["resume"]).exits(1).says("no run");
}

#[test]
fn a_kill_of_liminal_leaves_no_step_behind() {
    let project = Project::new(
        "project: demo\npipelines:\n  p:\n    steps:\n      slow:\n        run: [sh, -c, 'sleep 4321.25 & wait']\n",
    );
    let mut child = start_slow(&project);
    let alive = || {
        let found = Command::new("pgrep").args(["-f", "sleep 4321.25"]).output().expect("pgrep runs");
        !found.stdout.is_empty()
    };
    until("the sleep", alive);
    child.kill().expect("the child is ours");
    let _ = child.wait();
    until("the end of the sleep", || !alive());
}

#[test]
fn ctrl_c_stops_and_says_how_to_go_on() {
    let project = Project::new(SLOW);
    let child = start_slow(&project);
    signal("INT", child.id());
    let outcome = wait(child, &["run"]).exits(130).says("liminal resume");
    drop(outcome);
    let _ = project.liminal(&["resume"]).exits(0);
}

#[test]
fn a_run_is_cancelled_from_another_terminal() {
    let project = Project::new(SLOW);
    let child = start_slow(&project);
    let _ = project.liminal(&["cancel"]).exits(0);
    let _ = wait(child, &["run"]).exits(7);
    let status = project.json(&["status", "-o", "json"]);
    assert_eq!(status["result"]["status"], "cancelled", "{status}");
    assert_eq!(status["commits"]["first"]["status"], "succeeded");
    assert_eq!(status["commits"]["last"]["status"], "skipped");
}

#[test]
fn a_run_that_nobody_drives_can_be_cancelled_too() {
    let project = Project::new(SLOW);
    let mut child = start_slow(&project);
    child.kill().expect("the child is ours");
    let _ = child.wait();
    let _ = project.liminal(&["cancel"]).exits(0);
    let status = project.json(&["status", "-o", "json"]);
    assert_eq!(status["result"]["status"], "cancelled", "{status}");
}

#[cfg(feature = "failpoints")]
mod everywhere {
    use super::*;

    const SMALL: &str = "\
project: demo
pipelines:
  p:
    steps:
      a:
        run: [sh, -c, 'echo 1 > \"$1\"; echo \"{\\\"n\\\": 1}\" > \"$2\"', sh, \"{{ outputs.o }}\", \"{{ outputs.metrics }}\"]
        outputs: {o: o.txt}
        metrics: m.json
      b:
        run: [cp, \"{{ inputs.d }}\", \"{{ outputs.o }}\"]
        inputs: {d: a.o}
        outputs: {o: o.txt}
      c:
        run: [cp, \"{{ inputs.d }}\", \"{{ outputs.o }}\"]
        inputs: {d: a.o}
        outputs: {o: o.txt}
      gate:
        gate: metrics.a.n > 0.5
      register:
        register: {model: toy, artifact: b.o, aliases: [champion]}
        after: [gate, c]
    finally:
      tell:
        run: [\"true\"]
";

    /// The effects of a run, numbered: the program aborts at the n-th, is resumed, and the result is the same.
    #[test]
    fn a_kill_at_every_effect_of_a_run_changes_no_result() {
        let whole = Project::new(SMALL);
        let _ = whole.liminal(&["run"]).exits(0);
        let expected = digests(&whole.json(&["status", "-o", "json"]));
        let mut crashes = 0;
        for effect in 0.. {
            let project = Project::new(SMALL);
            let mut command = project.command(&["run"]);
            command.env("LIMINAL_CRASH_AT", effect.to_string());
            let outcome = wait(command.spawn().expect("liminal starts"), &["run"]);
            if outcome.code == Some(0) {
                break;
            }
            assert_eq!(outcome.code, None, "effect {effect} ends by a signal: {outcome:?}");
            crashes += 1;
            // A crash before the record of the run leaves nothing to resume, and a run from the start is right.
            let runs = project.json(&["runs", "-o", "json"]);
            let again = if runs.as_array().is_some_and(Vec::is_empty) || runs[0]["status"] == "succeeded" {
                vec!["run"]
            } else {
                vec!["resume"]
            };
            let _ = project.liminal(&again).exits(0);
            let status = project.json(&["status", "-o", "json"]);
            assert_eq!(digests(&status), expected, "after a crash at effect {effect}");
            let models = project.json(&["models", "toy", "-o", "json"]);
            assert_eq!(models.as_array().map(Vec::len), Some(1), "after a crash at effect {effect}: {models}");
        }
        assert!(crashes > 20, "only {crashes} effects were found");
    }

    #[test]
    fn a_kill_at_every_effect_of_an_apply_is_put_right_by_the_next() {
        let mut crashes = 0;
        for effect in 0.. {
            let project = Project::new(SMALL);
            let args = ["apply", "--auto-approve"];
            let mut command = project.command(&args);
            command.env("LIMINAL_CRASH_AT", effect.to_string());
            let outcome = wait(command.spawn().expect("liminal starts"), &args);
            if outcome.code == Some(0) {
                break;
            }
            assert_eq!(outcome.code, None, "effect {effect} ends by a signal: {outcome:?}");
            crashes += 1;
            let _ = project.liminal(&args).exits(0);
            let _ = project.liminal(&["plan", "--detailed-exitcode"]).exits(0);
            let _ = project.liminal(&["run", "--live"]).exits(0);
        }
        assert!(crashes > 4, "only {crashes} effects were found");
    }
}
