//! Starts runs for objects that landed and schedules that fired.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::PoisonError;

use liminal_schemas::canary::Canary;
use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::release::RELEASE_SCHEMA;
use liminal_schemas::release::Release;
use liminal_schemas::run::EndedRun;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::run::RunCache;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::Scheduled;
use liminal_schemas::run::SourceVersion;
use liminal_schemas::run::TriggerObject;
use liminal_schemas::schedule;
use liminal_schemas::state::LivePointer;
use liminal_schemas::state::STATE_SCHEMA;
use liminal_schemas::state::State;
use liminal_schemas::time::UtcTime;
use liminal_schemas::trigger::Trigger;
use liminal_schemas::trigger::TriggerSource;
use liminal_schemas::value::Value;

use super::Report;
use super::Starter;
use super::StarterError;
use super::event::ObjectCreated;
use super::pin::pin_models;
use super::run_id;
use super::source::ForeignObject;
use super::source::ObjectSource;
use crate::canary;
use crate::documents;
use crate::documents::Versioned;
use crate::ports::Clock;
use crate::ports::ObjectStore;
use crate::ports::Platform;
use crate::runner::RunnerError;

/// A pipeline with its live release.
pub(super) struct Live {
    pub(super) pipeline: PipelineName,
    pub(super) revision: Digest,
    pub(super) release: Arc<Release>,
    /// The release on trial.
    pub(super) canary: Option<Canary>,
}

/// A run that something asks for.
pub(super) struct Wanted<'a> {
    pub(super) run: RunId,
    pub(super) live: &'a Live,
    /// The parameters that its trigger sets.
    pub(super) params: BTreeMap<FieldName, Value>,
    /// The object that is to be brought in for it.
    pub(super) object: Option<&'a ObjectCreated>,
    /// The object that was brought in before.
    pub(super) brought: Option<TriggerObject>,
    pub(super) scheduled: Option<Scheduled>,
    /// The run whose end it follows.
    pub(super) follows: Option<EndedRun>,
    pub(super) by: String,
}

impl<P: Platform, O: ObjectSource> Starter<P, O> {
    /// Starts the runs of all pipelines whose live release waits for one of these objects. What goes wrong with one keeps
    /// none of the others from starting.
    pub(super) async fn start_for_objects(
        &self,
        created: &[ObjectCreated],
        report: &mut Report,
    ) -> Result<(), StarterError> {
        let foreign: Vec<&ObjectCreated> = created.iter().filter(|object| !self.is_own(object)).collect();
        if foreign.is_empty() {
            return Ok(());
        }
        let mut failed = None;
        for live in self.live_pipelines().await? {
            let live = match live {
                Ok(live) => live,
                Err(error) => {
                    failed = Some(error);
                    continue;
                }
            };
            for object in &foreign {
                let Some(trigger) = live.release.triggers.iter().find(|trigger| self.waits_for(trigger, object)) else {
                    continue;
                };
                if let Err(error) = self.start_for_object(&live, trigger, object, report).await {
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Starts the run of a pipeline whose schedule fired, if its live release still has that schedule.
    pub(super) async fn start_for_schedule(
        &self,
        pipeline: &PipelineName,
        trigger: &Digest,
        time: UtcTime,
        report: &mut Report,
    ) -> Result<(), StarterError> {
        let live = self.live(pipeline).await?;
        let found = live.as_ref().and_then(|live| {
            let found = live.release.triggers.iter().find(|known| known.digest() == *trigger)?;
            Some((live, found))
        });
        let Some((live, trigger)) = found else {
            report.notes.push(format!("a schedule of {pipeline} fired that its live release does not have"));
            return Ok(());
        };
        let run = run_id::of_schedule(pipeline, &trigger.digest(), time)?;
        let (by, scheduled) = match &trigger.on {
            TriggerSource::Schedule { expression, timezone } => {
                (format!("schedule {expression}"), schedule::scheduled(time, timezone))
            }
            TriggerSource::Object { .. } | TriggerSource::Finished { .. } => {
                report.notes.push(format!("a schedule of {pipeline} fired for a trigger that is none"));
                return Ok(());
            }
        };
        self.start_once(
            Wanted {
                run,
                live,
                params: trigger.params.clone(),
                object: None,
                brought: None,
                scheduled: Some(scheduled),
                follows: None,
                by,
            },
            report,
        )
        .await
    }

    async fn start_for_object(
        &self,
        live: &Live,
        trigger: &Trigger,
        object: &ObjectCreated,
        report: &mut Report,
    ) -> Result<(), StarterError> {
        let run = run_id::of_object(&live.pipeline, &object.bucket, &object.key, object.identity(), object.time)?;
        let by = format!("object {}", self.source.address(&object.bucket, &object.key));
        self.start_once(
            Wanted {
                run,
                live,
                params: trigger.params.clone(),
                object: Some(object),
                brought: None,
                scheduled: None,
                follows: None,
                by,
            },
            report,
        )
        .await
    }

    /// Starts a run, unless it was started before: then it stays as it was, whatever is live by now.
    pub(super) async fn start_once(&self, wanted: Wanted<'_>, report: &mut Report) -> Result<(), StarterError> {
        let pipeline = &wanted.live.pipeline;
        let known = self.runner.result(pipeline, &wanted.run).await?.is_some()
            || self.record_of(pipeline, &wanted.run).await?.is_some();
        if known || self.admit(&wanted, report).await? {
            self.start_now(&wanted, report).await?;
        }
        Ok(())
    }

    /// Starts a run for which there is room, or goes on with the start of one.
    pub(super) async fn start_now(&self, wanted: &Wanted<'_>, report: &mut Report) -> Result<(), StarterError> {
        let pipeline = &wanted.live.pipeline;
        if self.runner.result(pipeline, &wanted.run).await?.is_some() {
            report.started.push((pipeline.clone(), wanted.run.clone()));
            return Ok(());
        }
        let record = match self.record_of(pipeline, &wanted.run).await? {
            Some(record) => record,
            None => match self.new_record(wanted, report).await? {
                Some(record) => record,
                None => return Ok(()),
            },
        };
        let platform = self.runner.platform();
        canary::mark(platform.store(), platform.clock().now(), &record).await?;
        // What was replaced meanwhile is an error like others: the message comes again, and what is live then is started.
        match self.runner.start(record).await {
            Ok(()) => {}
            // Somebody else started it at the same moment, and pinned something else.
            Err(RunnerError::RunExists { pipeline, run }) => match self.record_of(&pipeline, &run).await? {
                Some(record) => self.runner.start(record).await?,
                None => return Err(RunnerError::NoRun { pipeline, run }.into()),
            },
            Err(error) => return Err(error.into()),
        }
        report.started.push((pipeline.clone(), wanted.run.clone()));
        report.ended.extend(self.runner.result(pipeline, &wanted.run).await?);
        Ok(())
    }

    /// The record of a run that starts now; none when the object that starts it is no longer there. What can not be started
    /// on the canary that takes it is started on what is live, and the canary comes off.
    async fn new_record(&self, wanted: &Wanted<'_>, report: &mut Report) -> Result<Option<RunRecord>, StarterError> {
        if let Some(tried) = self.canary_for(wanted, report).await?
            && let Some(canary) = &tried.canary
        {
            match self.record_on(wanted, &tried, Some(canary.since), report).await {
                Err(error @ (StarterError::Params { .. } | StarterError::Pin { .. })) => {
                    self.abort_canary(wanted, canary, &error, report).await?;
                }
                outcome => return outcome,
            }
        }
        self.record_on(wanted, wanted.live, None, report).await
    }

    /// The record of a run on a release.
    async fn record_on(
        &self,
        wanted: &Wanted<'_>,
        on: &Live,
        canary: Option<UtcTime>,
        report: &mut Report,
    ) -> Result<Option<RunRecord>, StarterError> {
        let Live { pipeline, revision, release, .. } = on;
        let params = parameters(release, &wanted.params)
            .map_err(|problem| StarterError::Params { pipeline: pipeline.clone(), problem })?;
        let platform = self.runner.platform();
        let models = pin_models(platform.store(), release)
            .await
            .map_err(|source| StarterError::Pin { pipeline: pipeline.clone(), source })?;
        let Some(object) = self.object(wanted, report).await? else { return Ok(None) };
        let started_at = platform.clock().now();
        Ok(Some(RunRecord {
            schema: RUN_SCHEMA,
            run: wanted.run.clone(),
            pipeline: pipeline.clone(),
            revision: *revision,
            params,
            models,
            object,
            scheduled: wanted.scheduled.clone(),
            follows: wanted.follows.clone(),
            cache: RunCache::default(),
            redrives: None,
            canary,
            source: self.applied_source(pipeline, revision, canary.is_some()).await,
            started_at,
            deadline: release.runs.deadline(started_at),
            started_by: Some(wanted.by.clone()),
        }))
    }

    /// The object that starts a run, if one does; none, and a note, when it is no longer there.
    pub(super) async fn object(
        &self,
        wanted: &Wanted<'_>,
        report: &mut Report,
    ) -> Result<Option<Option<TriggerObject>>, StarterError> {
        let Some(object) = wanted.object else { return Ok(Some(wanted.brought.clone())) };
        let brought = self.bring_in(object).await?;
        if brought.is_none() {
            let address = self.source.address(&object.bucket, &object.key);
            report.notes.push(format!("{address} is gone or was replaced, so that it starts no run"));
        }
        Ok(brought.map(Some))
    }

    async fn bring_in(&self, object: &ObjectCreated) -> Result<Option<TriggerObject>, StarterError> {
        let foreign = ForeignObject {
            bucket: object.bucket.clone(),
            key: object.key.clone(),
            version: object.version.clone(),
            etag: object.etag.clone(),
        };
        Ok(self.source.bring_in(&foreign).await?)
    }

    pub(super) async fn record_of(
        &self,
        pipeline: &PipelineName,
        run: &RunId,
    ) -> Result<Option<RunRecord>, StarterError> {
        let record: Option<Versioned<RunRecord>> =
            documents::read(self.runner.platform().store(), &keys::run(pipeline, run), RUN_SCHEMA).await?;
        Ok(record.map(|record| record.document))
    }

    /// The commit that the live release, or a canary, was applied from, as far as the state tells. It is for people, so that not knowing
    /// it stops nothing.
    async fn applied_source(&self, pipeline: &PipelineName, revision: &Digest, is_canary: bool) -> SourceVersion {
        let key = keys::state(&self.home.environment);
        let state: Result<Option<Versioned<State>>, _> =
            documents::read(self.runner.platform().store(), &key, STATE_SCHEMA).await;
        let Ok(Some(state)) = state else { return SourceVersion::default() };
        let is_live = state.document.pipelines.get(pipeline).is_some_and(|deployed| deployed.live == *revision);
        state.document.applied.filter(|_| is_live || is_canary).map(|applied| applied.source).unwrap_or_default()
    }

    /// Whether an object is one of liminal's own, such as an artifact: those that a trigger without a prefix would see.
    fn is_own(&self, object: &ObjectCreated) -> bool {
        object.bucket == self.home.bucket && object.key.starts_with(&self.home.own_prefix)
    }

    fn waits_for(&self, trigger: &Trigger, object: &ObjectCreated) -> bool {
        match &trigger.on {
            TriggerSource::Schedule { .. } | TriggerSource::Finished { .. } => false,
            TriggerSource::Object { bucket, prefix, suffix } => {
                object.bucket == *bucket.as_ref().unwrap_or(&self.home.bucket)
                    && object.key.starts_with(prefix)
                    && object.key.ends_with(suffix)
                    && object.key.len() >= prefix.len() + suffix.len()
            }
        }
    }

    /// All pipelines that are live. One that can not be read is an error of its own.
    pub(super) async fn live_pipelines(&self) -> Result<Vec<Result<Live, StarterError>>, StarterError> {
        let mut found = Vec::new();
        for key in self.runner.platform().store().list(keys::LIVE_PREFIX).await? {
            let name = key.strip_prefix(keys::LIVE_PREFIX).and_then(|name| name.strip_suffix(".json"));
            let Some(pipeline) = name.and_then(|name| PipelineName::new(name).ok()) else { continue };
            found.extend(self.live(&pipeline).await.transpose());
        }
        Ok(found)
    }

    pub(super) async fn live(&self, pipeline: &PipelineName) -> Result<Option<Live>, StarterError> {
        let store = self.runner.platform().store();
        let pointer: Option<Versioned<LivePointer>> =
            documents::read(store, &keys::live(pipeline), STATE_SCHEMA).await?;
        let Some(pointer) = pointer.map(|pointer| pointer.document) else { return Ok(None) };
        let release = self.release(pipeline, pointer.revision).await?;
        let LivePointer { revision, canary, .. } = pointer;
        Ok(Some(Live { pipeline: pipeline.clone(), revision, release, canary }))
    }

    /// A release, which is read once.
    pub(super) async fn release(
        &self,
        pipeline: &PipelineName,
        revision: Digest,
    ) -> Result<Arc<Release>, StarterError> {
        let store = self.runner.platform().store();
        let known = self.releases.lock().unwrap_or_else(PoisonError::into_inner).get(&revision).cloned();
        if let Some(release) = known {
            return Ok(release);
        }
        let release: Option<Versioned<Release>> =
            documents::read(store, &keys::release(pipeline, &revision), RELEASE_SCHEMA).await?;
        let release = release
            .map(|release| Arc::new(release.document))
            .filter(|release| release.revision() == revision)
            .ok_or_else(|| StarterError::NoRelease { pipeline: pipeline.clone(), revision })?;
        self.releases.lock().unwrap_or_else(PoisonError::into_inner).insert(revision, Arc::clone(&release));
        Ok(release)
    }
}

/// The value of every parameter: what the trigger says, else the default.
fn parameters(release: &Release, set: &BTreeMap<FieldName, Value>) -> Result<BTreeMap<FieldName, Value>, String> {
    let mut values = BTreeMap::new();
    for (name, spec) in &release.params {
        let value = set.get(name).or(spec.default.as_ref());
        let value = value.ok_or_else(|| format!("neither its trigger nor a default gives parameter {name} a value"))?;
        if let Some(problem) = spec.problem_with(value) {
            return Err(format!("parameter {name}: {problem}"));
        }
        values.insert(name.clone(), value.clone());
    }
    if let Some(name) = set.keys().find(|name| !release.params.contains_key(*name)) {
        return Err(format!("its trigger sets the parameter {name}, which it does not have"));
    }
    Ok(values)
}
