//! Why a runner can not go on. What fails within a step is no such error: it becomes the step's commit.

use liminal_schemas::digest::Digest;
use liminal_schemas::graph::GraphError;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;

use crate::ports::QueueError;
use crate::ports::StoreError;

/// Why a runner can not go on with a run.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// The object store failed, or an object makes no sense.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// There is no such run.
    #[error("pipeline {pipeline} has no run {run}")]
    NoRun {
        /// The pipeline.
        pipeline: PipelineName,
        /// The run that was looked for.
        run: RunId,
    },
    /// Another run of that id was there before.
    #[error("pipeline {pipeline} already has a run {run}")]
    RunExists {
        /// The pipeline.
        pipeline: PipelineName,
        /// The id that is taken.
        run: RunId,
    },
    /// The release that the run was to be pinned to is being replaced, or is gone. Nothing was started.
    #[error("release {} of pipeline {pipeline} was replaced just now", .revision.short())]
    Replaced {
        /// The pipeline.
        pipeline: PipelineName,
        /// The release.
        revision: Digest,
    },
    /// The release that the run is pinned to is gone.
    #[error("run {run} is pinned to release {}, which is not in the object store", .revision.short())]
    NoRelease {
        /// The run.
        run: RunId,
        /// The release.
        revision: Digest,
    },
    /// The release that the run is pinned to has other content than its revision says.
    #[error("release {} has been altered: its content has another digest", .revision.short())]
    AlteredRelease {
        /// The release.
        revision: Digest,
    },
    /// The steps of the release wait for each other.
    #[error("the release's steps form no graph")]
    Graph(#[from] GraphError),
}
