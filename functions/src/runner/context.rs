//! A run in memory: its record, its release, and the commits seen so far. All of these never change once written, so
//! keeping them is always right.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use liminal_schemas::graph::Graph;
use liminal_schemas::map::ItemBlock;
use liminal_schemas::map::MapRecord;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::release::Release;
use liminal_schemas::release::SecretRef;
use liminal_schemas::run::Commit;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunResult;
use liminal_schemas::step::StepSpec;
use liminal_schemas::unit::Unit;
use liminal_schemas::value::Value;

use super::error::RunnerError;
use crate::protocol::advance;
use crate::protocol::advance::Advance;
use crate::protocol::advance::Next;
use crate::protocol::advance::Settled;

/// How many blocks of items are kept. Items come by and large in their order, so that few blocks are in use at a time.
const MAX_BLOCKS: usize = 8;

/// A run in memory.
pub(crate) struct RunContext {
    pub(crate) record: RunRecord,
    pub(crate) release: Release,
    pub(crate) graph: Graph,
    pub(crate) params: Arc<BTreeMap<FieldName, Value>>,
    pub(crate) secrets: Arc<BTreeMap<FieldName, SecretRef>>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    commits: BTreeMap<StepName, Arc<Commit>>,
    settled: BTreeMap<StepName, Settled>,
    result: Option<RunResult>,
    maps: BTreeMap<StepName, MapRecord>,
    /// Blocks of items that were read of late, the newest last.
    blocks: VecDeque<((StepName, u32), Arc<ItemBlock>)>,
    /// Items that this runner settled and has not gone on from.
    settled_items: BTreeMap<Unit, CommitStatus>,
}

impl RunContext {
    pub(crate) fn new(record: RunRecord, release: Release) -> Result<Self, RunnerError> {
        let graph = Graph::new(&release.steps)?;
        let params = Arc::new(record.params.clone());
        let secrets = Arc::new(release.secrets.clone());
        Ok(Self { record, release, graph, params, secrets, seen: Mutex::default() })
    }

    pub(crate) fn pipeline(&self) -> &PipelineName {
        &self.record.pipeline
    }

    pub(crate) fn run(&self) -> &RunId {
        &self.record.run
    }

    pub(crate) fn spec(&self, step: &StepName) -> Option<&StepSpec> {
        self.release.steps.get(step)
    }

    pub(crate) fn commit(&self, step: &StepName) -> Option<Arc<Commit>> {
        self.seen().commits.get(step).cloned()
    }

    /// Keeps a commit that is in the store.
    pub(crate) fn remember(&self, commit: Commit) -> Arc<Commit> {
        let commit = Arc::new(commit);
        let mut seen = self.seen();
        seen.settled.insert(commit.step.clone(), Settled::from(&*commit));
        seen.commits.insert(commit.step.clone(), Arc::clone(&commit));
        commit
    }

    pub(crate) fn result(&self) -> Option<RunResult> {
        self.seen().result.clone()
    }

    pub(crate) fn remember_result(&self, result: RunResult) {
        self.seen().result = Some(result);
    }

    /// How many items a step has, if that was seen.
    pub(crate) fn map_record(&self, step: &StepName) -> Option<MapRecord> {
        self.seen().maps.get(step).cloned()
    }

    pub(crate) fn remember_map(&self, step: &StepName, record: MapRecord) {
        self.seen().maps.insert(step.clone(), record);
    }

    pub(crate) fn item_block(&self, step: &StepName, block: u32) -> Option<Arc<ItemBlock>> {
        let seen = self.seen();
        let found = seen.blocks.iter().find(|((of, number), _)| of == step && *number == block);
        found.map(|(_, items)| Arc::clone(items))
    }

    /// Keeps a block of items, in place of the oldest where there are many.
    pub(crate) fn remember_items(&self, step: &StepName, block: u32, items: Arc<ItemBlock>) {
        let mut seen = self.seen();
        if seen.blocks.len() >= MAX_BLOCKS {
            seen.blocks.pop_front();
        }
        seen.blocks.push_back(((step.clone(), block), items));
    }

    /// Keeps in mind that this runner settled an item, until it goes on from there.
    pub(crate) fn note_settled_item(&self, unit: Unit, status: CommitStatus) {
        self.seen().settled_items.insert(unit, status);
    }

    pub(crate) fn take_settled_item(&self, unit: &Unit) -> Option<CommitStatus> {
        self.seen().settled_items.remove(unit)
    }

    /// What is to be done about one step, as far as commits have been seen.
    pub(crate) fn next(&self, step: &StepName, spec: &StepSpec) -> Next {
        advance::next(&self.graph, step, spec, &self.seen().settled)
    }

    /// What is to be done about the run, as far as commits have been seen.
    pub(crate) fn advance(&self) -> Advance {
        advance::advance(&self.graph, &self.release.steps, &self.seen().settled)
    }

    /// How the given steps came out together, if all of their commits have been seen.
    pub(crate) fn outcome<'a>(
        &self,
        steps: impl IntoIterator<Item = &'a StepName>,
    ) -> Option<liminal_schemas::run::RunStatus> {
        advance::outcome(steps, &self.seen().settled)
    }

    /// The map is whole at every moment at which a panic could happen, so a poisoned lock holds nothing broken.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
