//! Reconciles that race: each change is applied once, whoever is faster.

use super::world::DEFINITION;
use super::world::World;
use crate::harness::wait;

/// How often two of them are let loose on one commit.
const ROUNDS: usize = 100;

#[test]
fn two_reconciles_that_race_apply_every_commit_once() {
    let world = World::new(DEFINITION);
    let _ = world.push("main").exits(0);
    let repository = world.path().display().to_string();
    let home = repository.as_str();
    let zero = "0".repeat(40);
    let mut serials = Vec::new();
    for round in 0..ROUNDS {
        let (from, to) = (greeting(round), greeting(round + 1));
        let commit = world.greet(&from, &to);
        let _ = world.push("main").exits(0);
        // The agent works on the repository itself, so that both have the same environment.
        let agent = ["gitops", "agent", "--once", "--drift", "off", "--home", home, "--remote", home];
        let agent = world.server().command(&agent).spawn().expect("liminal starts");
        let mut hook = world.server().command(&["-C", home, "gitops", "receive", "post-receive"]);
        let mut hook = hook.stdin(std::process::Stdio::piped()).spawn().expect("liminal starts");
        let line = format!("{zero} {commit} refs/heads/main\n");
        let mut input = hook.stdin.take().expect("stdin is piped");
        std::io::Write::write_all(&mut input, line.as_bytes()).expect("the input is taken");
        drop(input);
        let (agent, hook) = (wait(agent, &["agent"]), wait(hook, &["hook"]));
        // Whoever finds the other at work may leave it to them.
        assert!(matches!(agent.code, Some(0 | 5)), "round {round}: {} {}", agent.stdout, agent.stderr);
        let _ = hook.exits(0);
        let state = world.json(&["state", "show", "-o", "json", "-e", "staging"]);
        assert_eq!(state["applied"]["commit"], commit.as_str(), "round {round}");
        assert!(state["journal"].is_null(), "round {round}: nothing is left open");
        serials.push(state["serial"].as_u64().expect("a serial"));
    }
    let history = world.json(&["history", "-o", "json", "-n", "0", "-e", "staging"]);
    let entries = history.as_array().expect("a list");
    assert_eq!(entries.len(), ROUNDS, "one entry for each change");
    let mut recorded: Vec<u64> = entries.iter().filter_map(|entry| entry["serial"].as_u64()).collect();
    recorded.reverse();
    assert_eq!(recorded, serials, "each change leads to one serial, and every serial that was seen belongs to one");
}

fn greeting(round: usize) -> String {
    if round == 0 { "hello".to_owned() } else { format!("hello{round}") }
}
