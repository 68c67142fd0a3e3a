//! The control plane on AWS: against emulators, and against answers that no emulator gives.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that can not go on says so")]

mod account;
mod answers;
mod bootstrap;
mod bootstrap_account;
mod bootstrap_others;
mod documents;
mod foreign;
mod function_url;
mod images;
mod life;
mod listing;
mod objects;
mod refusals;
mod shared_names;
mod world;
