//! One attempt at a step: opened, carried out, and its end written down.

use std::sync::Arc;
use std::time::Duration;

use liminal_schemas::keys;
use liminal_schemas::run::AttemptFailure;
use liminal_schemas::run::AttemptRecord;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::run::Failure;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::step::FailureClass;
use liminal_schemas::time::UtcTime;
use liminal_schemas::unit::Unit;
use tokio::sync::watch;

use super::Handled;
use super::Runner;
use super::context::RunContext;
use super::error::RunnerError;
use super::event::RunEvent;
use super::prepare::Prepared;
use super::work::Work;
use crate::documents;
use crate::executor::AttemptJob;
use crate::executor::AttemptOutcome;
use crate::executor::Executor;
use crate::executor::Stop;
use crate::ports::Clock;
use crate::ports::Nonces;
use crate::ports::ObjectStore;
use crate::ports::Platform;
use crate::ports::Put;
use crate::ports::StoreError;
use crate::protocol::attempt;
use crate::protocol::attempt::AttemptDecision;
use crate::protocol::attempt::History;
use crate::protocol::attempt::Retry;

/// An attempt that is open.
#[derive(Clone, Copy)]
pub(super) struct Attempt<'a> {
    /// What it is made at.
    pub(super) work: &'a Work<'a>,
    /// Its record.
    pub(super) record: &'a AttemptRecord,
    /// What it is given.
    pub(super) prepared: &'a Prepared,
}

impl<P: Platform> Runner<P> {
    /// Brings a step that is ready one attempt further. It is settled afterwards, or another message will come, or this
    /// one is to be put back.
    pub(super) async fn start_step(
        &self,
        context: &RunContext,
        work: &Work<'_>,
        stop: watch::Receiver<Stop>,
    ) -> Result<Handled, RunnerError> {
        let (unit, spec) = (&work.unit, &*work.spec);
        let Some(prepared) = self.settle_inline(context, work).await? else { return Ok(Handled::Done) };
        if !spec.finally
            && let Some(why) = self.early_end(context).await?
        {
            self.end_early(context, why, Some(&unit.step)).await?;
            return Ok(Handled::Done);
        }
        // Most often nobody was at it before: the first attempt is opened without looking, which fails when somebody was.
        let mut history = History::default();
        loop {
            let now = self.platform.clock().now();
            let is_dead = |record: &AttemptRecord| self.platform.is_dead(&record.worker);
            match attempt::decide(&spec.retries, &history, now, is_dead) {
                AttemptDecision::Wait { until } => return Ok(Handled::PutBack(span(now, until))),
                AttemptDecision::GiveUp { failure, attempt } => {
                    self.give_up(context, unit, &prepared, failure, Some(attempt)).await?;
                    return Ok(Handled::Done);
                }
                AttemptDecision::Open { attempt, lost } => {
                    for lost in lost {
                        let failure = attempt::lost_worker();
                        history.failures.push(self.note_failure(context, unit, lost, failure.clone()).await?);
                        self.events.send(RunEvent::AttemptFailed {
                            unit: unit.clone(),
                            attempt: lost,
                            failure,
                            retry_in: Some(Duration::ZERO),
                        });
                    }
                    if let Some(record) = self.open(context, work, attempt, now).await? {
                        history.attempts.push(record.clone());
                        let timeout = Duration::from_secs(spec.timeout_seconds);
                        let attempt = Attempt { work, record: &record, prepared: &prepared };
                        let outcome = self.execute(context, attempt, timeout, stop).await;
                        return self.conclude(context, attempt, history, outcome).await;
                    }
                    // Somebody else opened it: what is to be done follows from what is there.
                    history = match self.history(context, unit).await {
                        Ok(history) => history,
                        Err(error) if error.is_corrupt() => {
                            self.fail_poisoned(context, unit, describe(&error)).await?;
                            return Ok(Handled::Done);
                        }
                        Err(error) => return Err(error.into()),
                    };
                }
            }
        }
    }

    /// Reads what is known of the attempts at a step.
    pub(super) async fn history(&self, context: &RunContext, unit: &Unit) -> Result<History, StoreError> {
        let store = self.platform.store();
        let prefix = keys::attempts_prefix(context.pipeline(), context.run(), unit);
        let mut history = History::default();
        for key in store.list(&prefix).await? {
            let Some(name) = key.strip_prefix(&prefix).and_then(|name| name.strip_suffix(".json")) else { continue };
            if name.ends_with(".failed") {
                let failure: Option<documents::Versioned<AttemptFailure>> =
                    documents::read(store, &key, RUN_SCHEMA).await?;
                history.failures.extend(failure.map(|failure| failure.document));
            } else if name.bytes().all(|byte| byte.is_ascii_digit()) {
                let record: Option<documents::Versioned<AttemptRecord>> =
                    documents::read(store, &key, RUN_SCHEMA).await?;
                history.attempts.extend(record.map(|record| record.document));
            }
        }
        Ok(history)
    }

    /// Opens an attempt; none when somebody else opened that number.
    async fn open(
        &self,
        context: &RunContext,
        work: &Work<'_>,
        number: u32,
        now: UtcTime,
    ) -> Result<Option<AttemptRecord>, RunnerError> {
        let record = AttemptRecord {
            schema: RUN_SCHEMA,
            run: context.run().clone(),
            step: work.unit.step.clone(),
            item: work.unit.item,
            attempt: number,
            nonce: self.platform.nonces().nonce(),
            worker: self.platform.worker().to_owned(),
            started_at: now,
            lease_until: attempt::lease_until(
                now,
                self.platform.executor().start_up().saturating_add(Duration::from_secs(work.spec.timeout_seconds)),
            ),
        };
        let key = keys::attempt(context.pipeline(), context.run(), &work.unit, number);
        let store = self.platform.store();
        match store.put_if_absent(&key, &documents::encode(&key, &record)?).await? {
            Put::Created(_) => Ok(Some(record)),
            Put::Exists => {
                let there: Result<Option<documents::Versioned<AttemptRecord>>, StoreError> =
                    documents::read(store, &key, RUN_SCHEMA).await;
                match there {
                    Ok(there) => Ok(there.map(|there| there.document).filter(|there| there.nonce == record.nonce)),
                    // It is not ours, whatever it was to say.
                    Err(error) if error.is_corrupt() => Ok(None),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// Carries out an attempt that is open.
    pub(super) async fn execute(
        &self,
        context: &RunContext,
        attempt: Attempt<'_>,
        timeout: Duration,
        stop: watch::Receiver<Stop>,
    ) -> AttemptOutcome {
        let Attempt { work, record, prepared } = attempt;
        let spec = &*work.spec;
        self.events.send(RunEvent::Started { unit: work.unit.clone(), attempt: record.attempt });
        let body = context.release.steps.iter().filter(|(_, spec)| !spec.finally).map(|(name, _)| name);
        let job = AttemptJob {
            project: context.release.project.clone(),
            pipeline: context.pipeline().clone(),
            run: context.run().clone(),
            unit: work.unit.clone(),
            item: work.label.clone(),
            attempt: record.attempt,
            spec: Arc::new(spec.clone()),
            package: spec.package,
            params: Arc::clone(&work.params),
            inputs: prepared.inputs.clone(),
            objects: work.objects.clone().into_iter().collect(),
            secrets: Arc::clone(&context.secrets),
            run_status: if spec.finally { context.outcome(body) } else { None },
            scheduled: context.record.scheduled(),
            timeout: self.time_for(context, spec, timeout),
            stop,
        };
        self.platform.executor().execute(job).await
    }

    /// Writes down how an attempt came out: it settles the step, or another attempt follows, or somebody else goes on with
    /// it. `history` holds the attempt.
    pub(super) async fn conclude(
        &self,
        context: &RunContext,
        attempt: Attempt<'_>,
        mut history: History,
        outcome: AttemptOutcome,
    ) -> Result<Handled, RunnerError> {
        let Attempt { work, record, prepared } = attempt;
        let (unit, spec, number) = (&work.unit, &*work.spec, record.attempt);
        match outcome {
            AttemptOutcome::Succeeded { outputs, metrics } => {
                let mut commit = self.blank(context, unit, CommitStatus::Succeeded, record.started_at);
                commit.attempt = Some(number);
                commit.cache_key = prepared.cache_key;
                commit.inputs = prepared.input_digests();
                commit.outputs = outputs;
                commit.metrics = metrics;
                self.settle_and_cache(context, commit).await?;
                Ok(Handled::Done)
            }
            AttemptOutcome::Failed(failure) => {
                let noted = self.note_failure(context, unit, number, failure.clone()).await?;
                if let Some(late) = self.passed_deadline(context, spec) {
                    // What is left of the run goes with it, and no other attempt follows.
                    self.end_early(context, late, Some(&unit.step)).await?;
                    return Ok(Handled::Done);
                }
                if noted.failure != failure {
                    // It was given up for lost, and somebody else goes on: this end comes too late to count.
                    return Ok(Handled::Done);
                }
                history.failures.push(noted);
                let next = attempt::retry(&spec.retries, &history, &failure, self.platform.nonces().fraction());
                let retry_in = match next {
                    Retry::After(pause) => Some(pause),
                    Retry::Never => None,
                };
                self.events.send(RunEvent::AttemptFailed {
                    unit: unit.clone(),
                    attempt: number,
                    failure: failure.clone(),
                    retry_in,
                });
                if let Some(pause) = retry_in {
                    self.send(context, unit, pause).await?;
                    return Ok(Handled::Done);
                }
                let mut commit = self.blank(context, unit, CommitStatus::Failed, record.started_at);
                commit.attempt = Some(number);
                commit.inputs = prepared.input_digests();
                commit.failure = Some(failure);
                self.settle(context, commit).await?;
                Ok(Handled::Done)
            }
            AttemptOutcome::Stopped => {
                let failure = attempt::failure(FailureClass::Cancelled, "the attempt was stopped before it ended");
                self.note_failure(context, unit, number, failure).await?;
                Ok(Handled::PutBack(Duration::ZERO))
            }
            AttemptOutcome::Handed => Ok(Handled::Done),
        }
    }

    /// Ends a step that has no attempt left.
    pub(super) async fn give_up(
        &self,
        context: &RunContext,
        unit: &Unit,
        prepared: &Prepared,
        failure: Failure,
        attempt: Option<u32>,
    ) -> Result<(), RunnerError> {
        let mut commit = self.blank(context, unit, CommitStatus::Failed, self.platform.clock().now());
        commit.attempt = attempt;
        commit.inputs = prepared.input_digests();
        commit.failure = Some(failure);
        self.settle(context, commit).await?;
        Ok(())
    }

    /// Writes down that an attempt failed, and tells what is written down: what was there before stays.
    pub(super) async fn note_failure(
        &self,
        context: &RunContext,
        unit: &Unit,
        attempt: u32,
        failure: Failure,
    ) -> Result<AttemptFailure, RunnerError> {
        let record = AttemptFailure { schema: RUN_SCHEMA, attempt, failure, ended_at: self.platform.clock().now() };
        let key = keys::attempt_failure(context.pipeline(), context.run(), unit, attempt);
        let store = self.platform.store();
        match store.put_if_absent(&key, &documents::encode(&key, &record)?).await? {
            Put::Created(_) => Ok(record),
            Put::Exists => {
                let there: Option<documents::Versioned<AttemptFailure>> =
                    documents::read(store, &key, RUN_SCHEMA).await?;
                Ok(there.map_or(record, |there| there.document))
            }
        }
    }
}

pub(super) fn describe(error: &StoreError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

pub(super) fn span(now: UtcTime, until: UtcTime) -> Duration {
    Duration::from_millis(u64::try_from(until.millis().saturating_sub(now.millis())).unwrap_or(0))
}
