//! Why a transfer failed.

use std::io;
use std::path::PathBuf;

use liminal_schemas::digest::Digest;

use crate::aws::error::AwsError;
use crate::ports::StoreError;

/// Why a transfer failed.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The key is none.
    #[error(transparent)]
    Key(#[from] StoreError),
    /// The object is not there.
    #[error("object {key} is not in the store")]
    Missing {
        /// The object.
        key: String,
    },
    /// The object is not what its digest says.
    #[error("object {key} is corrupt: expected {expected}, found {found}")]
    Corrupt {
        /// The object.
        key: String,
        /// The digest that it was asked for by.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// The object has more bytes than will be held.
    #[error("object {key} has more than {limit} bytes")]
    TooLarge {
        /// The object.
        key: String,
        /// The limit.
        limit: u64,
    },
    /// A file has changed since it was hashed.
    #[error("file {path} changed while it was sent: expected {expected}, found {found}")]
    Changed {
        /// The file.
        path: PathBuf,
        /// What it was.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// The file system refused.
    #[error("file {path} could not be {action}")]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// The service refused, or did not answer.
    #[error("object {key} could not be {action}")]
    Service {
        /// The object.
        key: String,
        /// What was tried.
        action: &'static str,
        /// The cause.
        source: AwsError,
    },
    /// The program is ending.
    #[error("the transfer was interrupted")]
    Interrupted {
        /// The cause.
        source: tokio::task::JoinError,
    },
}
