//! One attempt, on whatever platform: its folder, what its names stand for, its process, its log, what it leaves.
//!
//! Nothing here knows where objects are kept or how a package gets onto the machine; a platform's executor does, and
//! puts these parts together.

pub mod binding;
pub mod capture;
pub mod carry;
pub mod command;
pub mod failure;
pub mod folder;
pub mod limits;
pub mod metrics;
pub mod outputs;
pub mod process;
pub mod redact;
