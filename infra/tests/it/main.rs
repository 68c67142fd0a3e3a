//! The control plane, seen from outside: on objects in memory, and on real git repositories in temporary folders.

mod apply;
mod fixture;
mod package;
mod plan;
mod source;
mod state;
