//! Random small pipelines through the real runner, in worlds where everything goes wrong.

mod protocol;
mod scheduler;
