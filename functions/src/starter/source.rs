//! The port through which the object that starts a run comes in: from any bucket that the starter may read.

use std::error::Error;
use std::future::Future;

use liminal_schemas::run::TriggerObject;

/// An object in some bucket, as an event names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignObject {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The version; none where the bucket keeps none.
    pub version: Option<String>,
    /// The entity tag that it is to have, where there is no version to ask for.
    pub etag: Option<String>,
}

impl ForeignObject {
    /// `s3://bucket/key`.
    pub fn uri(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }
}

/// Why an object could not be brought in.
#[derive(Debug, thiserror::Error)]
#[error("{uri} could not be brought in")]
pub struct SourceError {
    /// The object.
    pub uri: String,
    /// The cause.
    pub source: Box<dyn Error + Send + Sync>,
}

/// Brings objects in.
pub trait ObjectSource: Send + Sync + 'static {
    /// Copies an object into the object store, as an artifact under the digest of its content. None when it is gone, or has
    /// been replaced since the event: what replaced it has an event of its own.
    fn bring_in(
        &self,
        object: &ForeignObject,
    ) -> impl Future<Output = Result<Option<TriggerObject>, SourceError>> + Send;

    /// What an object is called in messages and records.
    fn address(&self, bucket: &str, key: &str) -> String {
        format!("s3://{bucket}/{key}")
    }
}
