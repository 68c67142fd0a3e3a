//! Reading definitions, from the outside.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that can not go on says so")]

mod memory_files;
mod reading;
mod rendering;
mod resolving;
