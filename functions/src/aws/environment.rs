//! The variables that the runner is started with: read once, in one place.

use std::collections::BTreeMap;

use liminal_schemas::aws::names;
use liminal_schemas::aws::variables;
use liminal_schemas::definition::SecretProblem;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::NameError;
use liminal_schemas::name::ProjectName;

use super::place::Place;

/// The variables of a process.
#[derive(Clone, Default)]
pub struct Variables(BTreeMap<String, String>);

/// Why the runner does not know what to do.
#[derive(Debug, thiserror::Error)]
pub enum VariableError {
    /// One is not set.
    #[error("the variable {0} is not set")]
    Missing(&'static str),
    /// One has no such value.
    #[error("the variable {variable} is refused")]
    Name {
        /// The variable.
        variable: &'static str,
        /// What is wrong with it.
        source: NameError,
    },
    /// One is no reference to a secret.
    #[error("the variable {variable} names no secret")]
    Secret {
        /// The variable.
        variable: &'static str,
        /// What is wrong with it.
        source: SecretProblem,
    },
    /// One has none of its values.
    #[error("the variable {variable} is `{value}`, and has to be one of {known}")]
    Unknown {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// The values that it may have.
        known: &'static str,
    },
}

impl Variables {
    /// Those of this process. What is not UTF-8 is none of ours.
    pub fn of_process() -> Self {
        let utf8 =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self(utf8.collect())
    }

    /// These.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(variables.into_iter().collect())
    }

    /// The value of one; none when it is not set or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of one.
    ///
    /// # Errors
    /// When it is not set or empty.
    pub fn required(&self, name: &'static str) -> Result<&str, VariableError> {
        self.get(name).ok_or(VariableError::Missing(name))
    }
}

impl std::fmt::Debug for Variables {
    /// Values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Whom the runner serves.
#[derive(Clone, Debug)]
pub struct Served {
    /// The project.
    pub project: ProjectName,
    /// The environment.
    pub environment: EnvironmentName,
    /// Where its objects are.
    pub place: Place,
}

impl Served {
    /// Whom the variables name.
    ///
    /// # Errors
    /// When one is missing, or is none.
    pub fn from_variables(given: &Variables) -> Result<Self, VariableError> {
        let refused = |variable| move |source| VariableError::Name { variable, source };
        let project = given.required(variables::PROJECT)?;
        let project = ProjectName::new(project).map_err(refused(variables::PROJECT))?;
        let environment = given.required(variables::ENVIRONMENT)?;
        let environment = EnvironmentName::new(environment).map_err(refused(variables::ENVIRONMENT))?;
        let bucket = given.required(variables::BUCKET)?;
        let place = Place::new(bucket, names::object_prefix(&project, &environment));
        Ok(Self { project, environment, place })
    }
}
