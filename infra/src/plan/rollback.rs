//! The plan that makes an earlier release live again: one pointer per pipeline moves. Nothing is built; in the cloud, what
//! starts runs follows the release.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::aws::AwsPlace;
use liminal_schemas::digest::Digest;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::StepName;
use liminal_schemas::plan::ChangeAction;
use liminal_schemas::plan::PipelineChange;
use liminal_schemas::plan::Plan;
use liminal_schemas::plan::PlanPurpose;
use liminal_schemas::release::Release;
use liminal_schemas::state::ResourceKind;
use liminal_schemas::step::StepSpec;

use super::Observed;
use super::PlanError;
use super::Revised;
use super::Target;
use super::diff;
use super::draft::Draft;
use super::draft::check_owner;
use super::environment_wide;
use super::packages_of;
use super::permissions;
use super::recorded::Recorded;
use super::resources_of;
use crate::state::LoadedState;

/// Makes the plan. Each pipeline goes to the revision that is given, or else to the newest that was retired; what was
/// live becomes the newest retired one, so that a second rollback undoes the first.
///
/// `observed` must know the releases concerned, live and kept. `place` is where the environment is, in the cloud.
///
/// # Errors
/// When a pipeline is not deployed, or has no such release.
pub fn plan_rollback(
    target: &Target,
    state: Option<&LoadedState>,
    observed: &Observed,
    pipelines: &BTreeMap<PipelineName, Option<Digest>>,
    place: Option<&AwsPlace>,
) -> Result<Plan, PlanError> {
    check_owner(target, state)?;
    let recorded = Recorded::of(state.map(|loaded| &loaded.state));
    let mut draft = Draft::default();
    let mut live = live_releases(observed);
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
        let mut retired = vec![deployed.live];
        retired.extend(deployed.retired.iter().filter(|revision| **revision != to));
        if let Some(canary) = observed.canaries.get(pipeline) {
            draft.notes.push(format!("the canary {} of {pipeline} ends", canary.revision.short()));
        }
        make_live(&mut draft, observed, &recorded, &mut live, Moved { pipeline, from: deployed.live, to, retired })?;
    }
    if !recorded.is_empty() {
        let place = place.ok_or(PlanError::NoPlace)?;
        follow_in_cloud(&mut draft, target, place, observed, &recorded, &live);
    }
    draft.add_packages(observed.known_packages.iter().map(|(digest, spec)| (*digest, spec)));
    draft.unchanged = state.map_or(0, |loaded| loaded.state.pipelines.len()).saturating_sub(pipelines.len());
    draft.note_journal(state);
    Ok(draft.finish(target, state, PlanPurpose::Rollback))
}

/// A pipeline another release of which becomes live, without a definition at hand.
pub(super) struct Moved<'a> {
    /// The pipeline.
    pub(super) pipeline: &'a PipelineName,
    /// The revision that is recorded as live.
    pub(super) from: Digest,
    /// The revision that becomes live.
    pub(super) to: Digest,
    /// The revisions that can be gone back to afterwards, newest first.
    pub(super) retired: Vec<Digest>,
}

/// Lets the live pointer of a pipeline move to a release which was deployed before.
pub(super) fn make_live(
    draft: &mut Draft,
    observed: &Observed,
    recorded: &Recorded<'_>,
    live: &mut BTreeMap<PipelineName, Revised>,
    moved: Moved<'_>,
) -> Result<(), PlanError> {
    let Moved { pipeline, from: deployed, to, retired } = moved;
    let release = observed
        .known_releases
        .get(&to)
        .ok_or_else(|| PlanError::ReleaseGone { pipeline: pipeline.clone(), revision: to })?;
    for digest in packages_of(release) {
        let Some(spec) = observed.known_packages.get(&digest) else { continue };
        let resources = resources_of(digest, spec);
        let resources = resources.filter(|it| recorded.is_empty() || it.kind != ResourceKind::Python);
        draft.create_resources.extend(resources.filter(|address| !observed.resources.contains(address)));
    }
    if !recorded.is_empty() {
        check_carried_out(recorded, pipeline, to, release)?;
    }
    let from = observed.live.get(pipeline).copied();
    draft.move_live.insert(pipeline.clone(), (from, to));
    draft.documents.retired.insert(pipeline.clone(), retired);
    draft.documents.releases.insert(to, release.clone());
    let before = observed.known_releases.get(&from.unwrap_or(deployed));
    let packages = diff::Packages { before: &observed.known_packages, after: &observed.known_packages };
    let difference = diff::releases(before, Some(release), packages);
    live.insert(pipeline.clone(), Revised { revision: to, release: release.clone() });
    draft.changes.push(PipelineChange {
        pipeline: pipeline.clone(),
        action: ChangeAction::Update,
        from,
        to: Some(to),
        canary: None,
        fields: difference.fields,
        steps: difference.steps,
        unchanged_steps: difference.unchanged_steps,
        forecast: BTreeMap::new(),
    });
    Ok(())
}

/// The releases that are live, as far as they are known.
pub(super) fn live_releases(observed: &Observed) -> BTreeMap<PipelineName, Revised> {
    let known = observed.live.iter().filter_map(|(pipeline, revision)| {
        let release = observed.known_releases.get(revision)?.clone();
        Some((pipeline.clone(), Revised { revision: *revision, release }))
    });
    known.collect()
}

/// Refuses a release some of whose steps nothing would carry out.
fn check_carried_out(
    recorded: &Recorded<'_>,
    pipeline: &PipelineName,
    revision: Digest,
    release: &Release,
) -> Result<(), PlanError> {
    let processes = release.steps.iter().filter(|(_, spec)| !spec.action.is_inline());
    let lost = processes.filter(|(_, spec)| !recorded.carries_out(&spec.digest()));
    let steps: Vec<StepName> = lost.map(|(step, _)| step.clone()).collect();
    if steps.is_empty() {
        return Ok(());
    }
    Err(PlanError::ResourcesGone { pipeline: pipeline.clone(), revision, steps })
}

fn step_digests<'a>(releases: impl Iterator<Item = &'a Release>) -> BTreeSet<Digest> {
    releases.flat_map(|release| release.steps.values().map(StepSpec::digest)).collect()
}

/// Makes again what the steps need and is gone, and lets what starts runs follow the releases that become live.
pub(super) fn follow_in_cloud(
    draft: &mut Draft,
    target: &Target,
    place: &AwsPlace,
    observed: &Observed,
    recorded: &Recorded<'_>,
    live: &BTreeMap<PipelineName, Revised>,
) {
    let before = step_digests(observed.live.values().filter_map(|revision| observed.known_releases.get(revision)));
    let after = step_digests(live.values().map(|revised| &revised.release));
    let gone = recorded.serving(&after).into_iter().filter(|address| !observed.resources.contains(address));
    for address in gone {
        if let Some(resource) = recorded.get(&address) {
            draft.notes.push(format!(
                "{} {} is gone or was changed, and is made again",
                address.kind.as_str(),
                resource.spec.name()
            ));
        }
        draft.create_resources.insert(address);
    }
    let wide = environment_wide::of(target, place, recorded, live, &after);
    for (address, resource) in &wide {
        let is_known = recorded.get(address).is_some_and(|known| known.spec == resource.spec);
        if !(is_known && observed.resources.contains(address)) {
            draft.create_resources.insert(address.clone());
        }
    }
    if !wide.is_empty() {
        draft.delete_resources.extend(environment_wide::replaced(recorded, &wide));
    }
    let roles = permissions::roles(wide.values());
    let mut roles_after = recorded.roles_of(&after);
    roles_after.extend(roles);
    draft.permissions = permissions::changes(&recorded.roles_of(&before), &roles_after);
    draft.add_resources(recorded.iter().chain(&wide));
}
