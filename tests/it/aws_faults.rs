//! What goes wrong around an environment on AWS. The numbers of cases are those of the list of faults; 23, an apply that is
//! killed between a call and the state that records it, is among those of `severed.rs`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use liminal_emulators::Fault;
use liminal_emulators::FaultProxy;
use liminal_emulators::Rule;
use liminal_emulators::shared_ministack;
use liminal_emulators::tools;
use serde_json::Value;

use crate::aws::definition;
use crate::aws::with_bucket;
use crate::harness::Outcome;
use crate::harness::Project;
use crate::harness::wait;

const ONE_STEP: &str = "  p: {steps: {only: {run: [\"true\"]}}}\n";

/// Lambda ends a chain of messages that passes through one function more than 16 times. No two steps share a function.
#[test]
fn case_11_a_chain_of_twenty_steps_passes_through_twenty_functions() {
    let emulator = shared_ministack();
    let mut pipelines = "  p:\n    steps:\n      s0: {run: [\"true\"]}\n".to_owned();
    for number in 1..20 {
        let _ = writeln!(pipelines, "      s{number}: {{run: [\"true\"], after: [s{}]}}", number - 1);
    }
    let project = with_bucket(Project::new(&definition("demo-chain", &pipelines)), emulator, "demo-chain");
    let _ = project.liminal(&["apply", "-y", "-e", "dev"]).exits(0);
    let _ = project.liminal(&["run", "--no-cache", "-e", "dev"]).exits(0).prints("succeeded");
    let status = project.json(&["status", "-o", "json", "-e", "dev"]);
    let commits = status["commits"].as_object().expect("commits");
    assert!(commits.len() == 20 && commits.values().all(|commit| commit["attempt"] == 1), "{status}");

    let listed = tools().aws(emulator).args(["lambda", "list-event-source-mappings", "--output", "json"]).output();
    let listed: Value = serde_json::from_slice(&listed.expect("the AWS CLI runs").stdout).expect("JSON");
    let name = |text: &Value| text.as_str().and_then(|arn| arn.rsplit(':').next()).unwrap_or_default().to_owned();
    let mappings = listed["EventSourceMappings"].as_array().expect("a list").iter();
    let mut functions: BTreeMap<String, u32> = BTreeMap::new();
    for mapping in mappings.filter(|mapping| name(&mapping["EventSourceArn"]).starts_with("liminal-demo-chain-dev-p-s"))
    {
        *functions.entry(name(&mapping["FunctionArn"])).or_default() += 1;
    }
    assert!(functions.len() == 20 && functions.values().all(|queues| *queues == 1), "{functions:?}");
}

#[test]
fn case_22_of_two_applies_at_once_one_wins_and_the_other_names_it() {
    let emulator = shared_ministack();
    let project = Project::in_git(&definition("demo-twice", ONE_STEP));
    let project = with_bucket(project, emulator, "demo-twice");
    let commit = project.commit("first");
    let proxy = FaultProxy::start(emulator);
    // The winner holds the lock for as long as the other needs to meet it.
    proxy.add(Rule::once(Fault::Slow(std::time::Duration::from_secs(4))).containing("CreateLogGroup"));
    let args = ["apply", "-y", "-e", "dev", "--lock-timeout", "0s"];
    let mut first = project.command(&args);
    let first = first.envs(proxy.env()).spawn().expect("liminal starts");
    while !proxy.take_seen().iter().any(|seen| seen.fault.is_some()) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let mut second = project.command(&args);
    let second = wait(second.envs(proxy.env()).spawn().expect("liminal starts"), &args);
    let second = second.exits(5).says("tester").says("apply").says("has held the lock for");
    assert!(second.stderr.contains(&commit[..7]), "it names the commit that is applied: {}", second.stderr);
    let _ = wait(first, &args).exits(0);
    let project = proxy.env().iter().fold(project, |project, (name, value)| project.env(name, value));
    let _ = project.liminal(&["plan", "--detailed-exitcode", "-e", "dev"]).exits(0);
    let history = project.json(&["history", "-o", "json", "-e", "dev"]);
    assert_eq!(history.as_array().map(Vec::len), Some(1), "{history}");
    let state = project.json(&["state", "show", "-o", "json", "-e", "dev"]);
    assert_eq!(history[0]["serial"], state["serial"], "what the loser began changed nothing: {state}");
}

/// Lets the store refuse the state once things have been changed, with a status and a code.
fn refused(bucket: &str, status: u16, code: &'static str) -> (Project, FaultProxy, Outcome) {
    let emulator = shared_ministack();
    let project = with_bucket(Project::new(&definition(bucket, ONE_STEP)), emulator, bucket);
    let proxy = FaultProxy::start(emulator);
    let project = proxy.env().iter().fold(project, |project, (name, value)| project.env(name, value));
    // The first write records what the apply sets out to do.
    proxy.add(Rule::always(Fault::Answer { status, code }).method("PUT").containing("state/dev.json").after(1));
    let outcome = project.liminal(&["apply", "-y", "-e", "dev"]);
    proxy.clear();
    (project, proxy, outcome)
}

#[test]
fn case_24_a_state_that_the_store_refuses_is_saved_here_and_pushed_as_told() {
    let (project, _proxy, outcome) = refused("demo-spilled", 403, "AccessDenied");
    let outcome = outcome.exits(1).says("AccessDenied").says("liminal state push ");
    let text = outcome.stderr.split_once("`liminal state push ").map(|(_, rest)| rest).expect("a command");
    let path = text.split_once(" -e dev`").map(|(path, _)| path).expect("a path, and the environment");
    let spilled: Value =
        serde_json::from_str(&std::fs::read_to_string(project.join(path)).expect("it is there")).expect("JSON");
    let serial = spilled["serial"].as_u64().expect("a serial");
    let _ = project.liminal(&["state", "push", path, "-e", "dev"]).exits(0);
    let state = project.json(&["state", "show", "-o", "json", "-e", "dev"]);
    assert_eq!(state["serial"].as_u64(), Some(serial), "{state}");
    let _ = project.liminal(&["apply", "-y", "-e", "dev"]).exits(0);
    let _ = project.liminal(&["plan", "--detailed-exitcode", "-e", "dev"]).exits(0);
}

#[test]
fn case_24_a_state_that_somebody_else_has_written_is_not_written_over() {
    let (project, _proxy, outcome) = refused("demo-overtaken", 412, "PreconditionFailed");
    let _ = outcome.exits(6).says("somebody else changed the state meanwhile");
    let _ = project.liminal(&["apply", "-y", "-e", "dev"]).exits(0);
    let _ = project.liminal(&["plan", "--detailed-exitcode", "-e", "dev"]).exits(0);
}
