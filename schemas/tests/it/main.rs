//! Reading definitions, from the outside.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that can not go on says so")]

mod aws;
mod environment;
mod files;
mod hostile;
mod memory_files;
mod nesting;
mod pages;
mod reading;
mod rendering;
mod resolving;
mod schema;
mod shapes;
mod stable;
mod triggers;
mod yaml_errors;
