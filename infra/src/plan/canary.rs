//! The plans that end a canary: it becomes live for all runs, or comes off. Nothing is built.

use liminal_schemas::aws::AwsPlace;
use liminal_schemas::plan::Plan;
use liminal_schemas::plan::PlanPurpose;

use super::Observed;
use super::PlanError;
use super::Target;
use super::draft::Draft;
use super::draft::check_owner;
use super::recorded::Recorded;
use super::rollback::Moved;
use super::rollback::follow_in_cloud;
use super::rollback::live_releases;
use super::rollback::make_live;
use crate::state::LoadedState;

/// Makes the plan that makes all that is on trial live. What was live can be rolled back to.
///
/// `observed` must know the releases that are live and on trial. `place` is where the environment is, in the cloud.
///
/// # Errors
/// When nothing is on trial, or a release of it is gone.
pub fn plan_promote(
    target: &Target,
    state: &LoadedState,
    observed: &Observed,
    place: Option<&AwsPlace>,
) -> Result<Plan, PlanError> {
    check_owner(target, Some(state))?;
    let recorded = Recorded::of(Some(&state.state));
    let mut draft = Draft::default();
    let mut live = live_releases(observed);
    for (pipeline, canary) in &observed.canaries {
        let Some(deployed) = state.state.pipelines.get(pipeline) else { continue };
        let to = canary.revision;
        let mut retired = vec![deployed.live];
        retired.extend(deployed.retired.iter().filter(|revision| **revision != to));
        make_live(&mut draft, observed, &recorded, &mut live, Moved { pipeline, from: deployed.live, to, retired })?;
    }
    if draft.move_live.is_empty() {
        return Err(PlanError::NoCanary);
    }
    if !recorded.is_empty() {
        let place = place.ok_or(PlanError::NoPlace)?;
        follow_in_cloud(&mut draft, target, place, observed, &recorded, &live);
    }
    draft.add_packages(observed.known_packages.iter().map(|(digest, spec)| (*digest, spec)));
    draft.unchanged = state.state.pipelines.len().saturating_sub(draft.move_live.len());
    draft.note_journal(Some(state));
    Ok(draft.finish(target, Some(state), PlanPurpose::Promote))
}

/// Makes the plan that takes off all that is on trial, so that nothing makes it live by itself. What carries it out stays
/// until the next apply collects it.
///
/// # Errors
/// When nothing is on trial.
pub fn plan_abort(target: &Target, state: &LoadedState, observed: &Observed, reason: &str) -> Result<Plan, PlanError> {
    check_owner(target, Some(state))?;
    let mut draft = Draft::default();
    for (pipeline, canary) in &observed.canaries {
        draft.end_canary.insert(pipeline.clone(), (canary.revision, Some(reason.to_owned())));
    }
    if draft.end_canary.is_empty() {
        return Err(PlanError::NoCanary);
    }
    draft.unchanged = state.state.pipelines.len();
    draft.note_journal(Some(state));
    Ok(draft.finish(target, Some(state), PlanPurpose::Abort))
}
