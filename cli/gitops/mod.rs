//! GitOps: commits of a repository carried out on environments, whoever noticed them.
//!
//! `place` is the repository, `targets` finds the environments that follow a branch, and `reconcile` brings one of them to
//! a commit. `push` and `hook` serve a repository that is pushed to, `agent` follows a remote, woken where its host tells of
//! pushes: by `webhook` on this machine, by `deliveries` from a receiver on AWS.
//! `ci` has workflows for hosts that run some.

pub(crate) mod agent;
mod agent_deliveries;
mod agent_endpoint;
mod agent_status;
pub(crate) mod ci;
pub(crate) mod commit_status;
mod deliveries;
pub(crate) mod hook;
mod http;
mod note;
pub(crate) mod place;
pub(crate) mod push;
pub(crate) mod reconcile;
pub(crate) mod targets;
mod webhook;
