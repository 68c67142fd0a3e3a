//! Marks of runs that have not ended. A sweeper finds open runs by them, without looking at all runs that ever were.
//!
//! A mark is there before the record of its run, and goes after the result. What a crash in between leaves is a mark too
//! many, which the sweeper removes, never one too few.

use liminal_schemas::keys;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::run::OpenRun;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::time::UtcTime;

use super::Runner;
use super::error::RunnerError;
use crate::documents;
use crate::ports::Clock;
use crate::ports::ObjectStore;
use crate::ports::Platform;
use crate::ports::Put;
use crate::ports::StoreError;

/// The runs of a pipeline that have not ended, the oldest first: those that are marked, but for the ones that have ended
/// since, and for marks of runs that never came to be.
///
/// # Errors
/// When the store fails.
pub async fn open_runs(
    store: &impl ObjectStore,
    pipeline: &PipelineName,
    now: UtcTime,
) -> Result<Vec<RunId>, StoreError> {
    let prefix = keys::open_runs_prefix(pipeline);
    let mut open = Vec::new();
    for mark in store.list(&prefix).await? {
        let Some(run) = mark.strip_prefix(&prefix).and_then(|run| RunId::new(run).ok()) else { continue };
        if store.exists(&keys::result(pipeline, &run)).await? {
            continue;
        }
        if !store.exists(&keys::run(pipeline, &run)).await? {
            let marked: Option<documents::Versioned<OpenRun>> = documents::read(store, &mark, RUN_SCHEMA).await?;
            if !marked.is_some_and(|marked| marked.document.is_starting(now)) {
                continue;
            }
        }
        open.push(run);
    }
    Ok(open)
}

impl<P: Platform> Runner<P> {
    /// Marks a run as open. False when it was marked before.
    pub(super) async fn mark_open(&self, pipeline: &PipelineName, run: &RunId) -> Result<bool, RunnerError> {
        let key = keys::open_run(pipeline, run);
        let mark = OpenRun { schema: RUN_SCHEMA, since: self.platform.clock().now() };
        let put = self.platform.store().put_if_absent(&key, &documents::encode(&key, &mark)?).await?;
        Ok(matches!(put, Put::Created(_)))
    }

    /// Removes the mark of a run that has ended.
    pub(super) async fn unmark(&self, pipeline: &PipelineName, run: &RunId) -> Result<(), RunnerError> {
        Ok(self.platform.store().delete(&keys::open_run(pipeline, run)).await?)
    }

    /// Removes the mark of a run of which nothing else is there, unless its record appears just then.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn remove_stray_mark(&self, pipeline: &PipelineName, run: &RunId) -> Result<(), RunnerError> {
        self.unmark(pipeline, run).await?;
        if self.platform.store().exists(&keys::run(pipeline, run)).await? {
            self.mark_open(pipeline, run).await?;
        }
        Ok(())
    }
}
