//! The definition: `liminal.yml`, from bytes to releases.

mod decode;
mod include;
mod load;
mod merge;
pub mod model;
pub mod read;
pub mod yaml;
