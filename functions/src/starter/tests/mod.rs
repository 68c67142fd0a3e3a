//! The starter in a simulated world.

mod canary;
mod events;
mod fargate;
mod overlap;
mod starting;
mod sweeping;
mod world;
