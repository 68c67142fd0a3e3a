//! Maps on emulated AWS, whose functions and whose services die in the middle.

use std::time::Duration;
use std::time::Instant;

use liminal_emulators::MiniStack;
use liminal_emulators::Options;

use crate::aws;
use crate::harness::Project;
use crate::maps::count_files;

const PIPELINE: &str = "  p:
    steps:
      list:
        run: sh list.sh {{ outputs.rows }}
        outputs: {rows: rows.jsonl}
      work:
        map: {rows: list.rows, batch: 5, max_concurrency: 8}
        run: sh work.sh {{ inputs.items }} {{ outputs.o }}
        outputs: {o: o.txt}
        timeout: 10s
        retries: 2
";

/// Waits for something that takes minutes at most.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(300), "{what} never came to be");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Kills the processes of functions that are at work now, and tells how many there were.
fn kill_runners(folder: &str) -> usize {
    let processes = std::fs::read_dir("/proc").expect("this is Linux").flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut killed = 0;
    for process in numbers {
        let program = std::fs::read_link(format!("/proc/{process}/exe")).unwrap_or_default();
        let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        let ours = String::from_utf8_lossy(&environment).contains(folder);
        if ours && program.file_name().is_some_and(|name| name == "liminal-runner" || name == "bootstrap") {
            let status = std::process::Command::new("kill").args(["-KILL", &process.to_string()]).status();
            killed += usize::from(status.expect("kill runs").success());
        }
    }
    killed
}

#[test]
fn two_thousand_items_survive_the_death_of_their_functions_and_a_restart_of_aws() {
    const NAME: &str = "demo-many";
    let kept = tempfile::tempdir().expect("a folder");
    let emulator = MiniStack::with(Options::new().persist(kept.path()));
    let port = emulator.port();
    let project = Project::in_git(&aws::definition(NAME, PIPELINE));
    project.write("list.sh", "seq -f '\"%g\"' 2000 > \"$1\"\n");
    project.write("work.sh", "echo \"$1\" > \"$2\"\n");
    let project = aws::with_bucket(project, &emulator, NAME);
    let _ = project.commit("first");
    let on = |command: &[&str]| project.liminal(&[command, &["-e", "dev"]].concat());
    let _ = on(&["apply", "-y"]).exits(0);
    let settled =
        || count_files(&kept.path().join("s3"), &|path| path.contains("/settled/") && !path.ends_with(".meta.json"));

    let run = on(&["run", "--detach"]).exits(0).stdout;
    until("60 batches", || settled() >= 60);
    assert!(kill_runners(&emulator.endpoint()) > 0, "functions are at work");
    until("150 batches", || settled() >= 150);
    emulator.stop_gracefully();
    let before = settled();
    let _again = MiniStack::with(Options::new().persist(kept.path()).port(port));

    let _ = on(&["logs", "-f", run.trim()]);
    let there = project.json(&["status", run.trim(), "-o", "json", "-e", "dev"]);
    assert_eq!(there["result"]["status"], "succeeded", "{there}");
    assert_eq!(there["commits"]["work"]["items"]["succeeded"], 400, "{there}");
    assert!(before < 400, "it was stopped in the middle");
    assert_eq!(settled(), 400);
    let _ = project.liminal(&["run"]).exits(0);
    let here = project.json(&["status", "-o", "json"]);
    assert_eq!(aws::outputs(&there), aws::outputs(&here));
}
