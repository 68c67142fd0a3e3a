//! Random small pipelines through the real runner, in worlds where everything goes wrong.

mod delays;
mod protocol;
mod scheduler;
