//! Why a starter could not do what a message asks for.

use liminal_schemas::digest::Digest;
use liminal_schemas::name::NameError;
use liminal_schemas::name::PipelineName;

use super::pin::PinError;
use super::source::SourceError;
use crate::ports::QueueError;
use crate::ports::StoreError;
use crate::runner::RunnerError;

/// Why a starter could not do what a message asks for.
#[derive(Debug, thiserror::Error)]
pub enum StarterError {
    /// The object store failed, or an object makes no sense.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// A run could not be started.
    #[error(transparent)]
    Runner(#[from] RunnerError),
    /// The object that starts a run could not be brought in.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A model that the pipeline needs is not there.
    #[error("pipeline {pipeline} can not start")]
    Pin {
        /// The pipeline.
        pipeline: PipelineName,
        /// Which model.
        source: PinError,
    },
    /// The live release is gone, or is not what its revision says.
    #[error("the live release {} of pipeline {pipeline} is not in the object store, or has been altered", .revision.short())]
    NoRelease {
        /// The pipeline.
        pipeline: PipelineName,
        /// The release.
        revision: Digest,
    },
    /// The trigger and the defaults leave a parameter without a value, or give it one that it can not have.
    #[error("pipeline {pipeline} can not start: {problem}")]
    Params {
        /// The pipeline.
        pipeline: PipelineName,
        /// What is wrong.
        problem: String,
    },
    /// The time of an event gives no id.
    #[error("the time of the event gives no run id")]
    RunId(#[from] NameError),
}
