//! From a step to its items: what they are is written down once, then each gets a message.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use futures_util::StreamExt as _;
use futures_util::TryStreamExt as _;
use futures_util::stream;
use liminal_schemas::keys;
use liminal_schemas::map::BLOCK_ITEMS;
use liminal_schemas::map::Item;
use liminal_schemas::map::ItemBlock;
use liminal_schemas::map::MapRecord;
use liminal_schemas::map::MapSource;
use liminal_schemas::map::MapSpec;
use liminal_schemas::message::StepMessage;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::StepName;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::DirectoryListing;
use liminal_schemas::run::Failure;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::run::SkipReason;
use liminal_schemas::step::FailureClass;
use liminal_schemas::step::StepSpec;
use liminal_schemas::unit::Unit;
use liminal_schemas::value::Value;

use super::AT_ONCE;
use crate::causes::in_full;
use crate::documents;
use crate::ports::Buckets;
use crate::ports::Clock;
use crate::ports::ObjectStore;
use crate::ports::Platform;
use crate::ports::Put;
use crate::ports::Queue;
use crate::ports::StoreError;
use crate::protocol::attempt::failure;
use crate::protocol::mapping;
use crate::runner::Runner;
use crate::runner::context::RunContext;
use crate::runner::error::RunnerError;
use crate::runner::event::RunEvent;
use crate::runner::work::Work;

/// How many messages are sent together.
const SENT_TOGETHER: usize = 1000;

impl<P: Platform> Runner<P> {
    /// Makes the items of a step known, unless they are, and sends their messages, unless all were sent. Doing it again after a
    /// crash sends some messages twice, which does no harm.
    pub(in crate::runner) async fn expand(
        &self,
        context: &RunContext,
        step: &StepName,
        spec: &StepSpec,
        map: &MapSpec,
    ) -> Result<(), RunnerError> {
        let record = match self.map_record(context, step).await? {
            // A message for the step comes with every copy of one for an item before it. Were each to be followed by messages for
            // all items here, a chain of maps would multiply them.
            Some(record) if record.items > 0 && self.are_sent(context, step).await? => return Ok(()),
            Some(record) => record,
            None => match self.write_items(context, step, spec, map).await? {
                Some(record) => record,
                None => return Ok(()),
            },
        };
        if record.items == 0 {
            return self.end_map(context, step, spec, map, &record).await;
        }
        self.send_open_items(context, step, spec, map, &record).await
    }

    /// Sends the messages of the items of a step that are not settled.
    pub(in crate::runner) async fn send_open_items(
        &self,
        context: &RunContext,
        step: &StepName,
        spec: &StepSpec,
        map: &MapSpec,
        record: &MapRecord,
    ) -> Result<(), RunnerError> {
        let settled = self.settled_items(context, step).await?;
        self.join_whole_blocks(context, step, spec, map, &settled).await?;
        if context.commit(step).is_none() {
            let open = (0..record.items).filter(|item| !settled.contains(item));
            self.send_items(context, step, spec, open).await?;
            let key = keys::map_sent(context.pipeline(), context.run(), step);
            self.platform.store().put_if_absent(&key, b"").await?;
        }
        Ok(())
    }

    async fn are_sent(&self, context: &RunContext, step: &StepName) -> Result<bool, RunnerError> {
        let key = keys::map_sent(context.pipeline(), context.run(), step);
        Ok(self.platform.store().exists(&key).await?)
    }

    /// How many items a step has, once that is known.
    pub(in crate::runner) async fn map_record(
        &self,
        context: &RunContext,
        step: &StepName,
    ) -> Result<Option<MapRecord>, RunnerError> {
        if let Some(record) = context.map_record(step) {
            return Ok(Some(record));
        }
        let key = keys::map(context.pipeline(), context.run(), step);
        let record: Option<documents::Versioned<MapRecord>> =
            documents::read(self.platform.store(), &key, RUN_SCHEMA).await?;
        let record = record.map(|record| record.document);
        if let Some(record) = &record {
            context.remember_map(step, record.clone());
        }
        Ok(record)
    }

    /// The items of a step that have a commit.
    pub(super) async fn settled_items(
        &self,
        context: &RunContext,
        step: &StepName,
    ) -> Result<BTreeSet<u32>, RunnerError> {
        let prefix = keys::all_settled_prefix(context.pipeline(), context.run(), step);
        let there = self.platform.store().list(&prefix).await?;
        Ok(there.iter().filter_map(|key| keys::item_of(key)).collect())
    }

    /// Sends the messages of items, however many they are, a part of them at a time.
    pub(super) async fn send_items(
        &self,
        context: &RunContext,
        step: &StepName,
        spec: &StepSpec,
        items: impl Iterator<Item = u32>,
    ) -> Result<(), RunnerError> {
        let queue = self.platform.queue_for(context.pipeline(), context.run(), step, spec);
        let mut bodies = items.map(|item| {
            let unit = Unit::item(step.clone(), item);
            StepMessage::new(context.pipeline().clone(), context.run().clone(), unit).body()
        });
        loop {
            let some: Vec<String> = bodies.by_ref().take(SENT_TOGETHER).collect();
            if some.is_empty() {
                return Ok(());
            }
            self.platform.queue().send_many(&queue, &some).await?;
        }
    }

    /// Writes down what the items are; none when the step is settled instead. Whoever does it at the same time writes the same,
    /// since it follows from what the step is given.
    async fn write_items(
        &self,
        context: &RunContext,
        step: &StepName,
        spec: &StepSpec,
        map: &MapSpec,
    ) -> Result<Option<MapRecord>, RunnerError> {
        let work = Work::step(context, step, spec);
        let Some(prepared) = self.settle_inline(context, &work).await? else { return Ok(None) };
        let store = self.platform.store();
        if store.exists(&keys::cancel(context.pipeline(), context.run())).await? {
            self.skip(context, &work.unit, SkipReason::Cancelled).await?;
            return Ok(None);
        }
        let items = match self.read_items(&work, map, &prepared.inputs).await? {
            Ok(items) => items,
            Err(failure) => {
                self.give_up(context, &work.unit, &prepared, failure, None).await?;
                return Ok(None);
            }
        };
        let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let block_size = usize::try_from(BLOCK_ITEMS).unwrap_or(usize::MAX);
        let blocks = items.chunks(block_size).zip(0..).map(|(some, block)| {
            let key = keys::item_block(context.pipeline(), context.run(), step, block);
            (key, ItemBlock { schema: RUN_SCHEMA, items: some.to_vec() })
        });
        let writes = blocks.map(|(key, block)| async move {
            let bytes = documents::encode(&key, &block)?;
            store.put_if_absent(&key, &bytes).await.map(drop)
        });
        let writes: Vec<_> = writes.collect();
        stream::iter(writes).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        let record = MapRecord { schema: RUN_SCHEMA, items: count, expanded_at: self.platform.clock().now() };
        let key = keys::map(context.pipeline(), context.run(), step);
        match store.put_if_absent(&key, &documents::encode(&key, &record)?).await? {
            Put::Created(_) => {
                self.events.send(RunEvent::Expanded { step: step.clone(), items: count });
                context.remember_map(step, record.clone());
                Ok(Some(record))
            }
            Put::Exists => self.map_record(context, step).await,
        }
    }

    /// The items, from where the map says that they are. The inner error is the fault of whoever made them.
    async fn read_items(
        &self,
        work: &Work<'_>,
        map: &MapSpec,
        inputs: &BTreeMap<FieldName, Artifact>,
    ) -> Result<Result<Vec<Item>, Failure>, RunnerError> {
        let user = |message: String| failure(FailureClass::User, message);
        let source = FieldName::new(map.input()).ok().and_then(|name| inputs.get(&name));
        let items = match &map.over {
            MapSource::Values(values) => Ok(mapping::values(values.clone(), map.batch)),
            MapSource::Param { name } => match work.params.get(name) {
                Some(Value::List(values)) => Ok(mapping::values(values.clone(), map.batch)),
                Some(
                    Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) | Value::Map(_),
                )
                | None => Err(user(format!("parameter {name}, which it maps over, is no list in this run"))),
            },
            MapSource::Files { .. } => match source {
                Some(artifact) => match self.listing(artifact).await {
                    Ok(listing) => Ok(mapping::files(listing, map.batch)),
                    Err(error) if error.is_corrupt() => Err(failure(FailureClass::Infrastructure, error.to_string())),
                    Err(error) => return Err(error.into()),
                },
                None => Err(user(format!("{} has no content", map.over))),
            },
            MapSource::Objects(filter) => {
                let most = mapping::most_objects(map.batch);
                match self.platform.buckets().list(filter, most.saturating_add(1)).await {
                    Ok(listed) if listed.len() > most => {
                        Err(user(format!("{} are more than {most}; `batch:` makes fewer items of them", map.over)))
                    }
                    Ok(listed) => Ok(mapping::objects(listed, map.batch)),
                    Err(error) => Err(user(in_full(&error))),
                }
            }
            MapSource::Rows { .. } => match source {
                Some(artifact) if artifact.bytes > mapping::MAX_ROWS_BYTES => {
                    let limit = mapping::MAX_ROWS_BYTES >> 20;
                    Err(user(format!("{} has {} bytes, and rows are read up to {limit} MiB", map.over, artifact.bytes)))
                }
                Some(artifact) => match self.platform.store().get(&keys::artifact(&artifact.digest)).await? {
                    Some(object) => mapping::rows(&object.bytes)
                        .map(|rows| mapping::values(rows, map.batch))
                        .map_err(|problem| user(format!("{} can not be read: {problem}", map.over))),
                    None => Err(failure(FailureClass::Infrastructure, format!("{} is gone from the store", map.over))),
                },
                None => Err(user(format!("{} has no content", map.over))),
            },
        };
        Ok(items.and_then(|items| mapping::count(&items).map(|_| items)))
    }

    async fn listing(&self, artifact: &Artifact) -> Result<DirectoryListing, StoreError> {
        let key = keys::artifact(&artifact.digest);
        let listing = documents::read_addressed(self.platform.store(), &key, &artifact.digest).await?;
        listing.ok_or_else(|| StoreError::Corrupt { key, source: "it is gone".into() })
    }
}
