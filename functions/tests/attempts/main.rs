//! The local executor, with real processes.

mod harness;
mod inputs;
mod logs;
mod outcomes;
mod outputs;
mod packages;
mod python_calls;
mod python_environments;
mod warden;
