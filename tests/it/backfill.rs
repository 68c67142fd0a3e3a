//! `liminal backfill`: ranges, what is there already, failures, and kills in the middle.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::harness::Project;
use crate::harness::wait;

const RANGE: [&str; 6] = ["backfill", "p", "--from", "2026-01-01", "--to", "2026-01-04"];

/// A pipeline whose step leaves its day in a file outside, and fails on the third day for as long as `bad` is there. While
/// `hold` is there, it waits on the second day. It fails where more than two of it are under way.
fn project() -> Project {
    // Its step writes outside of its folder, to tell what was done.
    let project = Project::empty().env("LIMINAL_SANDBOX", "0");
    let root = project.path().display().to_string();
    let script = "mkdir $0/now/$1 || exit 9; echo $1 >> $0/log; ls $0/now | wc -l >> $0/most; \
        while test $1 = 2026-01-02 -a -e $0/hold; do sleep 0.1; done; sleep 0.2; rmdir $0/now/$1; \
        ! test $1 = 2026-01-03 -a -e $0/bad";
    project.write(
        "liminal.yml",
        format!("project: demo\npipelines:\n  p:\n    params: {{n: {{type: int, default: 1}}}}\n    steps:\n      s: {{run: [sh, -c, '{script}', {root}/out, \"{{{{ run.partition }}}}\", \"{{{{ params.n }}}}\"]}}\n"),
    );
    project.write("out/now/.keep", "");
    project.write("out/log", "");
    project
}

fn backfill(project: &Project, more: &[&str]) -> crate::harness::Outcome {
    project.liminal(&[&RANGE, more].concat())
}

fn statuses(project: &Project) -> Vec<String> {
    let rows = project.json(&[&RANGE[..], &["--dry-run", "-o", "json"]].concat());
    let status = |row: &Value| row["status"].as_str().expect("a status").to_owned();
    rows.as_array().expect("a list").iter().map(status).collect()
}

fn days(project: &Project) -> Vec<String> {
    project.read("out/log").lines().map(str::to_owned).collect()
}

#[test]
fn a_range_is_run_in_order_and_only_once() {
    let project = project();
    insta::assert_snapshot!(project.ok(&[&RANGE[..], &["--dry-run"]].concat()), @"
    PARTITION   STATUS  CACHED
    2026-01-01  new     0 of 1 step
    2026-01-02  new     0 of 1 step
    2026-01-03  new     0 of 1 step
    2026-01-04  new     0 of 1 step
    ");
    let _ = backfill(&project, &[]).exits(0).prints("succeeded");
    let all = ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"];
    assert_eq!(days(&project), all);
    assert_eq!(statuses(&project), ["done"; 4]);
    let _ = backfill(&project, &[]).exits(0).prints("done");
    assert_eq!(days(&project), all, "nothing is left to do");
    let status = project.json(&["status", "-o", "json"]);
    assert_eq!(status["run"]["scheduled"]["time"], "2026-01-04T00:00:00.000Z", "{status}");
    let other = project.ok(&[&RANGE[..], &["--dry-run", "--set", "n=2"]].concat());
    assert!(!other.contains("done"), "other parameters are other runs: {other}");
}

#[test]
fn a_part_that_fails_stops_no_other_and_runs_again_when_that_is_asked_for() {
    let project = project();
    project.write("out/bad", "");
    let _ = backfill(&project, &[]).exits(7).says("--retry-failed");
    assert_eq!(statuses(&project), ["done", "done", "failed", "done"]);
    std::fs::remove_file(project.join("out/bad")).expect("it was there");
    let before = days(&project).len();
    let _ = backfill(&project, &[]).exits(7);
    assert_eq!(days(&project).len(), before, "what failed is left alone");
    let _ = backfill(&project, &["--retry-failed"]).exits(0);
    assert_eq!(statuses(&project), ["done"; 4]);
    assert_eq!(days(&project).len(), before + 1);
}

/// Starts a backfill and waits until its second day is under way.
fn held(project: &Project) -> std::process::Child {
    project.write("out/hold", "");
    let child = project.command(&RANGE).spawn().expect("liminal starts");
    let mut looks = 0;
    while days(project).len() < 2 {
        looks += 1;
        assert!(looks < 3000, "the second day never began");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

/// Takes away what holds the second day, and what the step that was ended left.
fn release(project: &Project) {
    std::fs::remove_file(project.join("out/hold")).expect("it was there");
    let _ = std::fs::remove_dir(project.join("out/now/2026-01-02"));
}

#[test]
fn a_backfill_that_was_killed_is_whole_after_it_is_started_again() {
    let project = project();
    let mut child = held(&project);
    child.kill().expect("the child is ours");
    let _ = child.wait();
    assert_eq!(statuses(&project), ["done", "open", "new", "new"]);
    release(&project);
    let _ = backfill(&project, &[]).exits(0);
    assert_eq!(statuses(&project), ["done"; 4]);
    let runs = project.json(&["runs", "-o", "json"]);
    assert_eq!(runs.as_array().map_or(0, Vec::len), 4, "what was open went on: {runs}");
    assert_eq!(days(&project).iter().filter(|day| *day == "2026-01-01").count(), 1);
}

#[test]
fn ctrl_c_stops_it_and_the_same_command_goes_on() {
    let project = project();
    let child = held(&project);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs").success());
    let _ = wait(child, &RANGE).exits(130).says("The same command goes on");
    assert_eq!(statuses(&project), ["done", "open", "new", "new"]);
    release(&project);
    let _ = backfill(&project, &[]).exits(0);
    assert_eq!(statuses(&project), ["done"; 4]);
}

#[test]
fn no_more_runs_are_under_way_than_were_asked_for() {
    let project = project();
    let _ = backfill(&project, &["--max-concurrent", "2"]).exits(0);
    let most = |project: &Project| {
        project.read("out/most").lines().map(|line| line.trim().parse::<u32>().expect("a number")).max()
    };
    assert!(most(&project) <= Some(2), "{}", project.read("out/most"));
    assert_eq!(statuses(&project), ["done"; 4]);
    let text = project.read("liminal.yml").replace("    params:", "    overlap: forbid\n    params:");
    project.write("liminal.yml", text);
    let _ = backfill(&project, &["--max-concurrent", "2"]).exits(64).says("--max-concurrent 1");
    let _ = backfill(&project, &[]).exits(0);
}

#[test]
fn a_range_that_makes_no_sense_is_refused_with_what_to_write() {
    let project = project();
    let refused = |from: &str, to: &str, every: &str| {
        project.liminal(&["backfill", "p", "--from", from, "--to", to, "--every", every]).exits(64)
    };
    let _ = refused("2026-02-02", "2026-02-01", "day").says("give the earlier day as --from");
    let _ = refused("2026-02-30", "2026-03-01", "day").says("--from YYYY-MM-DD");
    let _ = refused("2026-02-01", "tomorrow", "day").says("--to YYYY-MM-DD");
    let _ = refused("2024-01-01", "2026-01-01", "hour").says("at most 10000");
}

/// One step that is the same for every day, and one that is another for each.
const DAYS: &str = "  \
  p:
    params: {times: 1}
    steps:
      table: {run: [sh, -c, 'echo table > \"$1\"', sh, \"{{ outputs.o }}\"], outputs: {o: o.txt}}
      day:
        run: [sh, -c, 'cat \"$1\" > \"$3\"; echo \"$2\" >> \"$3\"', sh, \"{{ inputs.t }}\", \"{{ run.partition }}\", \"{{ outputs.o }}\"]
        inputs: {t: table.o}
        outputs: {o: o.txt}
      again:
        run: [sh, -c, 'seq 1 \"$1\"', sh, \"{{ params.times }}\"]
";

const TWO_DAYS: [&str; 6] = ["backfill", "p", "--from", "2026-01-02", "--to", "2026-01-03"];

#[test]
fn a_dry_run_says_what_each_part_would_take_from_the_cache() {
    let project = Project::new(&format!("project: demo\npipelines:\n{DAYS}"));
    let _ = project.liminal(&["backfill", "p", "--from", "2026-01-02", "--to", "2026-01-02"]).exits(0);
    let listed = project.ok(&[&TWO_DAYS[..], &["--dry-run", "--set", "times=2"]].concat());
    insta::assert_snapshot!(listed, @r"
    PARTITION   STATUS  CACHED
    2026-01-02  new     2 of 3 steps
    2026-01-03  new     1 of 3 steps
    ");
    let rows = project.json(&[&TWO_DAYS[..], &["--dry-run", "--set", "times=2", "-o", "json"]].concat());
    assert_eq!(rows[0]["hits"]["cached"], serde_json::json!(["day", "table"]), "{rows}");
}

#[test]
fn a_range_is_run_on_aws_as_it_is_here() {
    let emulator = liminal_emulators::shared_ministack();
    let project = Project::in_git(&crate::aws::definition("demo-backfill", DAYS));
    let project = crate::aws::with_bucket(project, emulator, "demo-backfill");
    let _ = project.commit("first");
    let _ = project.liminal(&["apply", "-y", "-e", "dev"]).exits(0);
    let on = |more: &[&str]| project.liminal(&[&TWO_DAYS[..], more, &["-e", "dev"]].concat());
    let _ = on(&["--dry-run"]).exits(0).prints("2026-01-03  new     0 of 3 steps");
    let _ = on(&["--max-concurrent", "2"]).exits(0).prints("succeeded");
    let _ = on(&["--dry-run"]).exits(0).prints("2026-01-03  done");
    let _ = on(&["--dry-run", "--set", "times=2"]).exits(0).prints("2026-01-03  new     2 of 3 steps");
    assert_eq!(project.ok(&["artifacts", "cat", "day.o", "-e", "dev"]), "table\n2026-01-03\n");
    let _ = project.liminal(&["destroy", "-y", "--allow-destroy", "-e", "dev"]);
}
