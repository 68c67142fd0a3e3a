//! The starter in a simulated world.

mod canary;
mod ends;
mod events;
mod fargate;
mod overlap;
mod starting;
mod sweeping;
mod world;
