//! GitOps with real repositories and real pushes.

mod agent;
mod cloud;
mod hook;
mod protected;
mod race;
mod webhook;
mod world;
