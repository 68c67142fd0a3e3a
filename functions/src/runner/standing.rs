//! Whether a run may begin on a release, while an apply may be removing what nobody needs.
//!
//! Whoever starts a run marks it as open, then looks whether its release stands, and only then writes its record. An apply
//! moves pointers and writes down which releases it will delete, then looks for marks and records, and only then deletes. So
//! one of the two sees the other, whoever is slow: no run is left on a release that goes, and none is lost, since whoever
//! finds that its release does not stand has written nothing and begins again with what is live.

use std::sync::Arc;

use liminal_schemas::keys;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::plan::Operation;
use liminal_schemas::run::EndReason;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunResult;
use liminal_schemas::run::RunStatus;
use liminal_schemas::state::LivePointer;
use liminal_schemas::state::STATE_SCHEMA;
use liminal_schemas::state::State;

use super::Runner;
use super::context::RunContext;
use super::error::RunnerError;
use crate::documents;
use crate::documents::Versioned;
use crate::ports::Clock;
use crate::ports::ObjectStore;
use crate::ports::Platform;

impl<P: Platform> Runner<P> {
    /// Whether nobody is about to remove the release of a run that is marked as open.
    pub(super) async fn stands(&self, record: &RunRecord) -> Result<bool, RunnerError> {
        let (store, pipeline, revision) = (self.platform.store(), &record.pipeline, &record.revision);
        let live: Option<Versioned<LivePointer>> = documents::read(store, &keys::live(pipeline), STATE_SCHEMA).await?;
        let names_it = |live: LivePointer| {
            live.revision == *revision || live.canary.is_some_and(|canary| canary.revision == *revision)
        };
        if live.is_some_and(|live| names_it(live.document)) {
            return Ok(true);
        }
        // What is not live was made for this run, or is kept.
        let state: Option<Versioned<State>> = documents::read(store, &self.platform.state_key(), STATE_SCHEMA).await?;
        let journal = state.and_then(|state| state.document.journal);
        let mut deleted = journal.iter().flat_map(|journal| &journal.open).filter_map(Operation::deleted_release);
        let goes = deleted.any(|release| release == (pipeline, revision));
        Ok(!goes && store.exists(&keys::release(pipeline, revision)).await?)
    }

    /// The run, read once; none when its release is gone, and with it all that could bring the run further: it is ended then.
    pub(super) async fn context_unless_gone(
        &self,
        pipeline: &PipelineName,
        run: &RunId,
    ) -> Result<Option<Arc<RunContext>>, RunnerError> {
        match self.context(pipeline, run).await {
            Ok(context) => Ok(Some(context)),
            Err(RunnerError::NoRelease { revision, .. }) => {
                self.warn(None, format!("run {run} ends as failed: its release {} is gone", revision.short()));
                let result = RunResult {
                    schema: RUN_SCHEMA,
                    run: run.clone(),
                    status: RunStatus::Failed,
                    steps: Default::default(),
                    reason: Some(EndReason::ReleaseGone),
                    ended_at: self.platform.clock().now(),
                };
                self.write_result(pipeline, result).await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
