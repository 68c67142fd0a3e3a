//! The plan that removes everything but data: runs, artifacts, models, cache and history stay.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::digest::Digest;
use liminal_schemas::name::PipelineName;
use liminal_schemas::plan::ChangeAction;
use liminal_schemas::plan::PipelineChange;
use liminal_schemas::plan::Plan;
use liminal_schemas::plan::PlanPurpose;
use liminal_schemas::state::ResourceAddress;
use liminal_schemas::state::ResourceKind;

use super::Observed;
use super::PlanError;
use super::Target;
use super::draft::Draft;
use super::draft::check_owner;
use super::draft::own_resources;
use super::packages_of;
use super::recorded::Recorded;
use super::resources_of;
use crate::state::LoadedState;

/// Makes the plan. Releases that runs are pinned to stay, with their packages. In the cloud, what carries out the steps of
/// runs that have not ended stays too, and so do logs, unless data is deleted.
///
/// # Errors
/// When the state belongs to another project.
pub fn plan_destroy(
    target: &Target,
    state: Option<&LoadedState>,
    observed: &Observed,
    delete_data: bool,
) -> Result<Plan, PlanError> {
    check_owner(target, state)?;
    let recorded = Recorded::of(state.map(|loaded| &loaded.state));
    let mut draft = Draft::default();
    let mut releases: BTreeSet<(PipelineName, Digest)> = BTreeSet::new();
    for (pipeline, deployed) in state.into_iter().flat_map(|loaded| &loaded.state.pipelines) {
        draft.remove_live.insert(pipeline.clone(), deployed.live);
        releases.extend(deployed.retired.iter().map(|revision| (pipeline.clone(), *revision)));
    }
    draft.remove_live.extend(observed.live.iter().map(|(pipeline, revision)| (pipeline.clone(), *revision)));
    for (pipeline, existing) in &observed.releases {
        releases.extend(existing.iter().map(|revision| (pipeline.clone(), *revision)));
    }
    let mut used = Some(BTreeSet::new());
    let mut kept = 0_usize;
    for (pipeline, revision) in releases {
        if observed.pinned.contains(&revision) {
            kept += 1;
            used = used.and_then(|mut used: BTreeSet<_>| {
                for digest in packages_of(observed.known_releases.get(&revision)?) {
                    used.extend(resources_of(digest, observed.known_packages.get(&digest)?));
                }
                Some(used)
            });
        } else {
            draft.delete_releases.insert((pipeline, revision));
        }
    }
    if kept > 0 {
        draft.notes.push(format!("{kept} releases stay with what they need, since records of runs refer to them"));
    }
    match used {
        Some(used) => {
            let in_use = recorded.serving(&observed.open_steps);
            let mut deleted = own_resources(state);
            deleted.retain(|address| !used.contains(address) && !in_use.contains(address));
            draft.delete_resources = deleted;
            note_in_use(&mut draft, &in_use);
            if !delete_data {
                keep_logs(&mut draft, observed);
            }
        }
        None => draft.notes.push("resources are kept: a release that a run still needs can not be read".to_owned()),
    }
    for (pipeline, revision) in &draft.remove_live {
        draft.documents.removed.insert(pipeline.clone());
        draft.changes.push(PipelineChange {
            pipeline: pipeline.clone(),
            action: ChangeAction::Delete,
            from: Some(*revision),
            to: None,
            canary: None,
            fields: Vec::new(),
            steps: Vec::new(),
            unchanged_steps: 0,
            forecast: BTreeMap::new(),
        });
    }
    draft.note_journal(state);
    Ok(draft.finish(target, state, PlanPurpose::Destroy))
}

fn note_in_use(draft: &mut Draft, in_use: &BTreeSet<ResourceAddress>) {
    if !in_use.is_empty() {
        draft.notes.push(format!(
            "{} resources stay, since runs that have not ended need them: cancel these, and destroy again",
            in_use.len()
        ));
    }
}

/// Logs are data, as far as there are any.
fn keep_logs(draft: &mut Draft, observed: &Observed) {
    let before = draft.delete_resources.len();
    draft
        .delete_resources
        .retain(|address| address.kind != ResourceKind::Logs || !observed.resources.contains(address));
    match before - draft.delete_resources.len() {
        0 => {}
        1 => draft.notes.push("one log group stays, since it holds data".to_owned()),
        count => draft.notes.push(format!("{count} log groups stay, since they hold data")),
    }
}
