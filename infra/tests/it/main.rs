//! The control plane, seen from outside: on objects in memory, and on real git repositories in temporary folders.

#![expect(clippy::expect_used, clippy::panic, reason = "these are tests, helpers of tests included")]

mod apply;
mod aws_desired;
mod aws_plan;
mod bundle;
mod bundle_fixture;
mod canary;
mod dependencies;
mod deploy_role;
mod fixture;
mod package;
mod plan;
mod policies;
mod policy_lint;
mod receiver;
mod source;
mod state;
