//! The local executor, with real processes.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that can not go on says so")]

mod harness;
mod inputs;
mod logs;
mod outcomes;
mod outputs;
mod packages;
mod python_calls;
mod python_environments;
mod warden;
