//! What a sweeper does for one run: whatever was lost is put right, and nothing that goes on by itself is touched.

use std::collections::BTreeSet;
use std::time::Duration;

use liminal_schemas::keys;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::run::AttemptRecord;
use liminal_schemas::time::UtcTime;
use liminal_schemas::unit::Unit;

use super::Runner;
use super::attempt::describe;
use super::context::RunContext;
use super::error::RunnerError;
use super::work::Work;
use crate::ports::Clock;
use crate::ports::ObjectStore;
use crate::ports::Platform;
use crate::protocol::sweeping::Care;
use crate::protocol::sweeping::care;

/// How a sweeper left a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Healed {
    /// It has ended.
    Ended,
    /// It goes on.
    Open {
        /// How many messages were sent in place of lost ones.
        sent: u32,
    },
}

impl<P: Platform> Runner<P> {
    /// Looks at every step of a run: settles what only waits for somebody to settle it, fails what has no attempt left, and
    /// sends the message of a step again that nobody has been at for too long. Any number of sweepers may do so at once.
    ///
    /// This alone brings every run to an end, whatever becomes of messages: those that end in a dead-letter queue are there
    /// for people to look at, and nothing reads them.
    ///
    /// # Errors
    /// When the run is not there, or a port fails.
    pub async fn heal(&self, pipeline: &PipelineName, run: &RunId) -> Result<Healed, RunnerError> {
        if self.result(pipeline, run).await?.is_some() {
            self.unmark(pipeline, run).await?;
            self.forget(pipeline, run);
            return Ok(Healed::Ended);
        }
        let Some(context) = self.context_unless_gone(pipeline, run).await? else { return Ok(Healed::Ended) };
        self.load_commits(&context).await?;
        if let Some(why) = self.early_end(&context).await? {
            // What stands under `finally:` gets its first messages at once; from then on it is looked after as ever.
            let ended = self.end_early(&context, why, None).await?;
            self.settle_onwards(&context, ended).await?;
        }
        let advance = context.advance();
        let (mut settled, mut sent) = (Vec::new(), 0);
        for (step, reason) in advance.skip {
            self.skip(&context, &Unit::step(step.clone()), reason).await?;
            settled.push(step);
        }
        for step in advance.ready {
            match self.care_for(&context, &step).await? {
                Cared::Settled => settled.push(step),
                Cared::Sent(count) => sent += count,
                Cared::Left => {}
            }
        }
        if settled.is_empty() {
            self.finish(&context).await?;
        } else {
            // Whoever should have settled these died, perhaps before it left results for later runs.
            for commit in context.release.steps.keys().filter_map(|step| context.commit(step)) {
                self.leave_again(&context, &commit).await?;
            }
            self.settle_onwards(&context, settled).await?;
        }
        if context.result().is_some() {
            self.forget(pipeline, run);
            return Ok(Healed::Ended);
        }
        Ok(Healed::Open { sent })
    }

    /// Brings all commits of a run into memory.
    pub(super) async fn load_commits(&self, context: &RunContext) -> Result<(), RunnerError> {
        // The records of items are too many to list: where there are any, the steps are looked up one by one.
        if context.release.steps.values().any(|spec| spec.map.is_some()) {
            for step in context.release.steps.keys() {
                self.commit_of(context, step).await?;
            }
            return Ok(());
        }
        let prefix = keys::run_prefix(context.pipeline(), context.run());
        let there: BTreeSet<String> =
            self.platform.store().list(&format!("{prefix}steps/")).await?.into_iter().collect();
        for step in context.release.steps.keys() {
            if there.contains(&keys::commit(context.pipeline(), context.run(), step)) {
                self.commit_of(context, step).await?;
            }
        }
        Ok(())
    }

    async fn care_for(&self, context: &RunContext, step: &StepName) -> Result<Cared, RunnerError> {
        let Some(spec) = context.spec(step) else { return Ok(Cared::Left) };
        if let Some(map) = &spec.map
            && let Some(record) = self.map_record(context, step).await?
        {
            return self.care_for_items(context, step, spec, map, &record).await;
        }
        let work = Work::step(context, step, spec);
        let unit = &work.unit;
        let history = match self.history(context, unit).await {
            Ok(history) => history,
            Err(error) if error.is_corrupt() => {
                self.fail_poisoned(context, unit, describe(&error)).await?;
                return Ok(Cared::Settled);
            }
            Err(error) => return Err(error.into()),
        };
        let is_dead = |record: &AttemptRecord| self.platform.is_dead(&record.worker);
        match care(&spec.retries, &history, ready_since(context, step), self.platform.clock().now(), is_dead) {
            Care::Leave => Ok(Cared::Left),
            Care::Send => match self.settle_inline(context, &work).await? {
                None => Ok(Cared::Settled),
                Some(_) => {
                    self.send(context, unit, Duration::ZERO).await?;
                    Ok(Cared::Sent(1))
                }
            },
            Care::GiveUp { failure, attempt } => {
                if let Some(prepared) = self.settle_inline(context, &work).await? {
                    self.give_up(context, unit, &prepared, failure, attempt).await?;
                }
                Ok(Cared::Settled)
            }
        }
    }
}

/// What became of a step that was ready.
pub(super) enum Cared {
    /// It is settled.
    Settled,
    /// So many messages were sent in place of lost ones.
    Sent(u32),
    /// It goes on by itself.
    Left,
}

/// Since when a step could have begun: since the last of its parents was settled, or the run started.
fn ready_since(context: &RunContext, step: &StepName) -> UtcTime {
    let ends = context.graph.parents(step).filter_map(|parent| context.commit(parent)).map(|commit| commit.ended_at);
    ends.max().map_or(context.record.started_at, |end| end.max(context.record.started_at))
}
