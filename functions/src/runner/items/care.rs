//! What a sweeper does for the items of a step.

use std::collections::BTreeSet;
use std::time::Duration;

use liminal_schemas::keys;
use liminal_schemas::map::MapRecord;
use liminal_schemas::map::MapSpec;
use liminal_schemas::name::StepName;
use liminal_schemas::run::AttemptRecord;
use liminal_schemas::run::Failure;
use liminal_schemas::step::StepSpec;
use liminal_schemas::time::UtcTime;
use liminal_schemas::unit::Unit;

use crate::ports::Clock;
use crate::ports::ObjectStore;
use crate::ports::Platform;
use crate::protocol::attempt::History;
use crate::protocol::sweeping::Care;
use crate::protocol::sweeping::care;
use crate::runner::Runner;
use crate::runner::attempt::describe;
use crate::runner::context::RunContext;
use crate::runner::error::RunnerError;
use crate::runner::heal::Cared;

/// How many messages of items that nobody has been at are sent again at once. The others follow with the next sweeps.
const SENT_AGAIN: usize = 1000;

impl<P: Platform> Runner<P> {
    /// Looks at the items of a step: what has no attempt left fails, and messages that were lost are sent again. Items that nobody
    /// has been at are left alone as long as others are under way, since they wait for a worker.
    pub(in crate::runner) async fn care_for_items(
        &self,
        context: &RunContext,
        step: &StepName,
        spec: &StepSpec,
        map: &MapSpec,
        record: &MapRecord,
    ) -> Result<Cared, RunnerError> {
        let settled = self.settled_items(context, step).await?;
        self.join_whole_blocks(context, step, spec, map, &settled).await?;
        if context.commit(step).is_some() {
            return Ok(Cared::Settled);
        }
        if record.items == 0 {
            self.end_map(context, step, spec, map, record).await?;
            return Ok(Cared::Settled);
        }
        let prefix = keys::attempts_prefix(context.pipeline(), context.run(), step);
        let tried = self.platform.store().list(&prefix).await?;
        let tried: BTreeSet<u32> = tried.iter().filter_map(|key| keys::item_of(key)).collect();
        let mut newest = record.expanded_at;
        if let Some(last) = tried.last() {
            // Items begin in the order of their numbers, by and large: the last one tells since when nothing has begun.
            let history = self.history(context, &Unit::item(step.clone(), *last)).await.unwrap_or_default();
            newest = history.attempts.iter().map(|record| record.started_at).fold(newest, std::cmp::max);
        }
        let (mut sent, mut busy) = (0_u32, false);
        for item in tried.difference(&settled) {
            let unit = Unit::item(step.clone(), *item);
            match self.care_for_item(context, spec, map, &unit, newest).await? {
                Cared::Sent(count) => sent += count,
                Cared::Left => busy = true,
                Cared::Settled => {}
            }
        }
        let is_dead = |record: &AttemptRecord| self.platform.is_dead(&record.worker);
        let now = self.platform.clock().now();
        if !busy {
            let untried = (0..record.items).filter(|item| !settled.contains(item) && !tried.contains(item));
            match care(&spec.retries, &History::default(), newest, now, is_dead) {
                Care::Leave => {}
                Care::Send => {
                    let some: Vec<u32> = untried.take(SENT_AGAIN).collect();
                    sent += u32::try_from(some.len()).unwrap_or(u32::MAX);
                    self.send_items(context, step, spec, some.into_iter()).await?;
                }
                Care::GiveUp { failure, .. } => {
                    for item in untried.take(SENT_AGAIN).collect::<Vec<_>>() {
                        let unit = Unit::item(step.clone(), item);
                        self.give_up_item(context, spec, map, &unit, (failure.clone(), None)).await?;
                    }
                }
            }
        }
        Ok(match (context.commit(step), sent) {
            (Some(_), _) => Cared::Settled,
            (None, 0) => Cared::Left,
            (None, sent) => Cared::Sent(sent),
        })
    }

    async fn care_for_item(
        &self,
        context: &RunContext,
        spec: &StepSpec,
        map: &MapSpec,
        unit: &Unit,
        newest: UtcTime,
    ) -> Result<Cared, RunnerError> {
        let history = match self.history(context, unit).await {
            Ok(history) => history,
            Err(error) if error.is_corrupt() => {
                self.fail_poisoned(context, unit, describe(&error)).await?;
                self.after_settled_item(context, spec, map, unit).await?;
                return Ok(Cared::Settled);
            }
            Err(error) => return Err(error.into()),
        };
        let is_dead = |record: &AttemptRecord| self.platform.is_dead(&record.worker);
        match care(&spec.retries, &history, newest, self.platform.clock().now(), is_dead) {
            Care::Leave => Ok(Cared::Left),
            Care::Send => {
                self.send(context, unit, Duration::ZERO).await?;
                Ok(Cared::Sent(1))
            }
            Care::GiveUp { failure, attempt } => {
                self.give_up_item(context, spec, map, unit, (failure, attempt)).await?;
                Ok(Cared::Settled)
            }
        }
    }

    /// Ends an item that has no attempt left, unless it can be settled without one. `attempt` is the last one, if there was any.
    async fn give_up_item(
        &self,
        context: &RunContext,
        spec: &StepSpec,
        map: &MapSpec,
        unit: &Unit,
        (failure, attempt): (Failure, Option<u32>),
    ) -> Result<(), RunnerError> {
        self.load_parents(context, &unit.step).await?;
        if let Some(work) = self.item_work(context, spec, map, unit).await?
            && let Some(prepared) = self.settle_inline(context, &work).await?
        {
            self.give_up(context, unit, &prepared, failure, attempt).await?;
        }
        self.after_settled_item(context, spec, map, unit).await
    }

    /// Goes on from an item, if this runner settled it just now.
    pub(in crate::runner) async fn after_settled_item(
        &self,
        context: &RunContext,
        spec: &StepSpec,
        map: &MapSpec,
        unit: &Unit,
    ) -> Result<(), RunnerError> {
        match context.take_settled_item(unit) {
            Some(status) => self.after_item(context, spec, map, unit, status).await,
            None => Ok(()),
        }
    }
}
