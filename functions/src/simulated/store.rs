//! Objects in memory.

use std::future::pending;

use super::fault::Fate;
use super::world::State;
use super::world::World;
use crate::object_key;
use crate::ports::Etag;
use crate::ports::Object;
use crate::ports::ObjectStore;
use crate::ports::Put;
use crate::ports::StoreError;
use crate::ports::Swap;

/// The world's objects, as one process sees them.
#[derive(Clone)]
pub struct SimulatedStore {
    world: World,
    process: String,
}

impl SimulatedStore {
    /// The store, for a process of that name.
    pub fn new(world: World, process: impl Into<String>) -> Self {
        Self { world, process: process.into() }
    }

    async fn perform<T>(&self, key: &str, operation: impl FnOnce(&mut State) -> T + Send) -> Result<T, StoreError> {
        self.world.give_way().await;
        let failed = |problem: &str| StoreError::Unavailable { key: key.to_owned(), source: problem.to_owned().into() };
        match self.world.fate() {
            Fate::Done => Ok(operation(&mut self.world.state())),
            Fate::Refused => Err(failed("the request was refused")),
            Fate::LostResponse => {
                operation(&mut self.world.state());
                Err(failed("the response was lost"))
            }
            Fate::CrashBefore => self.crash().await,
            Fate::CrashAfter => {
                operation(&mut self.world.state());
                self.crash().await
            }
        }
    }

    /// The process is gone: nothing in it goes on.
    async fn crash<T>(&self) -> T {
        self.world.bury(&self.process);
        pending().await
    }
}

impl ObjectStore for SimulatedStore {
    async fn get(&self, key: &str) -> Result<Option<Object>, StoreError> {
        object_key::check(key)?;
        self.perform(key, |state| {
            state.objects.get(key).map(|(bytes, version)| Object { bytes: bytes.clone(), etag: etag(*version) })
        })
        .await
    }

    async fn put_if_absent(&self, key: &str, bytes: &[u8]) -> Result<Put, StoreError> {
        object_key::check(key)?;
        self.perform(key, |state| {
            if state.objects.contains_key(key) {
                return Put::Exists;
            }
            state.created.push(key.to_owned());
            Put::Created(write(state, key, bytes))
        })
        .await
    }

    async fn put_if_match(&self, key: &str, bytes: &[u8], etag_wanted: &Etag) -> Result<Swap, StoreError> {
        self.perform(key, |state| match state.objects.get(key) {
            Some((_, version)) if etag(*version) == *etag_wanted => Swap::Swapped(write(state, key, bytes)),
            Some(_) | None => Swap::Changed,
        })
        .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.perform(prefix, |state| {
            let from = state.objects.range(prefix.to_owned()..).map(|(key, _)| key);
            from.take_while(|key| key.starts_with(prefix)).cloned().collect()
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        object_key::check(key)?;
        self.perform(key, |state| {
            state.objects.remove(key);
        })
        .await
    }

    async fn exists(&self, key: &str) -> Result<bool, StoreError> {
        object_key::check(key)?;
        self.perform(key, |state| state.objects.contains_key(key)).await
    }
}

fn write(state: &mut State, key: &str, bytes: &[u8]) -> Etag {
    state.versions += 1;
    state.objects.insert(key.to_owned(), (bytes.to_vec(), state.versions));
    etag(state.versions)
}

fn etag(version: u64) -> Etag {
    Etag::new(version.to_string())
}
