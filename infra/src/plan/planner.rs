//! The plan that makes an environment what the definition says. Its steps read as the policy: compare, create what is
//! missing, write and move to what is new, remove what is no longer defined, retire, collect.

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
use liminal_schemas::step::StepSpec;

use super::Desired;
use super::Observed;
use super::PlanError;
use super::Rollout;
use super::diff;
use super::draft::Draft;
use super::draft::NewCanary;
use super::draft::check_owner;
use super::draft::journal;
use super::draft::own_resources;
use super::draft::recorded_live;
use super::packages_of;
use super::permissions;
use super::recorded::Recorded;
use super::resources_of;
use super::runner_change;
use crate::state::LoadedState;

/// Makes the plan.
///
/// # Errors
/// When the definition is empty though something is deployed, or the state belongs to another project.
pub fn plan(desired: &Desired, state: Option<&LoadedState>, observed: &Observed) -> Result<Plan, PlanError> {
    check_owner(&desired.target, state)?;
    let mut planner = Planner::new(desired, state, observed);
    planner.refuse_to_empty()?;
    planner.decide();
    planner.explain_changes();
    planner.explain_cloud();
    planner.collect_resources();
    let mut draft = planner.draft;
    draft.note_journal(state);
    Ok(draft.finish(&desired.target, state, PlanPurpose::Apply))
}

/// The releases whose documents a plan needs to see: those that changes are shown against, and those that say which
/// resources are still in use. None when there is nothing to do, so that the usual plan reads no documents at all.
pub(crate) fn documents_needed(
    desired: &Desired,
    state: Option<&LoadedState>,
    observed: &Observed,
) -> BTreeSet<(PipelineName, Digest)> {
    let mut planner = Planner::new(desired, state, observed);
    planner.decide();
    let mut needed = BTreeSet::new();
    for (pipeline, revised) in &desired.releases {
        if let Some(live) = observed.live.get(pipeline)
            && *live != revised.revision
        {
            needed.insert((pipeline.clone(), *live));
        }
    }
    needed.extend(observed.live.iter().filter(|(name, _)| !desired.releases.contains_key(*name)).map(owned));
    if !planner.draft.is_empty() {
        let tried = observed.canaries.iter().map(|(name, canary)| (name.clone(), canary.revision));
        needed.extend(tried.filter(|(_, revision)| !planner.desired_revisions.contains(revision)));
    }
    if planner.may_collect() {
        needed.extend(
            planner.retained.iter().filter(|(_, revision)| !planner.desired_revisions.contains(revision)).cloned(),
        );
    }
    needed
}

/// The pipelines of which releases would be deleted if no run were pinned to any.
pub(crate) fn pipelines_that_lose_releases(
    desired: &Desired,
    state: Option<&LoadedState>,
    observed: &Observed,
) -> BTreeSet<PipelineName> {
    let mut planner = Planner::new(desired, state, observed);
    planner.decide();
    planner.draft.delete_releases.into_iter().map(|(pipeline, _)| pipeline).collect()
}

fn owned((pipeline, revision): (&PipelineName, &Digest)) -> (PipelineName, Digest) {
    (pipeline.clone(), *revision)
}

struct Planner<'a> {
    desired: &'a Desired,
    state: Option<&'a LoadedState>,
    observed: &'a Observed,
    desired_revisions: BTreeSet<Digest>,
    recorded: Recorded<'a>,
    needed: BTreeSet<ResourceAddress>,
    /// Releases that stay besides the desired ones: for rollback, or for runs that are pinned to them.
    retained: BTreeSet<(PipelineName, Digest)>,
    /// Those of them that can be rolled back to.
    kept: BTreeSet<Digest>,
    /// What is live and stays so, of pipelines whose release is tried beside it.
    beside: BTreeMap<PipelineName, Digest>,
    draft: Draft,
}

impl<'a> Planner<'a> {
    fn new(desired: &'a Desired, state: Option<&'a LoadedState>, observed: &'a Observed) -> Self {
        Self {
            desired,
            state,
            observed,
            desired_revisions: desired.releases.values().map(|revised| revised.revision).collect(),
            recorded: Recorded::of(state.map(|loaded| &loaded.state)),
            needed: desired.resources(),
            retained: BTreeSet::new(),
            kept: BTreeSet::new(),
            beside: BTreeMap::new(),
            draft: Draft { notes: desired.notes.clone(), ..Draft::default() },
        }
    }

    fn refuse_to_empty(&self) -> Result<(), PlanError> {
        let deployed = self.deployed();
        if self.desired.releases.is_empty() && !deployed.is_empty() {
            return Err(PlanError::NothingDefined(deployed.into_keys().collect()));
        }
        Ok(())
    }

    /// Everything but the explanations, which need documents of earlier releases.
    fn decide(&mut self) {
        self.move_pointers();
        self.remove_pipelines();
        self.create_resources();
        self.write_releases();
        self.retire();
    }

    /// The pipelines that are recorded or live, each with the revision it is at: what is live counts, else the record.
    fn deployed(&self) -> BTreeMap<PipelineName, Digest> {
        let recorded = self.state.into_iter().flat_map(|loaded| &loaded.state.pipelines);
        let mut deployed: BTreeMap<PipelineName, Digest> =
            recorded.map(|(name, pipeline)| (name.clone(), pipeline.live)).collect();
        deployed.extend(self.observed.live.iter().map(owned));
        deployed
    }

    fn move_pointers(&mut self) {
        let mut adopted = Vec::new();
        for (pipeline, revised) in &self.desired.releases {
            let live = self.observed.live.get(pipeline).copied();
            let recorded = recorded_live(self.state, pipeline);
            if live == Some(revised.revision) && recorded == live {
                self.end_canary(pipeline);
                continue;
            }
            if let Some(live) = live.filter(|live| *live != revised.revision)
                && let Rollout::Canary { share, tolerated } = self.desired.rollout
            {
                self.beside.insert(pipeline.clone(), live);
                self.try_beside(pipeline, NewCanary { live, revision: revised.revision, share, tolerated });
                continue;
            }
            self.note_end_of_canary(pipeline, revised.revision);
            if live == Some(revised.revision) {
                adopted.push(pipeline.as_str());
            } else if self.state.is_some() && live != recorded && journal(self.state).is_none() {
                let drift = match (live, recorded) {
                    (Some(live), Some(recorded)) => {
                        format!(
                            "pipeline {pipeline} is live at {}, though {} was applied",
                            live.short(),
                            recorded.short()
                        )
                    }
                    (Some(live), None) => {
                        format!("pipeline {pipeline} is live at {} without having been applied", live.short())
                    }
                    (None, _) => format!("the live pointer of pipeline {pipeline} is gone and is made again"),
                };
                self.draft.notes.push(drift);
            }
            self.draft.move_live.insert(pipeline.clone(), (live, revised.revision));
        }
        if !adopted.is_empty() {
            let note = format!("live already, and only to be recorded: {}", adopted.join(", "));
            self.draft.notes.push(note);
        }
    }

    /// Puts a release on trial, unless it is already.
    fn try_beside(&mut self, pipeline: &PipelineName, new: NewCanary) {
        let known = self.observed.canaries.get(pipeline);
        if known.is_some_and(|it| (it.revision, it.share, it.tolerated) == (new.revision, new.share, new.tolerated)) {
            let revision = new.revision.short();
            self.draft
                .notes
                .push(format!("the canary {revision} of {pipeline} goes on, with {} of the runs", new.share));
            return;
        }
        if let Some(other) = known.filter(|known| known.revision != new.revision) {
            let note = format!("the canary {} of {pipeline} makes way for the new one", other.revision.short());
            self.draft.notes.push(note);
        }
        self.draft.start_canary.insert(pipeline.clone(), new);
    }

    /// Takes off what is tried beside what the definition has.
    fn end_canary(&mut self, pipeline: &PipelineName) {
        let Some(canary) = self.observed.canaries.get(pipeline) else { return };
        let revision = canary.revision.short();
        self.draft.notes.push(format!("the canary {revision} of {pipeline} ends: the definition has what is live"));
        self.draft.end_canary.insert(pipeline.clone(), (canary.revision, None));
    }

    /// Says what becomes of what is on trial when a release becomes live whole.
    fn note_end_of_canary(&mut self, pipeline: &PipelineName, to: Digest) {
        let Some(canary) = self.observed.canaries.get(pipeline) else { return };
        let revision = canary.revision.short();
        self.draft.notes.push(if canary.revision == to {
            format!("the canary {revision} of {pipeline} becomes live for all runs")
        } else {
            format!("the canary {revision} of {pipeline} ends: the definition has another release by now")
        });
    }

    fn remove_pipelines(&mut self) {
        for (pipeline, revision) in self.deployed() {
            if !self.desired.releases.contains_key(&pipeline) {
                self.draft.documents.removed.insert(pipeline.clone());
                self.draft.remove_live.insert(pipeline, revision);
            }
        }
    }

    fn create_resources(&mut self) {
        for address in &self.needed {
            let recorded = self.state.and_then(|loaded| loaded.state.resources.get(address));
            let exists = self.observed.resources.contains(address);
            let wanted = self.desired.cloud.get(address).map(|resource| &resource.spec);
            let known = recorded.and_then(|record| record.resource.as_ref()).map(|resource| &resource.spec);
            // What is known by its name alone can come to have another document.
            let is_same = wanted == known;
            if recorded.is_some() && is_same && !exists {
                let kind = address.kind.as_str();
                self.draft.notes.push(match wanted {
                    Some(spec) => format!("{kind} {} is gone or was changed, and is made again", spec.name()),
                    None => format!("{kind} {} is gone, and is made again", address.digest.short()),
                });
            }
            if !(recorded.is_some() && is_same && exists) {
                self.draft.create_resources.insert(address.clone());
            }
        }
        self.draft.add_resources(self.desired.cloud.iter());
        self.draft.add_packages(self.desired.packages.iter().map(|(digest, spec)| (*digest, spec)));
    }

    fn write_releases(&mut self) {
        for (pipeline, revised) in &self.desired.releases {
            let exists = self.observed.releases.get(pipeline).is_some_and(|known| known.contains(&revised.revision));
            let is_tried = self.beside.contains_key(pipeline) && !self.draft.start_canary.contains_key(pipeline);
            let moves = self.observed.live.get(pipeline) != Some(&revised.revision) && !is_tried;
            if !exists && !moves {
                self.draft.notes.push(format!("the live release of pipeline {pipeline} is gone, and is written again"));
            }
            if !exists || moves {
                self.draft.write_releases.insert((pipeline.clone(), revised.revision));
                self.draft.documents.releases.insert(revised.revision, revised.release.clone());
            }
        }
    }

    /// Keeps the newest of the releases that were live, and deletes the others unless a run still needs them.
    fn retire(&mut self) {
        let mut pipelines: BTreeSet<&PipelineName> = self.desired.releases.keys().collect();
        pipelines.extend(self.observed.releases.keys());
        pipelines.extend(self.state.into_iter().flat_map(|loaded| loaded.state.pipelines.keys()));
        for pipeline in pipelines {
            self.retire_in(pipeline);
        }
    }

    fn retire_in(&mut self, pipeline: &PipelineName) {
        let desired = self.desired.releases.get(pipeline).map(|revised| revised.revision);
        let nothing = BTreeSet::new();
        let existing = self.observed.releases.get(pipeline).unwrap_or(&nothing);
        let before = self.state.and_then(|loaded| loaded.state.pipelines.get(pipeline));
        let live = self.observed.live.get(pipeline);
        let mut past: Vec<Digest> = live.into_iter().copied().collect();
        match before {
            Some(before) => {
                past.push(before.live);
                past.extend(&before.retired);
            }
            // Nothing is recorded of a pipeline that is live: its other releases are all that is left to go back to.
            None if live.is_some() => past.extend(existing),
            None => {}
        }
        let mut seen: BTreeSet<Digest> = desired.into_iter().collect();
        // What stays live beside a release on trial is no release of the past.
        if let Some(live) = self.beside.get(pipeline) {
            seen.insert(*live);
            self.retained.insert((pipeline.clone(), *live));
            self.kept.insert(*live);
        }
        past.retain(|revision| seen.insert(*revision));

        let keep = if desired.is_some() { self.desired.target.keep } else { 0 };
        let (gone, there): (Vec<Digest>, Vec<Digest>) =
            past.into_iter().partition(|revision| !existing.contains(revision));
        let pinned = |revision: &Digest| self.observed.pinned.contains(revision);
        // On one machine a release that runs refer to is whole as long as it stays. In the cloud, what carries it out is
        // removed once its runs have ended, so that there is no going back to it.
        let can_go_back = |revision: &Digest| desired.is_some() && !self.is_cloud() && pinned(revision);
        let mut retired = Vec::new();
        let mut surplus = gone;
        for (index, revision) in there.into_iter().enumerate() {
            if index < keep || can_go_back(&revision) {
                retired.push(revision);
            } else {
                surplus.push(revision);
            }
        }
        surplus.extend(existing.iter().filter(|revision| !seen.contains(*revision)));
        for revision in surplus {
            if existing.contains(&revision) && pinned(&revision) {
                self.retained.insert((pipeline.clone(), revision));
            } else if existing.contains(&revision) || before.is_some_and(|before| before.retired.contains(&revision)) {
                self.draft.delete_releases.insert((pipeline.clone(), revision));
            }
        }
        self.retained.extend(retired.iter().map(|revision| (pipeline.clone(), *revision)));
        self.kept.extend(&retired);
        if self.draft.move_live.contains_key(pipeline) && !retired.is_empty() {
            self.draft.documents.retired.insert(pipeline.clone(), retired);
        }
    }

    fn explain_changes(&mut self) {
        for (pipeline, revised) in &self.desired.releases {
            let from = self.observed.live.get(pipeline).copied();
            let trial = self.draft.start_canary.get(pipeline);
            let is_tried = self.beside.contains_key(pipeline) && trial.is_none();
            if from == Some(revised.revision) || is_tried {
                self.draft.unchanged += 1;
                continue;
            }
            let before = from.and_then(|revision| self.observed.known_releases.get(&revision));
            let packages = diff::Packages { before: &self.observed.known_packages, after: &self.desired.packages };
            let difference = diff::releases(before, Some(&revised.release), packages);
            self.draft.changes.push(PipelineChange {
                pipeline: pipeline.clone(),
                action: if from.is_some() { ChangeAction::Update } else { ChangeAction::Create },
                from,
                to: Some(revised.revision),
                canary: trial.map(|trial| trial.share),
                fields: difference.fields,
                steps: difference.steps,
                unchanged_steps: difference.unchanged_steps,
                forecast: BTreeMap::new(),
            });
        }
        for (pipeline, revision) in &self.draft.remove_live {
            let before = self.observed.known_releases.get(revision);
            let packages = diff::Packages { before: &self.observed.known_packages, after: &self.desired.packages };
            let difference = diff::releases(before, None, packages);
            self.draft.changes.push(PipelineChange {
                pipeline: pipeline.clone(),
                action: ChangeAction::Delete,
                from: Some(*revision),
                to: None,
                canary: None,
                fields: Vec::new(),
                steps: difference.steps,
                unchanged_steps: 0,
                forecast: BTreeMap::new(),
            });
        }
        self.draft.changes.sort_by(|one, other| one.pipeline.cmp(&other.pipeline));
    }

    fn is_cloud(&self) -> bool {
        self.desired.is_cloud() || !self.recorded.is_empty()
    }

    /// What the changes mean in the cloud: where steps run, what may be done, which functions are made again.
    fn explain_cloud(&mut self) {
        if !self.is_cloud() {
            return;
        }
        let changed: BTreeSet<_> = self
            .draft
            .changes
            .iter()
            .flat_map(|change| change.steps.iter().map(|step| (&change.pipeline, &step.step)))
            .collect();
        let placements = self.desired.placements.iter();
        let placements = placements.filter(|it| changed.contains(&(&it.pipeline, &it.step))).cloned().collect();
        self.draft.placements = placements;
        let mut after = permissions::roles(self.desired.cloud.values());
        // What is live beside a release on trial goes on with the roles that it has.
        let beside = self.beside.values().filter_map(|live| self.observed.known_releases.get(live));
        let beside = beside.flat_map(|release| release.steps.values().map(StepSpec::digest)).collect();
        for (subject, role) in self.recorded.roles_of_steps(&beside) {
            after.entry(subject).or_insert(role);
        }
        self.draft.permissions = permissions::changes(&self.roles_in_use(), &after);
        let created = self.draft.create_resources.iter();
        let note = runner_change::note(&self.recorded, &self.desired.cloud, created);
        self.draft.notes.extend(note);
    }

    /// The roles of what is live; all that are recorded when a live release can not be read.
    fn roles_in_use(&self) -> permissions::Roles<'a> {
        let mut steps = BTreeSet::new();
        let tried = self.observed.canaries.values().map(|canary| &canary.revision);
        for revision in self.observed.live.values().chain(tried) {
            let desired = self.desired.releases.values().find(|revised| revised.revision == *revision);
            let release =
                desired.map(|revised| &revised.release).or_else(|| self.observed.known_releases.get(revision));
            let Some(release) = release else {
                return permissions::roles(self.recorded.iter().map(|(_, resource)| resource));
            };
            steps.extend(release.steps.values().map(StepSpec::digest));
        }
        self.recorded.roles_of(&steps)
    }

    /// What liminal made and nobody needs, as far as it is not data: all that may be removed when no release is kept.
    /// What another document takes the place of is not removed, but made over.
    fn collectable(&self) -> BTreeSet<ResourceAddress> {
        let names: BTreeSet<String> =
            self.desired.cloud.values().filter_map(|resource| resource.spec.lasting_name()).collect();
        let made_over = |address: &ResourceAddress| {
            let name = self.recorded.get(address).and_then(|resource| resource.spec.lasting_name());
            name.is_some_and(|name| names.contains(&name))
        };
        let mut collectable = own_resources(self.state);
        collectable.retain(|address| {
            // Logs are data, as far as there are any: an apply that died may have left no more than the intent.
            let is_data = address.kind == ResourceKind::Logs && self.observed.resources.contains(address);
            !self.needed.contains(address) && !is_data && !made_over(address)
        });
        collectable
    }

    /// Whether resources could have gone out of use: something changes, and there are more of them than are needed.
    fn may_collect(&self) -> bool {
        let changes = !self.draft.is_empty() || journal(self.state).is_some();
        changes && !self.collectable().is_empty()
    }

    fn collect_resources(&mut self) {
        if !self.may_collect() {
            return;
        }
        let mut used = self.needed.clone();
        for (pipeline, revision) in &self.retained {
            let Some(in_use) = resources_in_use(revision, self.desired, self.observed) else {
                let note = format!(
                    "unused resources are kept: the release {} of {pipeline} can not be read, so that nobody knows what it uses",
                    revision.short()
                );
                self.draft.notes.push(note);
                return;
            };
            used.extend(in_use);
        }
        used.extend(self.recorded.serving(&self.steps_kept()));
        self.draft.delete_resources =
            self.collectable().into_iter().filter(|address| !used.contains(address)).collect();
    }

    /// The digests of steps of releases that can be rolled back to and of runs that have not ended, but for those that
    /// the desired releases have too: what carries these out is desired itself.
    fn steps_kept(&self) -> BTreeSet<Digest> {
        let kept = self.kept.iter().filter_map(|revision| self.observed.known_releases.get(revision));
        let mut steps: BTreeSet<Digest> =
            kept.flat_map(|release| release.steps.values().map(StepSpec::digest)).collect();
        steps.extend(&self.observed.open_steps);
        for revised in self.desired.releases.values() {
            for spec in revised.release.steps.values() {
                steps.remove(&spec.digest());
            }
        }
        steps
    }
}

/// The resources of a release, if it and its packages are known.
fn resources_in_use(revision: &Digest, desired: &Desired, observed: &Observed) -> Option<Vec<ResourceAddress>> {
    if desired.releases.values().any(|revised| revised.revision == *revision) {
        return Some(Vec::new());
    }
    let release = observed.known_releases.get(revision)?;
    let mut resources = Vec::new();
    for digest in packages_of(release) {
        let spec = observed.known_packages.get(&digest).or_else(|| desired.packages.get(&digest))?;
        resources.extend(resources_of(digest, spec));
    }
    Some(resources)
}
