//! The engine: takes operations in the order of the plan, records each in the state, and never moves a pointer before
//! the state knows all that the pointer's release is made of.

use std::collections::BTreeSet;
use std::path::Path;

use liminal_schemas::digest::Digest;
use liminal_schemas::gitops::Trigger;
use liminal_schemas::keys;
use liminal_schemas::name::PipelineName;
use liminal_schemas::plan::Operation;
use liminal_schemas::plan::Plan;
use liminal_schemas::plan::PlanPurpose;
use liminal_schemas::state::Applied;
use liminal_schemas::state::HistoryEntry;
use liminal_schemas::state::HistoryResult;
use liminal_schemas::state::Journal;
use liminal_schemas::state::ResourceAddress;
use liminal_schemas::state::STATE_SCHEMA;
use liminal_schemas::state::TriedRelease;
use liminal_schemas::time::UtcTime;

use super::ApplyError;
use super::ApplyEvent;
use super::ApplyReport;
use super::FailedOperation;
use super::Lifetime;
use super::Ports;
use super::history::last_serial;
use super::operations::perform;
use super::record::check_base;
use super::record::new_state;
use super::record::record_in;
use super::record::take_over_intent;
use super::stage::Stage;
use super::window::Window;
use crate::observe::pinned_revisions;
use crate::observe::pipelines_that_start;
use crate::observe::read_release;
use crate::observe::steps_of_open_runs;
use crate::plan::Recorded;
use crate::ports::Clock;
use crate::ports::Objects;
use crate::ports::PortError;
use crate::ports::Resources;
use crate::state::SaveError;
use crate::state::StateSession;
use crate::state::load;

/// How many operations of one kind are under way at once.
const CONCURRENT: usize = 16;

/// The state is written at most this often while operations succeed, in milliseconds: what a killed apply did since is
/// adopted by the next plan, so that the record may lag a little behind.
const SAVE_EVERY_MILLIS: i64 = 50;

/// How many times as long as a write took the work between two writes lasts at least, so that a large state does not
/// take more time than what it records.
const WORK_PER_SAVE: i64 = 4;

/// What is data: `destroy` leaves it alone unless told otherwise.
const DATA_PREFIXES: &[&str] = &[keys::RUNS_PREFIX, keys::CANARY_PREFIX, "artifacts/", keys::MODELS_PREFIX, "cache/"];

/// How an apply was asked for.
pub(super) struct Terms<'a> {
    pub(super) id: String,
    pub(super) lineage: String,
    pub(super) by: Option<String>,
    pub(super) trigger: Option<Trigger>,
    pub(super) spill: &'a Path,
    pub(super) lifetime: Option<Lifetime>,
    pub(super) delete_data: bool,
    pub(super) stop: &'a (dyn Fn() -> bool + Sync),
    pub(super) events: &'a (dyn Fn(ApplyEvent) + Sync),
}

/// An apply whose journal is written.
pub(super) struct Engine<'a, O, R, C> {
    plan: &'a Plan,
    ports: &'a Ports<'a, O, R, C>,
    terms: Terms<'a>,
    session: StateSession<'a, O>,
    done: BTreeSet<usize>,
    unsaved: bool,
    saved_at: UtcTime,
    save_every_millis: i64,
    /// What runs need that have not ended, once it was asked for.
    needed_by_runs: Option<BTreeSet<ResourceAddress>>,
    report: ApplyReport,
}

impl<'a, O: Objects, R: Resources, C: Clock> Engine<'a, O, R, C> {
    /// Checks that the plan still holds and writes the intent. None when there is nothing to do.
    pub(super) async fn start(
        plan: &'a Plan,
        ports: &'a Ports<'a, O, R, C>,
        terms: Terms<'a>,
    ) -> Result<Option<Self>, ApplyError> {
        let loaded = load(ports.objects, &plan.environment).await?;
        check_base(plan, loaded.as_ref())?;
        if !plan.has_changes && !terms.delete_data {
            return Ok(None);
        }
        let mut session = match loaded {
            Some(loaded) => StateSession::resume(ports.objects, loaded),
            None => {
                let serial = last_serial(ports.objects, &plan.environment).await.map_err(ApplyError::NotStarted)?;
                StateSession::begin(ports.objects, new_state(plan, &terms.lineage, serial))
            }
        };
        let now = ports.clock.now();
        take_over_intent(&mut session.state, now);
        // From before anything is made, so that what a killed apply leaves is removed too.
        if let Some(lifetime) = terms.lifetime.as_ref().filter(|_| plan.purpose == PlanPurpose::Apply) {
            session.state.expires = Some(lifetime.expiry(now));
        }
        let open = plan.operations.clone();
        session.state.journal = Some(Journal {
            apply: terms.id.clone(),
            plan: plan.digest(),
            started_at: now,
            open,
            resources: plan.documents.resources.clone(),
        });
        match session.save().await {
            Ok(()) => {}
            Err(SaveError::Moved) => return Err(ApplyError::Stale("the state was changed meanwhile".to_owned())),
            Err(SaveError::Refused(source)) => return Err(ApplyError::NotStarted(source)),
            Err(SaveError::Json(error)) => return Err(error.into()),
        }
        (terms.events)(ApplyEvent::Started { operations: plan.operations.len() });
        let report = ApplyReport::default();
        let done = BTreeSet::new();
        let save_every_millis = SAVE_EVERY_MILLIS;
        Ok(Some(Self {
            plan,
            ports,
            terms,
            session,
            done,
            unsaved: false,
            saved_at: now,
            save_every_millis,
            needed_by_runs: None,
            report,
        }))
    }

    pub(super) async fn run(mut self) -> Result<ApplyReport, ApplyError> {
        let operations: Vec<(usize, &'a Operation)> = self.plan.operations.iter().enumerate().collect();
        let mut in_use = false;
        for stage in operations.chunk_by(|(_, one), (_, other)| Stage::of(one) == Stage::of(other)) {
            let Some((_, first)) = stage.first() else { continue };
            let stage = match Stage::of(first) {
                Stage::Create(_) | Stage::Write => stage.to_vec(),
                // From here on traffic is touched: the record of all that was made comes first.
                Stage::Move | Stage::CreateTriggers | Stage::DeleteTriggers | Stage::Remove => {
                    self.save().await?;
                    stage.to_vec()
                }
                Stage::DeleteReleases => {
                    let (free, pinned) = self.without_pinned(stage).await?;
                    in_use = !pinned.is_empty();
                    self.skip(&pinned);
                    free
                }
                // What the release of a running run is made of is not told apart here: the next plan does.
                Stage::DeleteResources(_) if in_use => {
                    self.skip(stage);
                    continue;
                }
                Stage::DeleteResources(_) => {
                    let (free, needed) = self.without_needed(stage).await?;
                    self.skip(&needed);
                    free
                }
            };
            self.perform_all(&stage).await?;
        }
        if self.plan.purpose == PlanPurpose::Destroy && self.terms.delete_data {
            self.delete_data().await?;
        }
        self.finish().await
    }

    /// Does operations that do not depend on each other, several at once.
    async fn perform_all(&mut self, stage: &[(usize, &'a Operation)]) -> Result<(), ApplyError> {
        let (plan, ports) = (self.plan, self.ports);
        let mut waiting = stage.iter().copied();
        let mut window = Window::new();
        let mut failed = Vec::new();
        let mut stopped = false;
        loop {
            while window.len() < CONCURRENT && failed.is_empty() && !stopped {
                stopped = (self.terms.stop)();
                if stopped {
                    break;
                }
                let Some((index, operation)) = waiting.next() else { break };
                (self.terms.events)(ApplyEvent::OperationStarted { index, operation: operation.clone() });
                window.add(async move { (index, operation, perform(operation, plan, ports).await) });
            }
            let Some((index, operation, outcome)) = window.next().await else { break };
            match outcome {
                Ok(()) => self.record(index, operation).await?,
                Err(source) => failed.push(FailedOperation { operation: operation.clone(), source }),
            }
        }
        if failed.is_empty() && !stopped {
            return Ok(());
        }
        self.save().await?;
        if failed.is_empty() {
            return Err(ApplyError::Stopped { done: self.done.len(), operations: plan.operations.len() });
        }
        Err(ApplyError::Operations(failed))
    }

    async fn record(&mut self, index: usize, operation: &Operation) -> Result<(), ApplyError> {
        self.done.insert(index);
        self.unsaved = true;
        let now = self.ports.clock.now();
        record_in(&mut self.session.state, operation, self.plan, now);
        match operation {
            Operation::MoveLive { pipeline, to, .. } => {
                self.report.pipelines.insert(pipeline.clone(), Some(*to));
            }
            Operation::RemoveLive { pipeline, .. } => {
                self.report.pipelines.insert(pipeline.clone(), None);
            }
            Operation::StartCanary { pipeline, revision, share, .. } => {
                let tried = TriedRelease { revision: *revision, share: Some(*share) };
                self.report.canaries.insert(pipeline.clone(), tried);
            }
            Operation::EndCanary { pipeline, revision, .. } => {
                let tried = TriedRelease { revision: *revision, share: None };
                self.report.canaries.insert(pipeline.clone(), tried);
            }
            Operation::CreateResource { .. }
            | Operation::WriteRelease { .. }
            | Operation::DeleteRelease { .. }
            | Operation::DeleteResource { .. } => {}
        }
        self.report.operations += 1;
        (self.terms.events)(ApplyEvent::OperationDone { index, operation: operation.clone(), skipped: false });
        if now.millis() - self.saved_at.millis() >= self.save_every_millis {
            self.save().await?;
        }
        Ok(())
    }

    fn skip(&mut self, operations: &[(usize, &'a Operation)]) {
        for (index, operation) in operations {
            self.done.insert(*index);
            self.report.skipped.push((*operation).clone());
            (self.terms.events)(ApplyEvent::OperationDone {
                index: *index,
                operation: (*operation).clone(),
                skipped: true,
            });
        }
    }

    /// Parts deletions into those that can be done and those whose release a run has come to need.
    async fn without_pinned(
        &mut self,
        stage: &[(usize, &'a Operation)],
    ) -> Result<(Vec<(usize, &'a Operation)>, Vec<(usize, &'a Operation)>), ApplyError> {
        let pipelines: BTreeSet<PipelineName> =
            stage.iter().filter_map(|(_, operation)| Some(operation.deleted_release()?.0.clone())).collect();
        // In this order: a run that no longer starts has its record.
        let starting = match pipelines_that_start(self.ports.objects, self.ports.clock.now()).await {
            Ok(starting) => starting,
            Err(error) => return Err(self.runs_unknown(stage, error).await),
        };
        let pinned = match pinned_revisions(self.ports.objects, &pipelines).await {
            Ok(pinned) => pinned,
            Err(error) => return Err(self.runs_unknown(stage, error).await),
        };
        let in_use = |operation: &'a Operation| {
            operation
                .deleted_release()
                .is_some_and(|(pipeline, revision)| starting.contains(pipeline) || pinned.contains(revision))
        };
        Ok(stage.iter().copied().partition(|(_, operation)| !in_use(operation)))
    }

    /// Parts deletions of resources into those that can be done and those of what a run has come to need which started
    /// after the plan was made. Only what is in the cloud carries out runs while it is there.
    async fn without_needed(
        &mut self,
        stage: &[(usize, &'a Operation)],
    ) -> Result<(Vec<(usize, &'a Operation)>, Vec<(usize, &'a Operation)>), ApplyError> {
        if Recorded::of(Some(&self.session.state)).is_empty() {
            return Ok((stage.to_vec(), Vec::new()));
        }
        if self.needed_by_runs.is_none() {
            match self.resources_in_use().await {
                Ok(needed) => self.needed_by_runs = Some(needed),
                Err(error) => return Err(self.runs_unknown(stage, error).await),
            }
        }
        let needed = self.needed_by_runs.iter().flatten().collect::<BTreeSet<_>>();
        let is_needed = |operation: &'a Operation| match operation {
            Operation::DeleteResource { address } => needed.contains(address),
            Operation::CreateResource { .. }
            | Operation::WriteRelease { .. }
            | Operation::MoveLive { .. }
            | Operation::RemoveLive { .. }
            | Operation::StartCanary { .. }
            | Operation::EndCanary { .. }
            | Operation::DeleteRelease { .. } => false,
        };
        Ok(stage.iter().copied().partition(|(_, operation)| !is_needed(operation)))
    }

    /// What carries out the steps of open runs: everything, while a run starts of which nobody knows yet what it is pinned to.
    async fn resources_in_use(&self) -> Result<BTreeSet<ResourceAddress>, PortError> {
        if !pipelines_that_start(self.ports.objects, self.ports.clock.now()).await?.is_empty() {
            return Ok(self.session.state.resources.keys().cloned().collect());
        }
        Ok(Recorded::of(Some(&self.session.state)).serving(&self.steps_in_use().await?))
    }

    /// The digests of steps that open runs may start, and those of releases on trial, but for those of live releases: what
    /// carries these out was just made or looked at, and whatever else was made for them is replaced.
    async fn steps_in_use(&self) -> Result<BTreeSet<Digest>, PortError> {
        let objects = self.ports.objects;
        let mut steps = steps_of_open_runs(objects).await?;
        if steps.is_empty() {
            return Ok(steps);
        }
        for (pipeline, deployed) in &self.session.state.pipelines {
            if let Some(release) = read_release(objects, pipeline, &deployed.live).await? {
                for spec in release.steps.values() {
                    steps.remove(&spec.digest());
                }
            }
        }
        Ok(steps)
    }

    /// Says that deletions can not be done since nobody knows what runs need.
    async fn runs_unknown(&mut self, stage: &[(usize, &'a Operation)], error: PortError) -> ApplyError {
        if let Err(error) = self.save().await {
            return error;
        }
        let failed = stage.iter().take(1).map(|(_, operation)| (*operation).clone());
        let source = PortError::from(RunsUnknown { source: error });
        let failed = failed.zip([source]).map(|(operation, source)| FailedOperation { operation, source });
        ApplyError::Operations(failed.collect())
    }

    async fn delete_data(&mut self) -> Result<(), ApplyError> {
        for prefix in DATA_PREFIXES {
            match delete_below(self.ports.objects, prefix).await {
                Ok(objects) => {
                    self.report.deleted_objects += objects;
                    (self.terms.events)(ApplyEvent::DataDeleted { objects });
                }
                Err(source) => {
                    self.save().await?;
                    return Err(ApplyError::Data { prefix, source });
                }
            }
        }
        Ok(())
    }

    /// Writes the state if it is not what was written last.
    async fn save(&mut self) -> Result<(), ApplyError> {
        if !self.unsaved {
            return Ok(());
        }
        self.write().await
    }

    async fn write(&mut self) -> Result<(), ApplyError> {
        let began = self.ports.clock.now();
        if let Some(journal) = &mut self.session.state.journal {
            let open = self.plan.operations.iter().enumerate().filter(|(index, _)| !self.done.contains(index));
            journal.open = open.map(|(_, operation)| operation.clone()).collect();
        }
        match self.session.save().await {
            Ok(()) => {
                self.unsaved = false;
                self.saved_at = self.ports.clock.now();
                let took = self.saved_at.millis() - began.millis();
                self.save_every_millis = took.saturating_mul(WORK_PER_SAVE).max(SAVE_EVERY_MILLIS);
                Ok(())
            }
            Err(SaveError::Moved) => Err(ApplyError::Overtaken),
            Err(SaveError::Json(error)) => Err(error.into()),
            Err(SaveError::Refused(source)) => Err(self.spill(source)),
        }
    }

    /// Saves the state locally, since the store does not take it.
    fn spill(&self, source: PortError) -> ApplyError {
        let state = match serde_json::to_string_pretty(&self.session.state) {
            Ok(state) => state,
            Err(error) => return error.into(),
        };
        let spill = self.terms.spill.to_owned();
        let environment = self.plan.environment.clone();
        let folder = spill.parent().map_or(Ok(()), std::fs::create_dir_all);
        match folder.and_then(|()| std::fs::write(&spill, &state)) {
            Ok(()) => ApplyError::Spilled { environment, spill, source },
            Err(source) => ApplyError::NotSpilled { environment, spill, state, source },
        }
    }

    /// Writes the history, then the state without its journal: an apply that dies in between is recorded twice rather
    /// than never.
    async fn finish(mut self) -> Result<ApplyReport, ApplyError> {
        let applied = Applied {
            source: self.plan.base.source.clone(),
            at: self.ports.clock.now(),
            by: self.terms.by.clone(),
            trigger: self.terms.trigger,
        };
        let state = &mut self.session.state;
        // Healing puts back what was applied, and makes it no newer.
        if self.plan.purpose != PlanPurpose::Heal {
            state.applied = Some(applied.clone());
        }
        let serial = state.serial + 1;
        let entry = HistoryEntry {
            schema: STATE_SCHEMA,
            serial,
            command: self.plan.purpose.as_str().to_owned(),
            applied,
            pipelines: self.report.pipelines.clone(),
            canaries: self.report.canaries.clone(),
            result: HistoryResult::Done,
            reason: None,
        };
        let key = keys::history(&self.plan.environment, serial);
        let bytes = serde_json::to_vec(&entry)?;
        let recorded = self.ports.objects.put_if_absent(&key, bytes).await;
        self.session.state.journal = None;
        self.write().await?;
        // The state is written and true. That the history lacks a line is still worth an error.
        recorded.map_err(|source| ApplyError::Unrecorded { key, source })?;
        self.report.serial = serial;
        Ok(self.report)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the runs that may need it can not be listed")]
struct RunsUnknown {
    source: PortError,
}

async fn delete_below(objects: &impl Objects, prefix: &str) -> Result<usize, PortError> {
    let keys = objects.list(prefix).await?;
    for key in &keys {
        objects.delete(key).await?;
    }
    Ok(keys.len())
}
