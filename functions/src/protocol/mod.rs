//! The run protocol as pure decisions: records in, what to do out. No I/O, no clock, no randomness.
//!
//! The runner reads records, asks here, and carries out the answer. Every answer depends on records that are written
//! once and never change, so any number of runners that ask at any time agree, and asking again after a crash is harmless.

pub mod advance;
#[cfg(test)]
mod advance_tests;
pub mod attempt;
#[cfg(test)]
mod attempt_tests;
pub mod caching;
pub mod canary;
pub mod commit;
pub mod ending;
pub mod mapping;
#[cfg(test)]
mod model;
pub(crate) mod planted;
pub mod sweeping;
pub mod takeover;
