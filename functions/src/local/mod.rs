//! The `local` platform: objects are files, the queue is in memory, an attempt is a child process.

pub mod artifacts;
pub mod buckets;
#[cfg(feature = "failpoints")]
pub mod crash;
pub mod drive;
pub mod executor;
pub mod keeper;
pub mod lock;
pub mod packages;
mod platform;
pub mod queue;
pub mod sandbox;
mod slots;
pub mod store;
#[cfg(test)]
mod tests;
pub mod warden;

pub use self::platform::LocalEnvironment;
