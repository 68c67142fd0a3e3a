//! The runner as functions run it, on emulated services.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that can not go on says so")]

mod binary;
mod direct;
mod faults;
mod functions;
mod limits;
mod pipeline;
mod receive;
mod triggers;
mod world;
