//! Steps that map: items go their own way, are joined in order, and only those that failed are done again.

use std::time::Duration;
use std::time::Instant;

use liminal_emulators::shared_ministack;

use crate::aws;
use crate::harness::Project;

/// Splits into so many shards, squares each, and joins them. `unlucky` fails as long as a file says so.
fn squares(shards: u32) -> String {
    format!(
        "  squares:
    steps:
      split:
        call: steps:split
        inputs: {{count: params.count}}
        outputs: {{shards: shards/}}
      square:
        map: split.shards
        call: steps:square
        outputs: {{result: result.txt}}
        metrics: metrics.json
      hello:
        map: {{over: [eu, us, ap], batch: 2}}
        call: steps:hello
        outputs: {{greeting: greeting.txt}}
      join:
        call: steps:join
        inputs: {{squares: square.result, greetings: hello.greeting}}
        outputs: {{total: total.txt}}
      check:
        gate: metrics.square.n_max == {last}
    params:
      count: {shards}
",
        last = shards - 1
    )
}

const STEPS: &str = "\
import json

UNLUCKY = None

def split(count, shards):
    shards.mkdir()
    for number in range(count):
        (shards / f'{number:04}.txt').write_text(str(number))

def square(item, result, metrics):
    number = int(item.read_text())
    if number == UNLUCKY:
        raise ValueError('unlucky')
    print('squaring', number)
    result.write_text(str(number * number))
    metrics.write_text(json.dumps({'n': number}))

def hello(items, greeting):
    greeting.write_text(' '.join(items))

def join(squares, greetings, total):
    numbers = [int(path.read_text()) for path in sorted(squares.iterdir())]
    words = [path.read_text() for path in sorted(greetings.iterdir())]
    total.write_text(f'{len(numbers)} {sum(numbers)} {words}')
";

fn project(shards: u32) -> Project {
    let project = Project::new(&format!("project: maps\npipelines:\n{}", squares(shards)));
    project.write("steps.py", STEPS);
    project
}

#[test]
fn items_are_joined_in_their_order_whatever_they_are() {
    let project = project(130);
    let _ = project.liminal(&["run"]).exits(0).prints("succeeded").prints("130 items");
    assert_eq!(project.ok(&["artifacts", "cat", "join.total"]), "130 723905 ['eu us', 'ap']");
    let listed = project.json(&["status", "-o", "json"]);
    assert_eq!(listed["commits"]["square"]["items"]["succeeded"], 130);
    assert_eq!(project.ok(&["logs", "square", "--item", "7"]), "── square[7] ──\nsquaring 7\n");
    let _ = project.liminal(&["logs", "square", "--item", "130"]).exits(1).says("130 items, numbered from 0");
    let _ = project.liminal(&["status", "--items", "join"]).exits(1).says("map:");
    let again = project.liminal(&["run"]).exits(0);
    assert!(again.stdout.contains("cached"), "{}", again.stdout);
}

#[test]
fn what_has_items_is_known_to_come_from_the_cache_and_its_logs_are_found() {
    let project = project(3);
    let _ = project.liminal(&["run", "squares"]).exits(0);
    for step in ["square", "hello", "join"] {
        let _ = project.liminal(&["why", step]).exits(0).prints(&format!("takes {step} from the cache"));
    }
    let _ = project.liminal(&["logs", "square"]).exits(0).says("square --item 0`");
    let run = project.json(&["runs", "-o", "json"])[0]["run"].as_str().expect("an id").to_owned();
    let _ = project.liminal(&["logs", &run, "square", "--item", "2"]).exits(0).prints("squaring 2");
}

#[test]
fn a_run_is_taken_up_with_new_code_and_only_the_item_that_failed_runs_again() {
    let project = project(25);
    project.edit("steps.py", "UNLUCKY = None", "UNLUCKY = 13");
    let _ =
        project.liminal(&["run"]).exits(7).prints("1 of 25 items failed; the first is item 13: ValueError: unlucky");
    let listed = project.ok(&["status", "--items", "square"]);
    assert!(listed.contains("13  user   ValueError: unlucky (steps.py:13)") && listed.contains("1 failed"), "{listed}");
    project.edit("steps.py", "UNLUCKY = 13", "UNLUCKY = None");
    let preview = project.ok(&["redrive", "--dry-run"]);
    assert!(preview.contains("items did not succeed") && preview.contains("taken over"), "{preview}");
    let _ = project.liminal(&["redrive"]).exits(0);
    let status = project.json(&["status", "-o", "json"]);
    let counts = &status["commits"]["square"]["items"];
    assert!(counts["succeeded"].as_u64() < Some(25), "items that succeeded are taken over: {counts}");
    assert_eq!(status["commits"]["split"]["status"], "cached");
    assert_eq!(project.ok(&["artifacts", "cat", "join.total"]), "25 4900 ['eu us', 'ap']");
    let _ = project.liminal(&["redrive"]).exits(64).says("nothing to do again");
    let _ = project.liminal(&["retry", "join"]).exits(0);
    let retried = project.json(&["status", "-o", "json"]);
    assert_eq!(retried["commits"]["join"]["status"], "succeeded");
    assert_eq!(retried["commits"]["square"]["status"], "cached");
}

#[test]
fn tolerated_failures_leave_holes_and_too_many_of_them_stop_the_rest() {
    let definition = "project: maps\npipelines:\n  p:\n    params: {from: 95}\n    steps:\n      work:\n        map: {over: params.items, max_concurrency: 1, tolerated_failures: 5%}\n        run: [sh, -c, 'test \"$1\" -lt \"$2\" && echo \"$1\" > \"$3\"', sh, \"{{ inputs.item }}\", \"{{ params.from }}\", \"{{ outputs.o }}\"]\n        outputs: {o: o.txt}\n";
    let numbers: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    let items = format!("params: {{from: 95, items: [{}]}}", numbers.join(", "));
    let project = Project::new(&definition.replace("params: {from: 95}", &items));
    let _ = project.liminal(&["run"]).exits(0).prints("100 items, 5 failed");
    let listed = project.ok(&["status", "--items", "work"]);
    assert!(listed.contains("95 succeeded, 5 failed") && listed.contains("logs"), "{listed}");
    let _ = project.liminal(&["run", "--set", "from=10"]).exits(7).prints("more than the 5% tolerated");
    let status = project.json(&["status", "-o", "json"]);
    let counts = &status["commits"]["work"]["items"];
    assert_eq!((&counts["failed"], &counts["skipped"]), (&6.into(), &84.into()), "{counts}");
}

#[test]
fn killed_in_the_middle_of_two_thousand_items_a_run_ends_whole_when_it_is_resumed() {
    let project = Project::new(
        "project: maps
pipelines:
  p:
    steps:
      list:
        run: sh list.sh {{ outputs.rows }}
        outputs: {rows: rows.jsonl}
      work:
        map: {rows: list.rows}
        run: sh work.sh {{ inputs.item }} {{ outputs.o }}
        outputs: {o: o.txt}
",
    );
    project.write("list.sh", "seq -f '\"%g\"' 2000 > \"$1\"\n");
    project.write("work.sh", "echo \"$1\" > \"$2\"\n");
    let settled = || {
        let runs = project.join(".liminal/local/objects/runs/p");
        count_files(&runs, &|path| path.contains("/settled/"))
    };
    for target in [100, 700, 1500] {
        let args: &[&str] = if target == 100 { &["run"] } else { &["resume"] };
        let mut child = project.command(args).spawn().expect("liminal starts");
        let start = Instant::now();
        while settled() < target {
            assert!(start.elapsed() < Duration::from_secs(120), "{target} items are never settled");
            std::thread::sleep(Duration::from_millis(20));
        }
        child.kill().expect("the child is ours");
        let _ = child.wait();
    }
    let _ = project.liminal(&["resume"]).exits(0).prints("succeeded");
    let status = project.json(&["status", "-o", "json"]);
    assert_eq!(status["commits"]["work"]["items"]["succeeded"], 2000, "{status}");
    assert_eq!(settled(), 2000);
}

pub fn count_files(folder: &std::path::Path, wanted: &dyn Fn(&str) -> bool) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let count = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => count_files(&entry.path(), wanted),
        Ok(_) => usize::from(wanted(&entry.path().to_string_lossy())),
        Err(_) => 0,
    };
    entries.flatten().map(count).sum()
}

#[test]
fn items_on_aws_leave_the_same_as_here() {
    let emulator = shared_ministack();
    let project = Project::in_git(&aws::definition("demo-maps", &squares(24)));
    project.write("steps.py", STEPS);
    let project = aws::with_bucket(project, emulator, "demo-maps");
    let _ = project.commit("first");
    let _ = project.liminal(&["run"]).exits(0);
    let here = project.json(&["status", "-o", "json"]);
    let _ = project.liminal(&["apply", "-y", "-e", "dev"]).exits(0);
    let _ = project.liminal(&["run", "-e", "dev"]).exits(0).prints("24 items");
    let there = project.json(&["status", "-e", "dev", "-o", "json"]);
    assert_eq!(aws::outputs(&there), aws::outputs(&here));
    let _ = project.liminal(&["logs", "square", "--item", "3", "-e", "dev"]).exits(0).prints("squaring 3");
    let _ = project.liminal(&["destroy", "-y", "--allow-destroy", "-e", "dev"]);
}
