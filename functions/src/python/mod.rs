//! Python: the environments that steps run in, and the script that calls their functions.

pub mod call;
pub mod environment;
pub mod handler;
pub mod interpreter;
pub mod worker;
