//! The data plane: what runs while a run runs.
//!
//! A sans-I/O protocol core decides; one runner over narrow ports carries out; adapters connect the ports to a platform.

pub mod executor;
