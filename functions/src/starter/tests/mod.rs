//! The starter in a simulated world.

mod events;
mod fargate;
mod starting;
mod sweeping;
mod world;
