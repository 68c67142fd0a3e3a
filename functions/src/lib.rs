//! The data plane: what runs while a run runs.
//!
//! A sans-I/O protocol core decides; one runner over narrow ports carries out; adapters connect the ports to a platform.

mod artifact;
pub mod attempt;
#[cfg(feature = "aws")]
pub mod aws;
pub mod canary;
pub mod causes;
pub mod clock;
pub mod conformance;
pub mod documents;
pub mod executor;
#[cfg(feature = "local")]
pub mod local;
pub mod object_key;
pub mod ports;
pub mod protocol;
pub mod python;
pub mod runner;
pub mod simulated;
pub mod starter;
pub mod task_command;
pub mod unpack;
pub mod webhook;
