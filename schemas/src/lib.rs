//! The documents of liminal, and all that can be decided by looking at them alone.
//!
//! Definition → graph → release → plan, and the records of a run. Nothing here performs I/O, reads a clock, draws a
//! random number or looks at the environment; whoever needs these passes them in.

pub mod aws;
pub mod cache_key;
pub mod canary;
pub mod compare;
pub mod definition;
pub mod delivery;
pub mod digest;
pub mod expression;
pub mod files;
pub mod finding;
pub mod gitops;
pub mod graph;
pub mod keys;
pub mod map;
pub mod message;
pub mod name;
pub mod plan;
pub mod platform;
pub mod policy;
pub mod release;
pub mod run;
pub mod run_policy;
pub mod schedule;
pub mod skipping;
pub mod state;
pub mod step;
mod suggestion;
pub mod template;
pub mod time;
pub mod trigger;
pub mod unit;
pub mod value;
