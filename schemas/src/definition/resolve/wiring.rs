//! What waits for what, where steps that are pipelines stand for several.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::finding::Code;
use crate::finding::Finding;
use crate::name::StepName;
use crate::step::StepSpec;

use super::Peer;
use super::Scope;

/// Writes down what waits for what without data from it: a step that is a pipeline stands for its first steps where it waits,
/// and for its last ones where others wait for it.
pub(super) fn wire(scope: &Scope<'_>, specs: &mut BTreeMap<StepName, StepSpec>) {
    for peer in scope.steps.values() {
        let targets = peer.definition.after.iter().filter_map(|target| scope.steps.get(target.value.as_str()));
        let targets: BTreeSet<StepName> = targets.flat_map(|target| last_of(scope, target, specs)).collect();
        put_after(scope, peer, &targets, specs);
    }
    if !scope.nesting.finally {
        return;
    }
    // All of it comes last in the run, and what stands under `finally:` in it comes last of that.
    let body = scope.steps.values().filter(|peer| !peer.finally);
    let body: BTreeSet<StepName> = body.flat_map(|peer| last_of(scope, peer, specs)).collect();
    let followed: BTreeSet<StepName> =
        body.iter().filter_map(|step| specs.get(step)).flat_map(StepSpec::parents).cloned().collect();
    let last: BTreeSet<StepName> = body.difference(&followed).cloned().collect();
    for peer in scope.steps.values().filter(|peer| peer.finally) {
        put_after(scope, peer, &last, specs);
    }
}

fn put_after(
    scope: &Scope<'_>,
    peer: &Peer<'_>,
    targets: &BTreeSet<StepName>,
    specs: &mut BTreeMap<StepName, StepSpec>,
) {
    for step in first_of(scope, peer, specs) {
        if let Some(spec) = specs.get_mut(&step) {
            spec.after.extend(targets.iter().filter(|target| **target != step).cloned());
        }
    }
}

/// The steps that a step stands for, but for those that end the run.
fn steps_in<'s>(
    scope: &'s Scope<'_>,
    peer: &'s Peer<'_>,
    specs: &'s BTreeMap<StepName, StepSpec>,
) -> BTreeMap<&'s StepName, &'s StepSpec> {
    let Some(full) = scope.full(peer.name) else { return BTreeMap::new() };
    let last = scope.nesting.finally || peer.finally;
    let within = |step: &StepName| *step == full || step.is_within(&full);
    specs.iter().filter(|(step, spec)| within(step) && (last || !spec.finally)).collect()
}

fn first_of(scope: &Scope<'_>, peer: &Peer<'_>, specs: &BTreeMap<StepName, StepSpec>) -> Vec<StepName> {
    let within = steps_in(scope, peer, specs);
    let is_first = |spec: &StepSpec| !spec.parents().into_iter().any(|parent| within.contains_key(parent));
    within.iter().filter(|(_, spec)| is_first(spec)).map(|(step, _)| (*step).clone()).collect()
}

fn last_of(scope: &Scope<'_>, peer: &Peer<'_>, specs: &BTreeMap<StepName, StepSpec>) -> Vec<StepName> {
    let within = steps_in(scope, peer, specs);
    let followed: BTreeSet<&StepName> = within.values().flat_map(|spec| spec.parents()).collect();
    within.keys().filter(|step| !followed.contains(**step)).map(|step| (*step).clone()).collect()
}

/// What keeps the steps of pipelines in each other from having names of their own in the cloud.
pub(super) fn clash(scope: &Scope<'_>, specs: &BTreeMap<StepName, StepSpec>) -> Option<Finding> {
    let mut seen: BTreeMap<String, &StepName> = BTreeMap::new();
    for step in specs.keys() {
        if let Some(other) = seen.insert(step.as_str().replace('/', crate::aws::names::STEP_SEPARATOR), step) {
            let top = |step: &StepName| step.as_str().split('/').next().map(str::to_owned).unwrap_or_default();
            let (one, two) = (scope.steps.get(top(step).as_str())?, scope.steps.get(top(other).as_str())?);
            let message = format!("steps {other} and {step} would have the same name in the cloud");
            let finding = Finding::error(Code::DuplicateKey, one.key, message).related(two.key, "the other is here");
            return Some(finding.hint("give one of them another name"));
        }
    }
    None
}
