//! What every implementation of a port promises: one suite per port, for tests and for `doctor`.
//!
//! A suite works below a prefix of its own in a store or queue that may be in use, and removes what it made.

mod object_store;
mod queue;

pub use self::object_store::object_store;
pub use self::queue::QueueTraits;
pub use self::queue::queue;

/// A promise that was not kept.
#[derive(Debug, thiserror::Error)]
pub enum Violation {
    /// The port did something else.
    #[error("a promise was broken: {promise}; found {found}")]
    Broken {
        /// What is promised.
        promise: &'static str,
        /// What was found.
        found: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::ports::StoreError),
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] crate::ports::QueueError),
}

#[expect(clippy::needless_pass_by_value, reason = "a list of promises is read more easily without borrows")]
fn promise<T: std::fmt::Debug + PartialEq>(promise: &'static str, found: T, expected: T) -> Result<(), Violation> {
    if found == expected {
        return Ok(());
    }
    Err(Violation::Broken { promise, found: format!("{found:?} instead of {expected:?}") })
}
