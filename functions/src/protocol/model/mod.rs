//! A model of the protocol in which every order of events is gone through, not only those that luck draws.
//!
//! Two workers carry a run through a small graph, one effect at a time, and the core decides for them. Between any two
//! effects a worker may die, a message may come twice or not at all, and a lease may run out, so often as the bounds say.

mod onwards;
mod search;
mod worker;
mod world;

use liminal_schemas::step::FailureClass;
use liminal_schemas::step::Retries;
use liminal_schemas::step::StepSpec;

use crate::protocol::planted;
use crate::protocol::planted::Bug;
use crate::simulated::pipeline::gate;
use crate::simulated::pipeline::step;
use crate::simulated::pipeline::step_name;
use search::Broken;
use search::Explored;
use world::Faults;
use world::Model;

/// A bug of the model's workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    CommitsReplace,
    ParentsAreNotWaitedFor,
    LeasesDoNotCount,
    NothingFollowsASettledStep,
    RunsEndEarly,
    ChildrenAreSentBeforeTheCommit,
    AcknowledgedBeforeTheSends,
}

fn after(mut spec: StepSpec, before: &[&str]) -> StepSpec {
    spec.after = before.iter().map(|name| step_name(name)).collect();
    spec
}

/// A step that is tried a second time when it fails.
fn tried_twice(spec: StepSpec) -> StepSpec {
    let retries = Retries { max: 1, on: [FailureClass::User].into(), ..Retries::default() };
    StepSpec { retries, ..spec }
}

fn chain_of_two() -> Vec<(&'static str, StepSpec)> {
    vec![("a", tried_twice(step("a"))), ("b", after(step("b"), &["a"]))]
}

fn chain_of_three() -> Vec<(&'static str, StepSpec)> {
    vec![("a", step("a")), ("b", after(step("b"), &["a"])), ("c", after(step("c"), &["b"]))]
}

fn diamond() -> Vec<(&'static str, StepSpec)> {
    let (b, c) = (after(step("b"), &["a"]), after(step("c"), &["a"]));
    vec![("a", step("a")), ("b", b), ("c", c), ("d", after(step("d"), &["b", "c"]))]
}

fn rejected() -> Vec<(&'static str, StepSpec)> {
    let check = after(gate("1 > 2", &[]), &["a"]);
    vec![("a", step("a")), ("check", check), ("deploy", after(step("deploy"), &["check"]))]
}

fn finally() -> Vec<(&'static str, StepSpec)> {
    vec![("a", step("a")), ("b", after(step("b"), &["a"])), ("cleanup", StepSpec { finally: true, ..step("cleanup") })]
}

/// The model of a graph, with so many faults; one more where `LIMINAL_MODEL=large` asks for it.
fn model(steps: &[(&'static str, StepSpec)], fragile: &[&str], faults: u8) -> Model {
    let more = std::env::var_os("LIMINAL_MODEL").is_some_and(|size| size == "large");
    let faults = faults + u8::from(more);
    Model::new(steps, fragile, Faults { crashes: 1 + u8::from(more), copies: 1, losses: 1, overruns: 1 }, faults)
}

fn holds(name: &str, model: &Model) -> Explored {
    match model.explore() {
        Ok(explored) => {
            let Explored { states, transitions, ends } = explored;
            eprintln!(
                "{name}: {states} states, {transitions} transitions, {ends} ends, at most {} faults",
                model.total
            );
            explored
        }
        Err(Broken { promise, course }) => panic!("{name}: broken: {promise}\n{}", course.join("\n")),
    }
}

#[test]
fn a_chain_of_two_with_a_retry_keeps_every_promise_in_every_order() {
    assert!(holds("chain of two", &model(&chain_of_two(), &["a"], 2)).states > 1_000);
}

#[test]
fn a_chain_of_three_keeps_every_promise_in_every_order() {
    assert!(holds("chain of three", &model(&chain_of_three(), &["a"], 1)).states > 1_000);
}

#[test]
fn a_diamond_keeps_every_promise_in_every_order() {
    assert!(holds("diamond", &model(&diamond(), &["b"], 1)).states > 10_000);
}

#[test]
fn a_gate_that_refuses_keeps_every_promise_in_every_order() {
    assert!(holds("gate", &model(&rejected(), &[], 2)).states > 1_000);
}

#[test]
fn a_step_under_finally_keeps_every_promise_in_every_order() {
    assert!(holds("finally", &model(&finally(), &["a"], 1)).states > 1_000);
}

/// The promise that the search finds broken with a flaw, and in how many events.
fn found(flaw: Flaw, bug: Option<Bug>, steps: &[(&'static str, StepSpec)]) -> String {
    let bounds = Faults { crashes: 1, copies: 1, losses: 0, overruns: 1 };
    let mut model = Model::new(steps, &["a"], bounds, 2);
    model.flaw = Some(flaw);
    let explored = match bug {
        Some(bug) => planted::with(bug, || model.explore()),
        None => model.explore(),
    };
    match explored {
        Err(Broken { promise, course }) => format!("{promise}: {} events", course.len()),
        Ok(explored) => format!("not found among {} states", explored.states),
    }
}

#[test]
fn every_planted_flaw_is_found_in_the_fewest_events() {
    let (chain, diamond) = (chain_of_two(), diamond());
    insta::assert_snapshot!(found(Flaw::CommitsReplace, None, &chain), @"a commit never changes: 15 events");
    insta::assert_snapshot!(
        found(Flaw::ParentsAreNotWaitedFor, Some(Bug::ParentsAreNotWaitedFor), &diamond),
        @"no attempt opens before all parents are committed: 5 events"
    );
    insta::assert_snapshot!(
        found(Flaw::LeasesDoNotCount, Some(Bug::LeasesDoNotCount), &chain),
        @"no two workers are at a step while leases hold: 10 events"
    );
    insta::assert_snapshot!(found(Flaw::NothingFollowsASettledStep, None, &chain), @"something is left to do until the result is there: 9 events");
    insta::assert_snapshot!(found(Flaw::RunsEndEarly, None, &diamond), @"the result is that of all commits: 12 events");
    insta::assert_snapshot!(found(Flaw::ChildrenAreSentBeforeTheCommit, None, &chain), @"something is left to do until the result is there: 13 events");
    insta::assert_snapshot!(found(Flaw::AcknowledgedBeforeTheSends, None, &chain), @"something is left to do until the result is there: 7 events");
}
