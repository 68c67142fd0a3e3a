//! Ends runs early: what is still open under `steps:` is settled, and what stands under `finally:` follows.

use std::time::Duration;

use liminal_schemas::keys;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::step::StepSpec;
use liminal_schemas::time::UtcTime;
use liminal_schemas::unit::Unit;

use super::Runner;
use super::context::RunContext;
use super::error::RunnerError;
use crate::ports::Clock;
use crate::ports::ObjectStore;
use crate::ports::Platform;
use crate::protocol::ending::Cut;
use crate::protocol::ending::EarlyEnd;
use crate::protocol::ending::early_end;

impl<P: Platform> Runner<P> {
    /// Whether a run ends early, as things stand now.
    pub(super) async fn early_end(&self, context: &RunContext) -> Result<Option<EarlyEnd>, RunnerError> {
        let key = keys::cancel(context.pipeline(), context.run());
        let cancelled = self.platform.store().exists(&key).await?;
        Ok(early_end(cancelled, context.record.deadline, self.platform.clock().now()))
    }

    /// The deadline of a run that has passed, which is known without looking anything up.
    pub(super) fn passed_deadline(&self, context: &RunContext, spec: &StepSpec) -> Option<EarlyEnd> {
        if spec.finally { None } else { early_end(false, context.record.deadline, self.platform.clock().now()) }
    }

    /// Settles the steps of a run that are still open and do not stand under `finally:`: all of them, or one and those after
    /// it, which is as far as the runner of a step may reach. Attempts that run elsewhere lose. Gives back those that were
    /// settled: what comes after them is to be looked at.
    pub(super) async fn end_early(
        &self,
        context: &RunContext,
        why: EarlyEnd,
        from: Option<&StepName>,
    ) -> Result<Vec<StepName>, RunnerError> {
        let mut settled = Vec::new();
        let after = from.map(|from| context.graph.descendants(from));
        for step in context.graph.order() {
            let is_meant = after.as_ref().is_none_or(|after| from == Some(step) || after.contains(step));
            let is_body = context.spec(step).is_some_and(|spec| !spec.finally);
            if !is_meant || !is_body || self.commit_of(context, step).await?.is_some() {
                continue;
            }
            let prefix = keys::attempts_prefix(context.pipeline(), context.run(), step);
            let begun = !self.platform.store().list(&prefix).await?.is_empty();
            match why.cut(begun) {
                Cut::Fail(failure) => {
                    let mut commit = self.blank(
                        context,
                        &Unit::step(step.clone()),
                        CommitStatus::Failed,
                        self.platform.clock().now(),
                    );
                    commit.failure = Some(failure);
                    self.settle(context, commit).await?;
                }
                Cut::Skip(reason) => self.skip(context, &Unit::step(step.clone()), reason).await?,
            }
            settled.push(step.clone());
        }
        Ok(settled)
    }

    /// Ends a run early that is to end, and asks for its steps under `finally:`. False when it is not to end.
    ///
    /// # Errors
    /// When the run is not there, or a port fails.
    pub async fn end_if_due(&self, pipeline: &PipelineName, run: &RunId) -> Result<bool, RunnerError> {
        let Some(context) = self.context_unless_gone(pipeline, run).await? else { return Ok(true) };
        let Some(why) = self.early_end(&context).await? else { return Ok(false) };
        self.end_early(&context, why, None).await?;
        self.settle_frontier(&context).await?;
        Ok(true)
    }

    /// Ends a step and those after it early, when their run is to end.
    ///
    /// # Errors
    /// When the run is not there, or a port fails.
    pub async fn end_step_if_due(
        &self,
        pipeline: &PipelineName,
        run: &RunId,
        step: &StepName,
    ) -> Result<(), RunnerError> {
        let context = self.context(pipeline, run).await?;
        if let Some(why) = self.early_end(&context).await? {
            self.end_early(&context, why, Some(step)).await?;
            self.settle_onwards(&context, vec![step.clone()]).await?;
        }
        Ok(())
    }

    /// Whether an attempt at a step is to stop, since its run ends early. One under `finally:` goes on.
    ///
    /// # Errors
    /// When the run is not there, or a port fails.
    pub async fn is_to_stop(&self, pipeline: &PipelineName, run: &RunId, step: &StepName) -> Result<bool, RunnerError> {
        let context = self.context(pipeline, run).await?;
        Ok(context.spec(step).is_none_or(|spec| !spec.finally) && self.early_end(&context).await?.is_some())
    }

    /// By when a run must have ended.
    ///
    /// # Errors
    /// When the run is not there, or a port fails.
    pub async fn deadline(&self, pipeline: &PipelineName, run: &RunId) -> Result<Option<UtcTime>, RunnerError> {
        Ok(self.context_unless_gone(pipeline, run).await?.and_then(|context| context.record.deadline))
    }

    /// How long an attempt at a step may take that begins now: no longer than its run has time.
    pub(super) fn time_for(&self, context: &RunContext, spec: &StepSpec, timeout: Duration) -> Duration {
        match context.record.deadline.filter(|_| !spec.finally) {
            Some(deadline) => timeout.min(super::attempt::span(self.platform.clock().now(), deadline)),
            None => timeout,
        }
    }
}
