//! GitOps with real repositories and real pushes.

mod agent;
mod ci;
mod cloud;
mod commit_status;
mod environments;
mod ephemeral;
mod ephemeral_aws;
mod hook;
mod https;
mod notes;
mod policies;
mod protected;
mod race;
mod receiver;
mod ssh;
pub mod webhook;
mod world;
