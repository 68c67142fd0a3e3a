//! Steps that map: their items are made known, each goes its own way, and whoever settles the last one ends the step.

mod care;
mod expand;
mod handle;
mod join;

/// How many requests that do not depend on each other are under way at once.
const AT_ONCE: usize = 16;
