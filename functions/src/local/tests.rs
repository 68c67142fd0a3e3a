//! The local store, queue and driver, by what they promise.

#[cfg(feature = "failpoints")]
mod crash;
mod drive;
pub(super) mod place;
mod queue;
mod store;
