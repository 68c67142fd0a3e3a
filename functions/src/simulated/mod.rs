//! A platform in memory, driven by a seed: for tests of whatever runs over the ports.
//!
//! Time passes only when it is told to. Every operation first gives way once, so that whoever polls decides on the order;
//! then it takes place, fails, takes place and says that it failed, or ends its process before or after taking place.
//! The same seed always gives the same course of events.

mod executor;
mod fault;
mod mailbox;
#[cfg(test)]
pub(crate) mod pipeline;
mod platform;
#[cfg(test)]
pub(crate) mod polling;
mod queue;
mod store;
#[cfg(test)]
mod tests;
mod world;

pub use self::executor::SimulatedExecutor;
pub use self::fault::Faults;
pub use self::platform::SimulatedNonces;
pub use self::platform::SimulatedPlatform;
pub use self::queue::SimulatedQueue;
pub use self::store::SimulatedStore;
pub use self::world::SimulatedClock;
pub use self::world::World;
