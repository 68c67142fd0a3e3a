//! The ports of the data plane: narrow, and beside the runner that calls them. Each has a suite in [`crate::conformance`].

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::time::Duration;

use liminal_schemas::map::ListedObject;
use liminal_schemas::map::ObjectFilter;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::step::StepSpec;
use liminal_schemas::time::UtcTime;

use crate::executor::Executor;

/// Identifies one version of one object: as long as it is the same, so is the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Etag(String);

impl Etag {
    /// Takes over what a store calls a version.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The store's own text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An object, as it was at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its content.
    pub bytes: Vec<u8>,
    /// Its version.
    pub etag: Etag,
}

/// How a create-only write came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// The object is new.
    Created(Etag),
    /// An object of that key was there, and is unchanged.
    Exists,
}

/// How a compare-and-swap came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The object has the new content.
    Swapped(Etag),
    /// The object was of another version or gone, and is unchanged.
    Changed,
}

/// Why an object could not be read or written. An error says nothing on whether a write took place: the response alone
/// may have been lost.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The key is none that a store would take.
    #[error("object key `{key}` is refused: {problem}")]
    InvalidKey {
        /// The key, shortened when long.
        key: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The file below the object could not be used.
    #[error("object {key} could not be {action}")]
    Io {
        /// The object.
        key: String,
        /// What was tried: `read`, `written`…
        action: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// The object is there, but is no such document.
    #[error("object {key} is corrupt")]
    Corrupt {
        /// The object.
        key: String,
        /// What is wrong with it.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A newer liminal wrote the object.
    #[error("object {key} has schema {found}, and this liminal knows only {known}")]
    UnknownSchema {
        /// The object.
        key: String,
        /// The schema it has.
        found: u32,
        /// The newest schema that is known.
        known: u32,
    },
    /// The service behind the store failed.
    #[error("the store failed to answer for object {key}")]
    Unavailable {
        /// The object.
        key: String,
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl StoreError {
    /// Whether the object itself makes no sense, so that reading it again can not help.
    pub const fn is_corrupt(&self) -> bool {
        match self {
            Self::Corrupt { .. } | Self::UnknownSchema { .. } => true,
            Self::InvalidKey { .. } | Self::Io { .. } | Self::Unavailable { .. } => false,
        }
    }
}

/// Keeps objects by key, with the two conditional writes that the run protocol rests on.
pub trait ObjectStore: Send + Sync + 'static {
    /// The object of a key, if there is one.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Object>, StoreError>> + Send;

    /// Creates an object, unless one of that key is there. Of any number of callers at once, one succeeds.
    fn put_if_absent(&self, key: &str, bytes: &[u8]) -> impl Future<Output = Result<Put, StoreError>> + Send;

    /// Replaces an object, if it still is of the given version. Of any number of callers at once, one succeeds.
    fn put_if_match(
        &self,
        key: &str,
        bytes: &[u8],
        etag: &Etag,
    ) -> impl Future<Output = Result<Swap, StoreError>> + Send;

    /// All keys that begin with a prefix, in order.
    fn list(&self, prefix: &str) -> impl Future<Output = Result<Vec<String>, StoreError>> + Send;

    /// Removes an object. No error when there is none.
    fn delete(&self, key: &str) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Whether there is an object of that key.
    fn exists(&self, key: &str) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// What holds a message that was received. It is void as soon as the message is received again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt(String);

impl Receipt {
    /// Takes over what a queue calls a receipt.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The queue's own text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A message that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// What was sent.
    pub body: String,
    /// Holds the message.
    pub receipt: Receipt,
    /// How often it has been received, this time included.
    pub receives: u32,
}

/// Why a queue could not be used.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The queue did not carry out what was asked.
    #[error("queue {queue} failed to {action}")]
    Unavailable {
        /// The queue.
        queue: String,
        /// What was asked: `send a message`…
        action: &'static str,
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// Delivers messages at least once, in any order.
pub trait Queue: Send + Sync + 'static {
    /// The longest delay of a message, where there is one. A longer delay ends then.
    fn max_delay(&self) -> Option<Duration>;

    /// Sends a message, to be received after a delay.
    fn send(&self, queue: &str, body: &str, delay: Duration) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Sends many messages, to be received at once. After an error any number of them may have been sent.
    fn send_many(&self, queue: &str, bodies: &[String]) -> impl Future<Output = Result<(), QueueError>> + Send {
        async move {
            for body in bodies {
                self.send(queue, body, Duration::ZERO).await?;
            }
            Ok(())
        }
    }

    /// Takes a message that is due. Nobody else receives it for as long as `visibility`.
    fn receive(
        &self,
        queue: &str,
        visibility: Duration,
    ) -> impl Future<Output = Result<Option<Delivery>, QueueError>> + Send;

    /// Puts off the next receipt of a message that is held, counted from now. A void receipt changes nothing.
    fn extend(&self, receipt: &Receipt, visibility: Duration) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Removes a message that is held. A void receipt changes nothing.
    fn delete(&self, receipt: &Receipt) -> impl Future<Output = Result<(), QueueError>> + Send;
}

/// Knows the time.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> UtcTime;

    /// Waits.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}

/// Draws random values.
pub trait Nonces: Send + Sync + 'static {
    /// A text that nobody else ever draws.
    fn nonce(&self) -> String;

    /// A number from 0 up to, not including, 1.
    fn fraction(&self) -> f64;
}

/// Lists objects of any bucket: what a step may map over.
pub trait Buckets: Send + Sync + 'static {
    /// The objects that a filter means, in the order of their keys, and no more than `most` of them.
    fn list(
        &self,
        filter: &ObjectFilter,
        most: usize,
    ) -> impl Future<Output = Result<Vec<ListedObject>, BucketsError>> + Send;
}

/// Why objects could not be listed.
#[derive(Debug, thiserror::Error)]
#[error("objects {objects} can not be listed")]
pub struct BucketsError {
    /// Which.
    pub objects: String,
    /// The cause.
    pub source: Box<dyn Error + Send + Sync>,
}

/// No buckets besides the store.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoBuckets;

impl Buckets for NoBuckets {
    async fn list(&self, filter: &ObjectFilter, _: usize) -> Result<Vec<ListedObject>, BucketsError> {
        Err(BucketsError { objects: filter.to_string(), source: "there are no buckets here".into() })
    }
}

/// All that a runner works with: one implementation of each port, and who the runner is among others.
pub trait Platform: Send + Sync + 'static {
    /// Keeps objects.
    type Store: ObjectStore;
    /// Delivers messages.
    type Queue: Queue;
    /// Carries out attempts.
    type Executor: Executor;
    /// Knows the time.
    type Clock: Clock;
    /// Draws random values.
    type Nonces: Nonces;
    /// Lists objects of other buckets.
    type Buckets: Buckets;

    /// The object store.
    fn store(&self) -> &Self::Store;
    /// The queue.
    fn queue(&self) -> &Self::Queue;
    /// The executor.
    fn executor(&self) -> &Self::Executor;
    /// The clock.
    fn clock(&self) -> &Self::Clock;
    /// The source of random values.
    fn nonces(&self) -> &Self::Nonces;
    /// The buckets that steps map over.
    fn buckets(&self) -> &Self::Buckets;

    /// The key of the state of the environment whose runs these are.
    fn state_key(&self) -> String;

    /// The queue that messages for a step of a run go to. `spec` is the step as the run's release has it.
    fn queue_for(&self, pipeline: &PipelineName, run: &RunId, step: &StepName, spec: &StepSpec) -> String;

    /// The name under which this runner opens attempts.
    fn worker(&self) -> &str;

    /// Whether a worker certainly does nothing any more, so that nobody need wait for its leases to end.
    fn is_dead(&self, worker: &str) -> bool;
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
