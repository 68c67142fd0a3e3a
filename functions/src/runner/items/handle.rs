//! One item: what it is, whether it still begins, and what follows from its end.

use std::sync::Arc;

use liminal_schemas::keys;
use liminal_schemas::map::BLOCK_ITEMS;
use liminal_schemas::map::Item;
use liminal_schemas::map::ItemBlock;
use liminal_schemas::map::MapSpec;
use liminal_schemas::message::StepMessage;
use liminal_schemas::name::StepName;
use liminal_schemas::run::Commit;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::run::SkipReason;
use liminal_schemas::step::FailureClass;
use liminal_schemas::step::StepSpec;
use liminal_schemas::unit::Unit;
use tokio::sync::watch;

use crate::documents;
use crate::executor::Stop;
use crate::ports::Clock;
use crate::ports::ObjectStore;
use crate::ports::Platform;
use crate::protocol::attempt::failure;
use crate::protocol::mapping::COUNTED_FAILURES;
use crate::runner::Handled;
use crate::runner::Runner;
use crate::runner::attempt::span;
use crate::runner::context::RunContext;
use crate::runner::error::RunnerError;
use crate::runner::work::Work;

impl<P: Platform> Runner<P> {
    /// Does what a message asks for one item.
    pub(in crate::runner) async fn handle_item(
        &self,
        context: &RunContext,
        message: &StepMessage,
        number: u32,
        stop: watch::Receiver<Stop>,
    ) -> Result<Handled, RunnerError> {
        let step = &message.step;
        let known = context.spec(step).and_then(|spec| Some((spec, spec.map.as_ref()?)));
        let record = match known {
            Some(_) => self.map_record(context, step).await?,
            None => None,
        };
        let (Some((spec, map)), Some(_)) = (known, record.filter(|record| number < record.items)) else {
            self.warn(Some(step), format!("a message for item {number} of {step}, which there is not, was dropped"));
            return Ok(Handled::Done);
        };
        let unit = Unit::item(step.clone(), number);
        if let Some(commit) = self.item_commit(context, &unit).await? {
            self.leave_again(context, &commit).await?;
            self.after_item(context, spec, map, &unit, commit.status).await?;
            return Ok(Handled::Done);
        }
        let now = self.platform.clock().now();
        if let Some(until) = message.not_before.filter(|until| *until > now) {
            return Ok(Handled::PutBack(span(now, until)));
        }
        let mut handled = Handled::Done;
        if self.platform.store().exists(&keys::map_stop(context.pipeline(), context.run(), step)).await? {
            self.skip(context, &unit, SkipReason::Stopped).await?;
        } else {
            self.load_parents(context, step).await?;
            if let Some(work) = self.item_work(context, spec, map, &unit).await? {
                handled = self.start_step(context, &work, stop).await?;
            }
        }
        match context.take_settled_item(&unit) {
            Some(status) => self.after_item(context, spec, map, &unit, status).await?,
            // The run ended early, and the step with it.
            None if context.commit(step).is_some() => self.settle_onwards(context, vec![step.clone()]).await?,
            None => {}
        }
        Ok(handled)
    }

    /// Goes on from an item that is settled.
    pub(in crate::runner) async fn after_item(
        &self,
        context: &RunContext,
        spec: &StepSpec,
        map: &MapSpec,
        unit: &Unit,
        status: CommitStatus,
    ) -> Result<(), RunnerError> {
        let (Some(item), Some(record)) = (unit.item, self.map_record(context, &unit.step).await?) else {
            return Ok(());
        };
        if status == CommitStatus::Failed {
            self.count_failure(context, &unit.step, item, map.tolerated_failures.of(record.items)).await?;
        }
        self.join(context, &unit.step, spec, map, item / BLOCK_ITEMS).await
    }

    /// What attempts at an item are to be given. None when the item was settled instead, since what it is makes no sense.
    pub(in crate::runner) async fn item_work(
        &self,
        context: &RunContext,
        spec: &StepSpec,
        map: &MapSpec,
        unit: &Unit,
    ) -> Result<Option<Work<'static>>, RunnerError> {
        let Some(number) = unit.item else { return Ok(None) };
        let made = match self.item(context, &unit.step, number).await? {
            Some(item) => Work::item(context, &unit.step, spec, map, number, item),
            None => Err(failure(FailureClass::Poison, format!("item {number} is not among those of the step"))),
        };
        match made {
            Ok((work, several)) => {
                if let (Some(listing), Some((_, artifact))) = (several, &work.given) {
                    let key = keys::artifact(&artifact.digest);
                    self.platform.store().put_if_absent(&key, &documents::encode(&key, &listing)?).await?;
                }
                Ok(Some(work))
            }
            Err(failure) => {
                self.fail(context, unit, self.platform.clock().now(), failure).await?;
                Ok(None)
            }
        }
    }

    /// The commit of an item, if it is settled.
    pub(in crate::runner) async fn item_commit(
        &self,
        context: &RunContext,
        unit: &Unit,
    ) -> Result<Option<Commit>, RunnerError> {
        let key = keys::commit(context.pipeline(), context.run(), unit);
        let commit: Option<documents::Versioned<Commit>> =
            documents::read(self.platform.store(), &key, RUN_SCHEMA).await?;
        Ok(commit.map(|commit| commit.document))
    }

    /// What an item is.
    async fn item(&self, context: &RunContext, step: &StepName, number: u32) -> Result<Option<Item>, RunnerError> {
        let block = number / BLOCK_ITEMS;
        let items = match context.item_block(step, block) {
            Some(items) => items,
            None => {
                let key = keys::item_block(context.pipeline(), context.run(), step, block);
                let read: Option<documents::Versioned<ItemBlock>> =
                    documents::read(self.platform.store(), &key, RUN_SCHEMA).await?;
                let Some(read) = read else { return Ok(None) };
                let items = Arc::new(read.document);
                context.remember_items(step, block, Arc::clone(&items));
                items
            }
        };
        let place = usize::try_from(number % BLOCK_ITEMS).unwrap_or(usize::MAX);
        Ok(items.items.get(place).cloned())
    }

    /// Notes that an item failed, and lets no further one begin once more have failed than may.
    async fn count_failure(
        &self,
        context: &RunContext,
        step: &StepName,
        item: u32,
        allowed: u32,
    ) -> Result<(), RunnerError> {
        let (store, pipeline, run) = (self.platform.store(), context.pipeline(), context.run());
        if allowed > COUNTED_FAILURES {
            return Ok(());
        }
        if allowed > 0 {
            store.put_if_absent(&keys::failed_item(pipeline, run, step, item), b"").await?;
            let failed = store.list(&keys::failed_items_prefix(pipeline, run, step)).await?.len();
            if u32::try_from(failed).unwrap_or(u32::MAX) <= allowed {
                return Ok(());
            }
        }
        store.put_if_absent(&keys::map_stop(pipeline, run, step), b"").await?;
        Ok(())
    }
}
