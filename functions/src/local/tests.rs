//! The local store, queue and driver, by what they promise.

mod drive;
mod queue;
mod store;
