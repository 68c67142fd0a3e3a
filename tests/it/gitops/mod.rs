//! GitOps with real repositories and real pushes.

mod hook;
mod world;
