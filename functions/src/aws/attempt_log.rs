//! The log of an attempt, copied to the store while it grows, so that it can be followed from elsewhere.

use std::path::PathBuf;
use std::time::Duration;

use liminal_schemas::keys;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::executor::AttemptJob;
use crate::ports::Etag;
use crate::ports::ObjectStore;
use crate::ports::Put;
use crate::ports::StoreError;
use crate::ports::Swap;

/// How often a log that has grown is copied.
const EVERY: Duration = Duration::from_secs(2);

/// How much longer the pause is for each MiB of the log: an object can not be appended to, so that all of it is sent.
const MORE_PER_MIB: Duration = Duration::from_secs(1);

/// The longer a step runs, the longer the pauses: this part of its time so far, at most [`LONGEST`]. A bucket with versions
/// keeps each copy, and a step of hours would leave tens of thousands.
const PART_OF_TIME: u32 = 60;

/// The longest pause for the sake of time alone.
const LONGEST: Duration = Duration::from_secs(30);

/// A log that is being copied. Dropping this ends the copying.
#[derive(Debug)]
pub(super) struct FollowedLog {
    ended: Option<oneshot::Sender<()>>,
    copying: JoinHandle<Result<(), StoreError>>,
}

impl FollowedLog {
    /// Begins to copy a file, which need not be there yet, to the log of a job's attempt.
    pub(super) fn start<S: ObjectStore + Clone>(store: S, file: PathBuf, job: &AttemptJob) -> Self {
        let key = keys::attempt_log(&job.pipeline, &job.run, &job.unit, job.attempt);
        let (ended, end) = oneshot::channel();
        let copying = tokio::spawn(async move { Copy { store, key, file, bytes: 0, version: None }.follow(end).await });
        Self { ended: Some(ended), copying }
    }

    /// Copies what is there at last.
    ///
    /// # Errors
    /// When the store refused the last copy. What is there of it is older then.
    pub(super) async fn finish(mut self) -> Result<(), StoreError> {
        drop(self.ended.take());
        match (&mut self.copying).await {
            Ok(copied) => copied,
            // It panicked, and has said so.
            Err(_) => Ok(()),
        }
    }
}

impl Drop for FollowedLog {
    fn drop(&mut self) {
        if self.ended.is_some() {
            self.copying.abort();
        }
    }
}

struct Copy<S> {
    store: S,
    key: String,
    file: PathBuf,
    bytes: usize,
    version: Option<Etag>,
}

impl<S: ObjectStore> Copy<S> {
    async fn follow(mut self, mut end: oneshot::Receiver<()>) -> Result<(), StoreError> {
        let start = Instant::now();
        loop {
            let mib = u32::try_from(self.bytes >> 20).unwrap_or(u32::MAX);
            let for_time = (start.elapsed() / PART_OF_TIME).clamp(EVERY, LONGEST);
            let pause = for_time + MORE_PER_MIB.saturating_mul(mib);
            let ended = tokio::time::timeout(pause, &mut end).await.is_ok();
            let copied = self.copy().await;
            if ended {
                return copied;
            }
            // A copy that failed is made up for by the next.
        }
    }

    /// Copies the file if it has grown. What printed nothing leaves no log.
    async fn copy(&mut self) -> Result<(), StoreError> {
        let content = tokio::fs::read(&self.file).await.unwrap_or_default();
        if content.len() == self.bytes {
            return Ok(());
        }
        let written = match &self.version {
            Some(version) => match self.store.put_if_match(&self.key, &content, version).await? {
                Swap::Swapped(version) => Some(version),
                Swap::Changed => None,
            },
            None => match self.store.put_if_absent(&self.key, &content).await? {
                Put::Created(version) => Some(version),
                Put::Exists => None,
            },
        };
        self.version = match written {
            Some(version) => Some(version),
            // A copy of ours whose answer was lost: nobody else writes this log.
            None => match self.store.get(&self.key).await? {
                Some(there) => match self.store.put_if_match(&self.key, &content, &there.etag).await? {
                    Swap::Swapped(version) => Some(version),
                    Swap::Changed => None,
                },
                None => None,
            },
        };
        self.bytes = content.len();
        Ok(())
    }
}
