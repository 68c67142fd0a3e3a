//! The definition: `liminal.yml`, from bytes to releases.

mod decode;
mod environment;
mod include;
pub mod json_schema;
mod load;
mod merge;
pub mod model;
mod project;
pub mod read;
pub mod resolve;
mod written;
pub mod yaml;

pub use decode::params_file;
pub use environment::EnvironmentSettings;
pub use environment::environment;
pub use project::Loaded;
pub use project::load;
