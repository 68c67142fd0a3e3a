use std::collections::BTreeMap;

use liminal_schemas::graph::Graph;
use liminal_schemas::name::StepName;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::run::RunStatus;
use liminal_schemas::run::SkipReason;
use liminal_schemas::step::StepSpec;

use super::advance::Settled;
use super::advance::advance;
use crate::simulated::pipeline::gate;
use crate::simulated::pipeline::release;
use crate::simulated::pipeline::step;
use crate::simulated::pipeline::step_name;
use crate::simulated::pipeline::with_inputs;

fn settled(status: CommitStatus) -> Settled {
    Settled { status, skipped: None, cancelled: false }
}

fn skipped(reason: SkipReason) -> Settled {
    Settled { status: CommitStatus::Skipped, cancelled: reason == SkipReason::Cancelled, skipped: Some(reason) }
}

fn after(mut spec: StepSpec, before: &[&str]) -> StepSpec {
    spec.after = before.iter().map(|name| step_name(name)).collect();
    spec
}

fn finally(spec: StepSpec) -> StepSpec {
    StepSpec { finally: true, ..spec }
}

/// What comes next, in one line.
fn next(steps: &[(&'static str, StepSpec)], commits: &[(&str, Settled)]) -> String {
    let steps = release(steps.iter().cloned()).steps;
    let graph = Graph::new(&steps).expect("a graph");
    let commits: BTreeMap<StepName, Settled> =
        commits.iter().map(|(name, settled)| (step_name(name), settled.clone())).collect();
    let advance = advance(&graph, &steps, &commits);
    let ready = advance.ready.iter().map(|step| format!("start {step}"));
    let skip = advance.skip.iter().map(|(step, reason)| format!("skip {step}: {reason}"));
    let finished = advance.finished.iter().map(|status| format!("the run {status}"));
    ready.chain(skip).chain(finished).collect::<Vec<_>>().join("; ")
}

use CommitStatus::Cached;
use CommitStatus::Failed;
use CommitStatus::Rejected;
use CommitStatus::Succeeded;

#[test]
fn a_step_starts_when_all_before_it_are_settled() {
    let steps = [("a", step("a")), ("b", step("b")), ("join", with_inputs(step("join"), &["a", "b"]))];
    insta::assert_snapshot!(next(&steps, &[]), @"start a; start b");
    insta::assert_snapshot!(next(&steps, &[("a", settled(Succeeded))]), @"start b");
    insta::assert_snapshot!(next(&steps, &[("a", settled(Succeeded)), ("b", settled(Cached))]), @"start join");
}

#[test]
fn a_step_whose_data_was_never_made_is_skipped_and_one_that_only_comes_after_runs() {
    let steps = [
        ("maybe", step("maybe")),
        ("needs", with_inputs(step("needs"), &["maybe"])),
        ("follows", after(step("follows"), &["maybe"])),
    ];
    let skipped = [("maybe", skipped(SkipReason::Condition))];
    insta::assert_snapshot!(next(&steps, &skipped), @"start follows; skip needs: maybe, whose data it needs, was skipped");
}

#[test]
fn what_follows_a_failure_is_skipped_however_far_and_names_the_cause() {
    let steps = [
        ("broken", step("broken")),
        ("near", with_inputs(step("near"), &["broken"])),
        ("far", after(step("far"), &["near"])),
    ];
    insta::assert_snapshot!(next(&steps, &[("broken", settled(Failed))]), @"skip near: broken did not succeed");
    let near = ("near", skipped(SkipReason::Upstream(step_name("broken"))));
    insta::assert_snapshot!(next(&steps, &[("broken", settled(Failed)), near]), @"skip far: broken did not succeed");
}

#[test]
fn a_refused_gate_keeps_the_steps_after_it_from_running() {
    let steps = [("check", gate("1 > 2", &[])), ("deploy", after(step("deploy"), &["check"]))];
    insta::assert_snapshot!(next(&steps, &[("check", settled(Rejected))]), @"skip deploy: check did not succeed");
}

#[test]
fn finally_waits_for_all_others_and_runs_whatever_came_of_them() {
    let steps = [
        ("broken", step("broken")),
        ("other", step("other")),
        ("notify", finally(step("notify"))),
        ("report", finally(with_inputs(step("report"), &["other"]))),
        ("upload", finally(with_inputs(step("upload"), &["broken"]))),
        ("last", finally(after(step("last"), &["notify"]))),
    ];
    insta::assert_snapshot!(next(&steps, &[("broken", settled(Failed))]), @"start other");
    let body = [("broken", settled(Failed)), ("other", settled(Succeeded))];
    insta::assert_snapshot!(next(&steps, &body), @"start notify; start report; skip upload: broken did not succeed");
    let mut more = body.to_vec();
    more.push(("notify", settled(Failed)));
    insta::assert_snapshot!(next(&steps, &more), @"start last; start report; skip upload: broken did not succeed");
}

#[test]
fn the_worst_that_happened_to_a_step_happened_to_the_run() {
    let ended = |commits: &[(&'static str, Settled)]| {
        let steps: Vec<(&'static str, StepSpec)> = commits.iter().map(|(name, _)| (*name, step(name))).collect();
        let steps = release(steps).steps;
        let commits = commits.iter().map(|(name, settled)| (step_name(name), settled.clone())).collect();
        advance(&Graph::new(&steps).expect("a graph"), &steps, &commits).finished
    };
    let condition = || skipped(SkipReason::Condition);
    assert_eq!(ended(&[]), Some(RunStatus::Succeeded));
    assert_eq!(ended(&[("a", condition()), ("b", settled(Cached))]), Some(RunStatus::Succeeded));
    assert_eq!(ended(&[("a", condition()), ("b", settled(Rejected))]), Some(RunStatus::Rejected));
    assert_eq!(ended(&[("a", settled(Failed)), ("b", settled(Rejected))]), Some(RunStatus::Failed));
    let cancelled = skipped(SkipReason::Cancelled);
    assert_eq!(ended(&[("a", settled(Failed)), ("b", cancelled)]), Some(RunStatus::Cancelled));
}
