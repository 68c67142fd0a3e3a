//! A run in memory: its record, its release, and the commits seen so far. All of these never change once written, so
//! keeping them is always right.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use liminal_schemas::graph::Graph;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::release::Release;
use liminal_schemas::release::SecretRef;
use liminal_schemas::run::Commit;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunResult;
use liminal_schemas::step::StepSpec;
use liminal_schemas::value::Value;

use super::error::RunnerError;
use crate::protocol::advance;
use crate::protocol::advance::Advance;
use crate::protocol::advance::Next;
use crate::protocol::advance::Settled;

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
