//! The definition: `liminal.yml`, from bytes to releases.

pub mod model;
