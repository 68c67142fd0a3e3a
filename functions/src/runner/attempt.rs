//! One attempt at a step: opened, carried out, and its end written down.

use std::sync::Arc;
use std::time::Duration;

use liminal_schemas::keys;
use liminal_schemas::name::StepName;
use liminal_schemas::run::AttemptFailure;
use liminal_schemas::run::AttemptRecord;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::run::Failure;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::step::FailureClass;
use liminal_schemas::step::StepSpec;
use liminal_schemas::time::UtcTime;
use tokio::sync::watch;

use super::Handled;
use super::Runner;
use super::context::RunContext;
use super::error::RunnerError;
use super::event::RunEvent;
use super::prepare::Prepared;
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

impl<P: Platform> Runner<P> {
    /// Brings a step that is ready one attempt further. It is settled afterwards, or another message will come, or this
    /// one is to be put back.
    pub(super) async fn start_step(
        &self,
        context: &RunContext,
        step: &StepName,
        spec: &StepSpec,
        stop: watch::Receiver<Stop>,
    ) -> Result<Handled, RunnerError> {
        let Some(prepared) = self.settle_inline(context, step, spec).await? else { return Ok(Handled::Done) };
        if !spec.finally
            && let Some(why) = self.early_end(context).await?
        {
            self.end_early(context, why, Some(step)).await?;
            return Ok(Handled::Done);
        }
        loop {
            let mut history = match self.history(context, step).await {
                Ok(history) => history,
                Err(error) if error.is_corrupt() => {
                    self.fail_poisoned(context, step, describe(&error)).await?;
                    return Ok(Handled::Done);
                }
                Err(error) => return Err(error.into()),
            };
            let now = self.platform.clock().now();
            let is_dead = |record: &AttemptRecord| self.platform.is_dead(&record.worker);
            match attempt::decide(&spec.retries, &history, now, is_dead) {
                AttemptDecision::Wait { until } => return Ok(Handled::PutBack(span(now, until))),
                AttemptDecision::GiveUp { failure, attempt } => {
                    self.give_up(context, step, &prepared, failure, Some(attempt)).await?;
                    return Ok(Handled::Done);
                }
                AttemptDecision::Open { attempt, lost } => {
                    for lost in lost {
                        let failure = attempt::lost_worker();
                        history.failures.push(self.note_failure(context, step, lost, failure.clone()).await?);
                        self.events.send(RunEvent::AttemptFailed {
                            step: step.clone(),
                            attempt: lost,
                            failure,
                            retry_in: Some(Duration::ZERO),
                        });
                    }
                    if let Some(record) = self.open(context, step, spec, attempt, now).await? {
                        history.attempts.push(record.clone());
                        let timeout = Duration::from_secs(spec.timeout_seconds);
                        let outcome = self.execute(context, &record, &prepared, timeout, stop).await;
                        return self.conclude(context, &record, history, &prepared, outcome).await;
                    }
                    // Somebody else opened it: look again at what is to be done.
                }
            }
        }
    }

    /// Reads what is known of the attempts at a step.
    pub(super) async fn history(&self, context: &RunContext, step: &StepName) -> Result<History, StoreError> {
        let store = self.platform.store();
        let prefix = keys::attempts_prefix(context.pipeline(), context.run(), step);
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
        step: &StepName,
        spec: &StepSpec,
        number: u32,
        now: UtcTime,
    ) -> Result<Option<AttemptRecord>, RunnerError> {
        let record = AttemptRecord {
            schema: RUN_SCHEMA,
            run: context.run().clone(),
            step: step.clone(),
            attempt: number,
            nonce: self.platform.nonces().nonce(),
            worker: self.platform.worker().to_owned(),
            started_at: now,
            lease_until: attempt::lease_until(
                now,
                self.platform.executor().start_up().saturating_add(Duration::from_secs(spec.timeout_seconds)),
            ),
        };
        let key = keys::attempt(context.pipeline(), context.run(), step, number);
        let store = self.platform.store();
        match store.put_if_absent(&key, &documents::encode(&key, &record)?).await? {
            Put::Created(_) => Ok(Some(record)),
            Put::Exists => {
                let there: Option<documents::Versioned<AttemptRecord>> =
                    documents::read(store, &key, RUN_SCHEMA).await?;
                Ok(there.map(|there| there.document).filter(|there| there.nonce == record.nonce))
            }
        }
    }

    /// Carries out an attempt that is open.
    pub(super) async fn execute(
        &self,
        context: &RunContext,
        record: &AttemptRecord,
        prepared: &Prepared,
        timeout: Duration,
        stop: watch::Receiver<Stop>,
    ) -> AttemptOutcome {
        let Some(spec) = context.spec(&record.step) else { return AttemptOutcome::Stopped };
        self.events.send(RunEvent::StepStarted { step: record.step.clone(), attempt: record.attempt });
        let body = context.release.steps.iter().filter(|(_, spec)| !spec.finally).map(|(name, _)| name);
        let job = AttemptJob {
            project: context.release.project.clone(),
            pipeline: context.pipeline().clone(),
            run: context.run().clone(),
            step: record.step.clone(),
            attempt: record.attempt,
            spec: Arc::new(spec.clone()),
            package: spec.package,
            params: Arc::clone(&context.params),
            inputs: prepared.inputs.clone(),
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
        record: &AttemptRecord,
        mut history: History,
        prepared: &Prepared,
        outcome: AttemptOutcome,
    ) -> Result<Handled, RunnerError> {
        let (step, number) = (&record.step, record.attempt);
        let Some(spec) = context.spec(step) else { return Ok(Handled::Done) };
        match outcome {
            AttemptOutcome::Succeeded { outputs, metrics } => {
                let mut commit = self.blank(context, step, CommitStatus::Succeeded, record.started_at);
                commit.attempt = Some(number);
                commit.cache_key = prepared.cache_key;
                commit.inputs = prepared.input_digests();
                commit.outputs = outputs;
                commit.metrics = metrics;
                self.settle_and_cache(context, commit).await?;
                Ok(Handled::Done)
            }
            AttemptOutcome::Failed(failure) => {
                if let Some(late) = self.passed_deadline(context, spec) {
                    // What is left of the run goes with it, and no other attempt follows.
                    self.note_failure(context, step, number, failure).await?;
                    self.end_early(context, late, Some(step)).await?;
                    return Ok(Handled::Done);
                }
                history.failures.push(self.note_failure(context, step, number, failure.clone()).await?);
                let next = attempt::retry(&spec.retries, &history, &failure, self.platform.nonces().fraction());
                let retry_in = match next {
                    Retry::After(pause) => Some(pause),
                    Retry::Never => None,
                };
                self.events.send(RunEvent::AttemptFailed {
                    step: step.clone(),
                    attempt: number,
                    failure: failure.clone(),
                    retry_in,
                });
                if let Some(pause) = retry_in {
                    self.send(context, step, pause).await?;
                    return Ok(Handled::Done);
                }
                let mut commit = self.blank(context, step, CommitStatus::Failed, record.started_at);
                commit.attempt = Some(number);
                commit.inputs = prepared.input_digests();
                commit.failure = Some(failure);
                self.settle(context, commit).await?;
                Ok(Handled::Done)
            }
            AttemptOutcome::Stopped => {
                let failure = attempt::failure(FailureClass::Cancelled, "the attempt was stopped before it ended");
                self.note_failure(context, step, number, failure).await?;
                Ok(Handled::PutBack(Duration::ZERO))
            }
            AttemptOutcome::Handed => Ok(Handled::Done),
        }
    }

    /// Ends a step that has no attempt left.
    pub(super) async fn give_up(
        &self,
        context: &RunContext,
        step: &StepName,
        prepared: &Prepared,
        failure: Failure,
        attempt: Option<u32>,
    ) -> Result<(), RunnerError> {
        let mut commit = self.blank(context, step, CommitStatus::Failed, self.platform.clock().now());
        commit.attempt = attempt;
        commit.inputs = prepared.input_digests();
        commit.failure = Some(failure);
        self.settle(context, commit).await?;
        Ok(())
    }

    /// Writes down that an attempt failed. What is there already stays: both say that it ended without a commit.
    pub(super) async fn note_failure(
        &self,
        context: &RunContext,
        step: &StepName,
        attempt: u32,
        failure: Failure,
    ) -> Result<AttemptFailure, RunnerError> {
        let record = AttemptFailure { schema: RUN_SCHEMA, attempt, failure, ended_at: self.platform.clock().now() };
        let key = keys::attempt_failure(context.pipeline(), context.run(), step, attempt);
        self.platform.store().put_if_absent(&key, &documents::encode(&key, &record)?).await?;
        Ok(record)
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
