//! The AWS adapters, over real wire calls to emulators.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that can not go on says so")]

mod answers;
mod batches;
mod conformance;
mod environment;
mod fargate;
mod faults;
mod harness;
mod transfers;
