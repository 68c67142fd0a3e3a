//! Death at a chosen moment: the process aborts before or after its n-th effect on a store or queue.
//!
//! Tests go through every n, so that recovery is shown at each boundary, with a real process that really dies.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use liminal_schemas::time::UtcTime;

use super::queue::WatchedQueue;
use crate::ports::Delivery;
use crate::ports::Etag;
use crate::ports::Object;
use crate::ports::ObjectStore;
use crate::ports::Put;
use crate::ports::Queue;
use crate::ports::QueueError;
use crate::ports::Receipt;
use crate::ports::StoreError;
use crate::ports::Swap;

/// Counts effects, and aborts the process at one of them. Clones count together.
#[derive(Clone, Debug)]
pub struct Crash {
    at: Option<u64>,
    passed: Arc<AtomicU64>,
}

impl Crash {
    /// Aborts at moment `at`, counted from 0: there is one before and one after each effect. Never, when
    /// there is none.
    pub fn new(at: Option<u64>) -> Self {
        Self { at, passed: Arc::default() }
    }

    /// A moment at which the process may die.
    fn moment(&self) {
        let moment = self.passed.fetch_add(1, Ordering::SeqCst);
        if self.at == Some(moment) {
            std::process::abort();
        }
    }
}

/// A store or queue whose effects are counted.
#[derive(Debug)]
pub struct Crashing<T> {
    inner: T,
    crash: Crash,
}

impl<T> Crashing<T> {
    /// Counts the effects on a store or queue.
    pub fn new(inner: T, crash: Crash) -> Self {
        Self { inner, crash }
    }

    /// The store or queue itself.
    pub fn inner(&self) -> &T {
        &self.inner
    }

    /// Counts an effect, whatever it is on.
    pub async fn effect<R>(&self, effect: impl Future<Output = R> + Send) -> R {
        self.crash.moment();
        let result = effect.await;
        self.crash.moment();
        result
    }
}

impl<S: ObjectStore> ObjectStore for Crashing<S> {
    async fn get(&self, key: &str) -> Result<Option<Object>, StoreError> {
        self.inner.get(key).await
    }

    async fn put_if_absent(&self, key: &str, bytes: &[u8]) -> Result<Put, StoreError> {
        self.effect(self.inner.put_if_absent(key, bytes)).await
    }

    async fn put_if_match(&self, key: &str, bytes: &[u8], etag: &Etag) -> Result<Swap, StoreError> {
        self.effect(self.inner.put_if_match(key, bytes, etag)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.inner.list(prefix).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.effect(self.inner.delete(key)).await
    }

    async fn exists(&self, key: &str) -> Result<bool, StoreError> {
        self.inner.exists(key).await
    }
}

impl<Q: Queue> Queue for Crashing<Q> {
    fn max_delay(&self) -> Option<Duration> {
        self.inner.max_delay()
    }

    async fn send(&self, queue: &str, body: &str, delay: Duration) -> Result<(), QueueError> {
        self.effect(self.inner.send(queue, body, delay)).await
    }

    async fn receive(&self, queue: &str, visibility: Duration) -> Result<Option<Delivery>, QueueError> {
        let delivery = self.inner.receive(queue, visibility).await?;
        if delivery.is_some() {
            self.crash.moment();
        }
        Ok(delivery)
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError> {
        self.effect(self.inner.extend(receipt, visibility)).await
    }

    async fn delete(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.effect(self.inner.delete(receipt)).await
    }
}

impl<Q: WatchedQueue> WatchedQueue for Crashing<Q> {
    fn purge(&self, queue: &str) {
        self.crash.moment();
        self.inner.purge(queue);
        self.crash.moment();
    }

    fn next_due(&self, queue: &str) -> Option<UtcTime> {
        self.inner.next_due(queue)
    }

    async fn sent(&self) {
        self.inner.sent().await;
    }
}
