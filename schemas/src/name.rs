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

/// The longest name of a step of a sub-pipeline, with those of the steps around it, in characters: what a file system takes as
/// the name of one folder, with room for what is put behind it.
pub const MAX_STEP_NAME_CHARS: usize = 230;

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

fn dashed(what: &'static str, text: &str) -> Result<(), NameError> {
    check(what, text, true)
}

fn identifier(what: &'static str, text: &str) -> Result<(), NameError> {
    check(what, text, false)
}

/// One name, or several with `/` between them, for a step of a sub-pipeline.
fn nested(what: &'static str, text: &str) -> Result<(), NameError> {
    if text.len() > MAX_STEP_NAME_CHARS {
        let text: String = text.chars().take(60).collect();
        return Err(NameError {
            what,
            text,
            problem: "it has more than 230 characters with the names of the steps around it",
        });
    }
    text.split('/').try_for_each(|part| check(what, part, true))
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
    ($(#[$doc:meta])* $type:ident, $what:literal, $check:ident, $pattern:literal) => {
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
                $check($what, &text)?;
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
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

name!(
    /// The name of a project.
    ProjectName, "project name", dashed, "^[a-z][a-z0-9_-]{0,39}$"
);
name!(
    /// The name of an environment: `local`, `staging`…
    EnvironmentName, "environment name", dashed, "^[a-z][a-z0-9_-]{0,39}$"
);
name!(
    /// The name of a pipeline.
    PipelineName, "pipeline name", dashed, "^[a-z][a-z0-9_-]{0,39}$"
);
name!(
    /// The name of a step within its pipeline. That of a step of a sub-pipeline begins with the name of the step that it is part
    /// of: `features/clean`.
    StepName, "step name", nested, "^[a-z][a-z0-9_-]{0,39}(/[a-z][a-z0-9_-]{0,39})*$"
);
name!(
    /// The name of a model in the registry.
    ModelName, "model name", dashed, "^[a-z][a-z0-9_-]{0,39}$"
);
name!(
    /// The name of an input, output, parameter or secret: also a Python identifier, since functions take them by name.
    FieldName, "name", identifier, "^[a-z][a-z0-9_]{0,39}$"
);

impl StepName {
    /// Checks a text and makes it a name as a definition may write it: one that is no step of a sub-pipeline.
    ///
    /// # Errors
    /// When it is none.
    pub fn plain(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        dashed(Self::WHAT, &text)?;
        Ok(Self(text))
    }

    /// The name of a step of the sub-pipeline that this step is.
    ///
    /// # Errors
    /// When it would be longer than [`MAX_STEP_NAME_CHARS`].
    pub fn inner(&self, step: &Self) -> Result<Self, NameError> {
        Self::new(format!("{self}/{step}"))
    }

    /// Whether the step is part of the sub-pipeline that another step is.
    pub fn is_within(&self, outer: &Self) -> bool {
        self.0.strip_prefix(&outer.0).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The name as one part of a key or a path, where `/` would part it: `features.clean`.
    pub fn segment(&self) -> Cow<'_, str> {
        if self.0.contains('/') { self.0.replace('/', ".").into() } else { self.0.as_str().into() }
    }

    /// The step that a part of a key or a path names.
    ///
    /// # Errors
    /// When it names none.
    pub fn of_segment(segment: &str) -> Result<Self, NameError> {
        Self::new(segment.replace('.', "/"))
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_a_sub_pipeline_is_one_part_of_a_key_and_found_again_there() {
        let outer = StepName::new("features").expect("valid");
        let inner = outer.inner(&StepName::new("clean-up").expect("valid")).expect("valid");
        assert_eq!(inner.as_str(), "features/clean-up");
        assert_eq!(inner.segment(), "features.clean-up");
        assert_eq!(StepName::of_segment(&inner.segment()), Ok(inner.clone()));
        assert!(inner.is_within(&outer) && !outer.is_within(&outer));
        assert!(!StepName::new("features2/x").expect("valid").is_within(&outer));
        for text in ["/", "a/", "/a", "a//b", "a/B", "a.b"] {
            assert!(StepName::new(text).is_err(), "{text}");
        }
    }
}
