//! The definition: `liminal.yml`, from bytes to releases.

mod decode;
mod environment;
mod include;
pub mod json_schema;
mod load;
mod merge;
pub mod model;
mod project;
mod provenance;
pub mod read;
pub mod resolve;
mod written;
pub mod yaml;

pub use decode::SecretProblem;
pub use decode::params_file;
pub use decode::secret_reference;
pub use environment::EnvironmentSettings;
pub use environment::environment;
pub use environment::environments;
pub use project::Loaded;
pub use project::load;
pub use provenance::Origin;
pub use provenance::provenance;

/// What keeps a path from being one below the project folder, if anything does.
pub fn path_problem(path: &str) -> Option<&'static str> {
    decode::path_problem(path)
}
