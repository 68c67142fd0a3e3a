//! The plan that makes an earlier release live again: one pointer per pipeline moves, nothing is built or deleted.

use std::collections::BTreeMap;

use liminal_schemas::digest::Digest;
use liminal_schemas::name::PipelineName;
use liminal_schemas::plan::ChangeAction;
use liminal_schemas::plan::PipelineChange;
use liminal_schemas::plan::Plan;
use liminal_schemas::plan::PlanPurpose;

use super::Observed;
use super::PlanError;
use super::Target;
use super::diff;
use super::draft::Draft;
use super::draft::check_owner;
use super::packages_of;
use super::resources_of;
use crate::state::LoadedState;

/// Makes the plan. Each pipeline goes to the revision that is given, or else to the newest that was retired; what was
/// live becomes the newest retired one, so that a second rollback undoes the first.
///
/// `observed` must know the releases concerned, live and kept.
///
/// # Errors
/// When a pipeline is not deployed, or has no such release.
pub fn plan_rollback(
    target: &Target,
    state: Option<&LoadedState>,
    observed: &Observed,
    pipelines: &BTreeMap<PipelineName, Option<Digest>>,
) -> Result<Plan, PlanError> {
    check_owner(target, state)?;
    let mut draft = Draft::default();
    for (pipeline, to) in pipelines {
        let deployed = state.and_then(|loaded| loaded.state.pipelines.get(pipeline));
        let deployed = deployed.ok_or_else(|| PlanError::NotDeployed(pipeline.clone()))?;
        let to = match to {
            None => *deployed.retired.first().ok_or_else(|| PlanError::NoEarlier(pipeline.clone()))?,
            Some(to) if deployed.retired.contains(to) => *to,
            Some(to) => {
                let kept = deployed.retired.clone();
                return Err(PlanError::NotKept { pipeline: pipeline.clone(), revision: *to, kept });
            }
        };
        let release = observed
            .known_releases
            .get(&to)
            .ok_or_else(|| PlanError::ReleaseGone { pipeline: pipeline.clone(), revision: to })?;
        for digest in packages_of(release) {
            let Some(spec) = observed.known_packages.get(&digest) else { continue };
            let resources = resources_of(digest, spec);
            draft.create_resources.extend(resources.filter(|address| !observed.resources.contains(address)));
        }
        let from = observed.live.get(pipeline).copied();
        let mut retired = vec![deployed.live];
        retired.extend(deployed.retired.iter().filter(|revision| **revision != to));
        draft.move_live.insert(pipeline.clone(), (from, to));
        draft.documents.retired.insert(pipeline.clone(), retired);
        draft.documents.releases.insert(to, release.clone());
        let before = observed.known_releases.get(&from.unwrap_or(deployed.live));
        let packages = diff::Packages { before: &observed.known_packages, after: &observed.known_packages };
        let difference = diff::releases(before, Some(release), packages);
        draft.changes.push(PipelineChange {
            pipeline: pipeline.clone(),
            action: ChangeAction::Update,
            from,
            to: Some(to),
            fields: difference.fields,
            steps: difference.steps,
            unchanged_steps: difference.unchanged_steps,
            forecast: BTreeMap::new(),
        });
    }
    draft.add_packages(observed.known_packages.iter().map(|(digest, spec)| (*digest, spec)));
    draft.unchanged = state.map_or(0, |loaded| loaded.state.pipelines.len()).saturating_sub(pipelines.len());
    draft.note_journal(state);
    Ok(draft.finish(target, state, PlanPurpose::Rollback))
}
