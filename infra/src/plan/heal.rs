//! The plan that puts back what is recorded: resources that drifted are made again from their documents, and live pointers
//! go back to where the state has them. The definition has no say, so that a rollback stays one.

use liminal_schemas::definition::resolve::Resolved;
use liminal_schemas::plan::Plan;
use liminal_schemas::plan::PlanPurpose;

use super::Observed;
use super::PlanError;
use super::Target;
use super::draft::Draft;
use super::draft::check_owner;
use super::recorded::Recorded;
use crate::drift::Drift;
use crate::state::LoadedState;

/// Makes the plan. `observed` must know the releases that are live and kept; `resolved` is the definition of the commit that
/// was applied last, from which lost documents come back. Nothing is ever deleted.
///
/// # Errors
/// When the state belongs to another project.
pub fn plan_heal(
    target: &Target,
    state: &LoadedState,
    observed: &Observed,
    drift: &Drift,
    resolved: Option<&Resolved>,
) -> Result<Plan, PlanError> {
    check_owner(target, Some(state))?;
    let mut draft = Draft::default();
    draft.create_resources.extend(drift.resources.iter().map(|resource| resource.address.clone()));
    for (pipeline, revision) in &drift.releases {
        let release = resolved.and_then(|resolved| resolved.releases.get(pipeline));
        match release.filter(|release| release.revision() == *revision) {
            Some(release) => {
                draft.write_releases.insert((pipeline.clone(), *revision));
                draft.documents.releases.insert(*revision, release.clone());
            }
            None => draft.notes.push(format!(
                "release {} of {pipeline} is gone, and the applied commit has another one: apply a commit to mend it",
                revision.short()
            )),
        }
    }
    for pointer in &drift.pointers {
        let Some(deployed) = state.state.pipelines.get(&pointer.pipeline) else { continue };
        let there = observed.releases.get(&pointer.pipeline).is_some_and(|known| known.contains(&deployed.live));
        if !there && !draft.documents.releases.contains_key(&deployed.live) {
            continue;
        }
        draft.move_live.insert(pointer.pipeline.clone(), (pointer.found, deployed.live));
        draft.documents.retired.insert(pointer.pipeline.clone(), deployed.retired.clone());
    }
    draft.add_resources(Recorded::of(Some(&state.state)).iter());
    let of_commit = resolved.into_iter().flat_map(|resolved| &resolved.packages);
    let packages = observed.known_packages.iter().chain(of_commit);
    draft.add_packages(packages.map(|(digest, spec)| (*digest, spec)));
    draft.unchanged = state.state.pipelines.len();
    let mut plan = draft.finish(target, Some(state), PlanPurpose::Heal);
    // An apply that was interrupted is for the next apply to take up.
    plan.has_changes = !plan.operations.is_empty();
    Ok(plan)
}
