//! The control plane, seen from outside: on objects in memory, and on real git repositories in temporary folders.

#![expect(clippy::expect_used, reason = "these are tests, helpers of tests included")]

mod apply;
mod aws_desired;
mod aws_plan;
mod fixture;
mod package;
mod plan;
mod source;
mod state;
