//! GitOps: which commit may be applied to an environment, decided from the commit graph and from what is recorded.
//!
//! `decide` is pure; `ancestry` asks the repository how two commits stand to each other, `quarantine` keeps the commit that
//! failed, `mirror` fetches a remote, and `notes` writes down beside a commit what became of it.

pub mod ancestry;
pub mod decide;
pub mod mirror;
pub mod notes;
pub mod quarantine;
