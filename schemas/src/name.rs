//! Validated names: what a definition may call things, checked once at the edge.
//!
//! Names end up in object keys, file paths, environment variables and, later, in cloud resource names, so the grammar
//! is the narrowest of all of these: lower-case ASCII letters, digits, `_` and `-`, a letter first, at most 40 characters.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserialize;
use serde::Serialize;

/// The longest name, in characters. Leaves room for `liminal-<project>-<env>-<pipeline>-<step>-<digest8>` to be
/// shortened safely to the 64 characters of a Lambda function name.
pub const MAX_NAME_CHARS: usize = 40;

/// Words that have a meaning of their own in references, so that no step may take them.
pub const RESERVED_STEP_NAMES: &[&str] =
    &["env", "inputs", "metrics", "models", "outputs", "params", "run", "secrets", "step", "steps", "trigger"];

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what}: {problem}")]
pub struct NameError {
    /// What the name was to be, as in "step name".
    pub what: &'static str,
    /// The text, shortened when long.
    pub text: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

fn check(what: &'static str, text: &str, dashes: bool) -> Result<(), NameError> {
    let fail = |problem| {
        let text: String = text.chars().take(60).collect();
        Err(NameError { what, text, problem })
    };
    if text.is_empty() {
        return fail("it is empty");
    }
    if text.len() > MAX_NAME_CHARS {
        return fail("it has more than 40 characters");
    }
    if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        return fail("it must start with a lower-case letter");
    }
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || (dashes && c == '-');
    if !text.chars().all(allowed) {
        return if dashes {
            fail("only lower-case letters, digits, `-` and `_` are allowed")
        } else {
            fail("only lower-case letters, digits and `_` are allowed")
        };
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, dashes: $dashes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// What such a name is called in messages.
            pub const WHAT: &'static str = $what;

            /// Checks a text and makes it a name.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                check($what, &text, $dashes)?;
                Ok(Self(text))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let pattern = if $dashes { "^[a-z][a-z0-9_-]{0,39}$" } else { "^[a-z][a-z0-9_]{0,39}$" };
                json_schema!({ "type": "string", "pattern": pattern })
            }
        }
    };
}

name!(
    /// The name of a project.
    ProjectName, "project name", dashes: true
);
name!(
    /// The name of an environment: `local`, `staging`…
    EnvironmentName, "environment name", dashes: true
);
name!(
    /// The name of a pipeline.
    PipelineName, "pipeline name", dashes: true
);
name!(
    /// The name of a step within its pipeline.
    StepName, "step name", dashes: true
);
name!(
    /// The name of a model in the registry.
    ModelName, "model name", dashes: true
);
name!(
    /// The name of an input, output, parameter or secret: also a Python identifier, since functions take them by name.
    FieldName, "name", dashes: false
);

/// The identity of a run: sortable by start, safe in keys and shells: `20261124-230239-x7k2`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct RunId(String);

impl RunId {
    /// Checks a text and makes it a run id.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        let fine = (8..=64).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if fine {
            return Ok(Self(text));
        }
        let problem = "8 to 64 lower-case letters, digits and dashes are needed";
        Err(NameError { what: "run id", text: text.chars().take(60).collect(), problem })
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for RunId {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> String {
        id.0
    }
}

impl FromStr for RunId {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}
