//! Files to and from content addresses in S3: in parts and in parallel where they are large, checked against their digest
//! on both ways, and with bounded memory however many and however large they are.

mod download;
mod error;
mod upload;

use std::sync::Arc;

use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

pub use self::error::TransferError;
pub use self::upload::Uploaded;
use super::clients::Clients;
use super::place::Place;

/// From this size on a file goes in parts, in bytes. S3 takes a single upload up to 5 GiB; from about here on several
/// connections are faster than one.
pub const PARTS_FROM: u64 = 16 << 20;

/// The size of a part, in bytes: at least S3's 5 MiB, and small enough that several fit into a small function's memory.
const PART_BYTES: u64 = 8 << 20;

/// How many parts of a file are under way at once.
const PARTS_AT_ONCE: usize = 6;

/// How many parts an upload may have: S3's own limit.
const MAX_PARTS: u64 = 10_000;

/// How much is under way at once, in MiB: the memory that transfers take at most.
const BUDGET: u32 = 64;

/// What the smallest request takes of the budget, so that no more than 32 are under way.
const LEAST_SHARE: u64 = 2;

/// Brings files to and from a part of a bucket. Clones share their connections and their memory.
#[derive(Clone, Debug)]
pub struct Transfer {
    client: aws_sdk_s3::Client,
    place: Place,
    /// Whether the store takes the checksums that S3 has for uploads in parts.
    checks_parts: bool,
    budget: Arc<Semaphore>,
}

/// An object that is known by its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressed {
    /// Where it is.
    pub key: String,
    /// sha256 of it.
    pub digest: Digest,
    /// Its size, in bytes.
    pub bytes: u64,
}

impl Addressed {
    /// A file of an artifact.
    pub fn artifact(digest: Digest, bytes: u64) -> Self {
        Self { key: keys::artifact(&digest), digest, bytes }
    }
}

/// A share of what may be under way at once.
pub(super) type Share = Option<OwnedSemaphorePermit>;

impl Transfer {
    /// Transfers to and from a place.
    pub fn new(clients: &Clients, place: Place) -> Self {
        let budget = Arc::new(Semaphore::new(BUDGET as usize));
        Self { client: clients.s3_for_transfers(), place, checks_parts: !clients.has_own_s3(), budget }
    }

    /// Waits until so many bytes may be under way. Whoever holds a share and waits for another one must be able to go on
    /// with those that it holds.
    pub(super) async fn share(&self, bytes: u64) -> Share {
        let share = (bytes >> 20).saturating_add(1).max(LEAST_SHARE);
        let share = u32::try_from(share).unwrap_or(BUDGET).min(BUDGET);
        // It fails only when the budget is closed, which nobody does.
        Arc::clone(&self.budget).acquire_many_owned(share).await.ok()
    }
}

/// A task that ends with whoever waits for it.
struct Task<T>(JoinHandle<T>);

impl<T: Send + 'static> Task<T> {
    fn start(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }

    async fn done(mut self) -> Result<T, TransferError> {
        (&mut self.0).await.map_err(|error| TransferError::Interrupted { source: error })
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
