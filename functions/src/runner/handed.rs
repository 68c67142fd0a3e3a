//! Attempts that somebody opens and somebody else carries out: a dispatcher and a Fargate task.
//!
//! The attempt's record and its lease are the dispatcher's; the lease covers the start of the task. A task claims the attempt
//! with a create-only record before it works, so that of two tasks for one attempt one does nothing. That spares work and
//! keeps logs apart; that a step ends once rests on its commit, as always.

use std::time::Duration;

use liminal_schemas::keys;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::run::AttemptFailure;
use liminal_schemas::run::AttemptRecord;
use liminal_schemas::run::Failure;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::run::TaskClaim;
use liminal_schemas::step::FailureClass;
use liminal_schemas::step::StepSpec;
use liminal_schemas::time::UtcTime;
use liminal_schemas::unit::Unit;
use tokio::sync::watch;

use super::Runner;
use super::context::RunContext;
use super::error::RunnerError;
use super::work::Work;
use crate::documents;
use crate::executor::AttemptOutcome;
use crate::executor::Stop;
use crate::ports::Clock;
use crate::ports::Nonces;
use crate::ports::ObjectStore;
use crate::ports::Platform;
use crate::ports::Put;
use crate::protocol::attempt::History;
use crate::protocol::attempt::LEASE_MARGIN;
use crate::protocol::attempt::failure;

/// Names an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptName {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The run.
    pub run: RunId,
    /// The step, or the item.
    pub unit: Unit,
    /// The attempt's number, from 1.
    pub attempt: u32,
}

/// What became of an attempt that was handed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carried {
    /// It was carried out, and its end is written down.
    Out,
    /// Nothing was done, and nothing is to be done: why, in a sentence.
    Needless(String),
}

impl<P: Platform> Runner<P> {
    /// Carries out an attempt that somebody else opened, and goes on from there. `stop` reaches it; an attempt that is
    /// stopped counts as a failure of the platform, and the step gets another one.
    ///
    /// # Errors
    /// When the run is not there, or a port fails. Nothing is lost then: once the lease has ended, another attempt opens.
    pub async fn run_attempt(&self, name: &AttemptName, stop: watch::Receiver<Stop>) -> Result<Carried, RunnerError> {
        let context = self.context(&name.pipeline, &name.run).await?;
        let Some(spec) = context.spec(&name.unit.step) else {
            return Ok(needless(format!("the release has no step {}", name.unit.step)));
        };
        if self.go_on_if_settled(&context, spec, &name.unit).await? {
            return Ok(needless(format!("{} is settled", name.unit)));
        }
        let (history, record) = match self.open_attempt(&context, name).await? {
            Standing::Open(history, record) => (history, record),
            Standing::Ended { .. } => return Ok(needless(format!("attempt {} has ended", name.attempt))),
            Standing::Overtaken => return Ok(needless(format!("attempt {} was overtaken", name.attempt))),
            Standing::Unknown => return Ok(needless(format!("there is no attempt {}", name.attempt))),
        };
        if !self.claim(&context, name).await? {
            return Ok(needless(format!("another task carries out attempt {}", name.attempt)));
        }
        self.load_parents(&context, &name.unit.step).await?;
        if let Some(work) = self.work(&context, spec, &name.unit).await?
            && let Some(prepared) = self.settle_inline(&context, &work).await?
        {
            let now = self.platform.clock().now();
            let (timeout, is_short) = time_left(spec, &record, now);
            let outcome = if timeout.is_zero() {
                AttemptOutcome::Failed(too_late())
            } else {
                let outcome = self.execute(&context, &work, &record, &prepared, timeout, stop).await;
                on_a_task(outcome, is_short)
            };
            self.conclude(&context, &work, &record, history, &prepared, outcome).await?;
        }
        self.go_on(&context, spec, &name.unit).await?;
        Ok(Carried::Out)
    }

    /// Writes down that an attempt has ended, since whatever carried it out is known to have stopped, and lets the step go
    /// on. What has ended by itself stays as it is.
    ///
    /// # Errors
    /// When a port fails.
    pub async fn attempt_stopped(&self, name: &AttemptName, failure: Failure) -> Result<Carried, RunnerError> {
        let context = match self.context(&name.pipeline, &name.run).await {
            Ok(context) => context,
            Err(RunnerError::NoRun { .. }) => return Ok(needless(format!("there is no run {}", name.run))),
            Err(error) => return Err(error),
        };
        let Some(spec) = context.spec(&name.unit.step) else {
            return Ok(needless(format!("the release has no step {}", name.unit.step)));
        };
        if self.go_on_if_settled(&context, spec, &name.unit).await? {
            return Ok(needless(format!("{} is settled", name.unit)));
        }
        self.load_parents(&context, &name.unit.step).await?;
        match self.open_attempt(&context, name).await? {
            Standing::Open(history, record) => {
                if let Some(work) = self.work(&context, spec, &name.unit).await?
                    && let Some(prepared) = self.settle_inline(&context, &work).await?
                {
                    let outcome = AttemptOutcome::Failed(failure);
                    self.conclude(&context, &work, &record, history, &prepared, outcome).await?;
                }
                self.go_on(&context, spec, &name.unit).await?;
                Ok(Carried::Out)
            }
            Standing::Ended { is_last } => {
                if is_last {
                    // Whoever wrote its end down may have died before it sent the message for the next attempt.
                    self.send(&context, &name.unit, Duration::ZERO).await?;
                }
                Ok(needless(format!("attempt {} has ended", name.attempt)))
            }
            Standing::Overtaken => Ok(needless(format!("attempt {} was overtaken", name.attempt))),
            Standing::Unknown => Ok(needless(format!("there is no attempt {}", name.attempt))),
        }
    }

    /// What attempts at a step or an item are to be given. None when it was settled instead.
    async fn work<'a>(
        &self,
        context: &'a RunContext,
        spec: &'a StepSpec,
        unit: &Unit,
    ) -> Result<Option<Work<'a>>, RunnerError> {
        match (&spec.map, unit.item) {
            (Some(map), Some(_)) => self.item_work(context, spec, map, unit).await,
            (None | Some(_), None) | (None, Some(_)) => Ok(Some(Work::step(context, &unit.step, spec))),
        }
    }

    /// Goes on from what is settled already, in place of whoever died before it could. False when it is not settled.
    async fn go_on_if_settled(&self, context: &RunContext, spec: &StepSpec, unit: &Unit) -> Result<bool, RunnerError> {
        if let (Some(map), Some(_)) = (&spec.map, unit.item) {
            let Some(commit) = self.item_commit(context, unit).await? else { return Ok(false) };
            self.after_item(context, spec, map, unit, commit.status).await?;
            return Ok(true);
        }
        let is_settled = self.commit_of(context, &unit.step).await?.is_some();
        if is_settled {
            self.settle_onwards(context, vec![unit.step.clone()]).await?;
        }
        Ok(is_settled)
    }

    async fn go_on(&self, context: &RunContext, spec: &StepSpec, unit: &Unit) -> Result<(), RunnerError> {
        if let (Some(map), Some(_)) = (&spec.map, unit.item) {
            return self.after_settled_item(context, spec, map, unit).await;
        }
        if context.commit(&unit.step).is_some() {
            self.settle_onwards(context, vec![unit.step.clone()]).await?;
        }
        Ok(())
    }

    async fn open_attempt(&self, context: &RunContext, name: &AttemptName) -> Result<Standing, RunnerError> {
        let history = self.history(context, &name.unit).await?;
        let is_last = history.attempts.iter().all(|record| record.attempt <= name.attempt);
        if history.failures.iter().any(|failure: &AttemptFailure| failure.attempt == name.attempt) {
            return Ok(Standing::Ended { is_last });
        }
        let record = history.attempts.iter().find(|record| record.attempt == name.attempt).cloned();
        Ok(match record {
            Some(record) if is_last => Standing::Open(history, record),
            Some(_) => Standing::Overtaken,
            None => Standing::Unknown,
        })
    }

    /// Whether this task is the one that carries out the attempt.
    async fn claim(&self, context: &RunContext, name: &AttemptName) -> Result<bool, RunnerError> {
        let claim = TaskClaim {
            schema: RUN_SCHEMA,
            nonce: self.platform.nonces().nonce(),
            worker: self.platform.worker().to_owned(),
            claimed_at: self.platform.clock().now(),
        };
        let key = keys::attempt_task(context.pipeline(), context.run(), &name.unit, name.attempt);
        let store = self.platform.store();
        match store.put_if_absent(&key, &documents::encode(&key, &claim)?).await? {
            Put::Created(_) => Ok(true),
            Put::Exists => {
                let there: Option<documents::Versioned<TaskClaim>> = documents::read(store, &key, RUN_SCHEMA).await?;
                Ok(there.is_some_and(|there| there.document.nonce == claim.nonce))
            }
        }
    }
}

/// How an attempt stands.
enum Standing {
    /// It is the last one, and open.
    Open(History, AttemptRecord),
    /// It failed.
    Ended {
        /// Whether it is the last one.
        is_last: bool,
    },
    /// It was given up for lost, and a later one was opened.
    Overtaken,
    /// Nobody opened it.
    Unknown,
}

fn needless(why: String) -> Carried {
    Carried::Needless(why)
}

/// How long the step may take, so that it is over before the lease is; and whether that is less than it asks for.
fn time_left(spec: &StepSpec, record: &AttemptRecord, now: UtcTime) -> (Duration, bool) {
    let asked = Duration::from_secs(spec.timeout_seconds);
    let millis = record.lease_until.millis().saturating_sub(now.millis());
    let left = Duration::from_millis(u64::try_from(millis).unwrap_or(0)).saturating_sub(LEASE_MARGIN);
    (asked.min(left), left < asked)
}

/// What the outcome means on a task, behind which no message waits.
fn on_a_task(outcome: AttemptOutcome, is_short: bool) -> AttemptOutcome {
    match outcome {
        AttemptOutcome::Stopped => {
            let message = "the task was stopped from outside before the step ended";
            AttemptOutcome::Failed(failure(FailureClass::Infrastructure, message))
        }
        AttemptOutcome::Failed(failed) if failed.class == FailureClass::Timeout && is_short => {
            AttemptOutcome::Failed(too_late())
        }
        other @ (AttemptOutcome::Succeeded { .. } | AttemptOutcome::Failed(_) | AttemptOutcome::Handed) => other,
    }
}

fn too_late() -> Failure {
    failure(FailureClass::Infrastructure, "the task started so late that the step's time was over before it ended")
}
