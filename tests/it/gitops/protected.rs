//! Environments whose plans must be approved.

use super::world::DEFINITION;
use super::world::World;

fn digest(text: &str) -> String {
    let (_, rest) = text.split_once("liminal approve ").unwrap_or_else(|| panic!("no approval is asked for:\n{text}"));
    rest.split_whitespace().next().expect("a digest").to_owned()
}

fn world() -> World {
    let world = World::new(&DEFINITION.replace("staging: {branch: main}", "staging: {branch: main, protected: true}"));
    let _ = world.server().liminal(&["gitops", "install-hook", "repo.git"]).exits(0);
    world
}

#[test]
fn a_plan_for_a_protected_environment_waits_for_its_approval() {
    let world = world();
    let pushed = world.push("main").exits(0).says("staging is protected, and nobody has approved plan");
    let asked = digest(&pushed.stderr);
    let _ = world.liminal(&["apply", "-e", "staging", "--auto-approve"]).exits(3).says("nobody has approved");
    let _ = world.liminal(&["state", "list", "-e", "staging"]).exits(0).prints("Nothing is deployed");
    let _ = world.liminal(&["approve", "0123456789ab", "-e", "staging"]).exits(6).says(&asked);
    let _ = world.liminal(&["approve", &asked, "-e", "staging"]).exits(0).prints("is approved by tester");
    let _ = world.liminal(&["plan", "-e", "staging"]).exits(0).says("was approved by tester");
    let _ = world.liminal(&["apply", "-e", "staging", "--auto-approve"]).exits(0).prints("Applied");

    world.greet("hello", "ahoy");
    let pushed = world.push("main").exits(0).says("nobody has approved");
    assert_ne!(digest(&pushed.stderr), asked, "an approval is for one plan");
    let status = world.liminal(&["status", "-e", "staging"]);
    assert!(!status.stderr.contains("In quarantine"), "waiting is no failure: {}", status.stderr);
}

#[test]
fn a_rollback_of_a_protected_environment_is_approved_too_and_healing_is_not() {
    let world = world();
    for to in ["hello", "ahoy"] {
        if to != "hello" {
            world.greet("hello", to);
        }
        let asked = digest(&world.push("main").exits(0).stderr);
        let _ = world.liminal(&["approve", &asked, "-e", "staging"]).exits(0);
        let _ = world.liminal(&["apply", "-e", "staging", "--auto-approve"]).exits(0);
    }
    let live = world.live();
    let refused = world.liminal(&["rollback", "-e", "staging", "--auto-approve"]).exits(3);
    assert_eq!(world.live(), live);
    let asked = digest(&refused.stderr);
    let _ = world.liminal(&["approve", &asked, "-e", "staging", "--rollback"]).exits(0);
    let _ = world.liminal(&["rollback", "-e", "staging", "--auto-approve"]).exits(0).prints("Rolled back");
    assert_ne!(world.live(), live);
    std::fs::remove_file(world.path().join(".liminal/staging/objects/live/greet.json")).expect("the pointer goes");
    let _ = world.liminal(&["drift", "-e", "staging", "--heal", "--auto-approve"]).exits(0).prints("Healed");
}
