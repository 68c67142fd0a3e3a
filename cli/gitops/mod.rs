//! GitOps: commits of a repository carried out on environments, whoever noticed them.
//!
//! `place` is the repository, `targets` finds the environments that follow a branch, and `reconcile` brings one of them to
//! a commit. `push` and `hook` serve a repository that is pushed to.

pub(crate) mod hook;
pub(crate) mod place;
pub(crate) mod push;
pub(crate) mod reconcile;
pub(crate) mod targets;
