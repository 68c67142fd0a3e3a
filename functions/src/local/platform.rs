//! The `local` platform, put together.

use std::path::PathBuf;
use std::sync::Arc;

use liminal_schemas::keys;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::step::StepSpec;

use super::buckets::FolderBuckets;
use super::queue::MemoryQueue;
use super::store::DirectoryStore;
use crate::clock::SystemClock;
use crate::clock::SystemNonces;
use crate::executor::Executor;
use crate::ports::Nonces;
use crate::ports::ObjectStore;
use crate::ports::Platform;
use crate::ports::Queue;

/// What an environment keeps on this machine.
#[derive(Debug)]
pub struct LocalEnvironment<S = DirectoryStore, Q = MemoryQueue> {
    /// What it is called.
    pub name: EnvironmentName,
    /// The objects.
    pub store: Arc<S>,
    /// The messages.
    pub queue: Arc<Q>,
    /// The folder that the drivers' locks are in.
    pub locks: PathBuf,
    /// The folders that stand for buckets.
    pub buckets: FolderBuckets,
}

impl<S, Q> Clone for LocalEnvironment<S, Q> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            store: Arc::clone(&self.store),
            queue: Arc::clone(&self.queue),
            locks: self.locks.clone(),
            buckets: self.buckets.clone(),
        }
    }
}

/// What the process that drives a run works with. It holds the run's lock, so no other worker is alive.
pub(super) struct LocalPlatform<S, Q, E> {
    environment: LocalEnvironment<S, Q>,
    executor: Arc<E>,
    worker: String,
}

impl<S, Q, E> LocalPlatform<S, Q, E> {
    pub(super) fn new(environment: LocalEnvironment<S, Q>, executor: Arc<E>) -> Self {
        let worker = format!("local-{}-{}", std::process::id(), SystemNonces.nonce());
        Self { environment, executor, worker }
    }
}

/// The queue that holds the messages of a run: one per run, so that drivers of different runs do not meet.
pub(super) fn queue_of(run: &RunId) -> String {
    format!("runs/{run}")
}

/// The queue of a step that bounds how many of its items run at once: one of its own, so that its items can wait without
/// keeping others waiting.
pub(super) fn bounded_queue_of(run: &RunId, step: &StepName) -> String {
    format!("runs/{run}/{step}")
}

impl<S: ObjectStore, Q: Queue, E: Executor> Platform for LocalPlatform<S, Q, E> {
    type Store = S;
    type Queue = Q;
    type Executor = E;
    type Clock = SystemClock;
    type Nonces = SystemNonces;
    type Buckets = FolderBuckets;

    fn store(&self) -> &S {
        &self.environment.store
    }
    fn queue(&self) -> &Q {
        &self.environment.queue
    }
    fn executor(&self) -> &E {
        &self.executor
    }
    fn clock(&self) -> &SystemClock {
        &SystemClock
    }
    fn nonces(&self) -> &SystemNonces {
        &SystemNonces
    }
    fn buckets(&self) -> &FolderBuckets {
        &self.environment.buckets
    }

    fn state_key(&self) -> String {
        keys::state(&self.environment.name)
    }

    fn queue_for(&self, _: &PipelineName, run: &RunId, step: &StepName, spec: &StepSpec) -> String {
        let is_bounded = spec.map.as_ref().is_some_and(|map| map.max_concurrency.is_some());
        if is_bounded { bounded_queue_of(run, step) } else { queue_of(run) }
    }

    fn worker(&self) -> &str {
        &self.worker
    }

    fn is_dead(&self, worker: &str) -> bool {
        worker != self.worker
    }
}
