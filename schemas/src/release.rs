//! Releases and packages: the immutable documents that a run is pinned to.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::digest::Digest;
use crate::name::FieldName;
use crate::name::PipelineName;
use crate::name::ProjectName;
use crate::name::StepName;
use crate::run_policy::RunPolicy;
use crate::step::StepSpec;
use crate::trigger::Trigger;
use crate::value::Value;
use crate::value::ValueType;

/// The version of the release document that this code writes.
pub const RELEASE_SCHEMA: u32 = 1;

/// Changes when equal package documents would come to be packed differently.
pub const PACKER_VERSION: u32 = 1;

/// A fully resolved pipeline. Its digest is the **revision**; two equal definitions always give the same one, so it
/// names no commit, time, environment or person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Release {
    /// See [`RELEASE_SCHEMA`].
    pub schema: u32,
    /// The project that the pipeline belongs to.
    pub project: ProjectName,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The parameters that a run may set, with their types and defaults.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<FieldName, ParamSpec>,
    /// The secrets that steps use, by reference.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<FieldName, SecretRef>,
    /// What starts runs of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<Trigger>,
    /// How its runs go together.
    #[serde(default, skip_serializing_if = "RunPolicy::is_default")]
    pub runs: RunPolicy,
    /// The steps.
    pub steps: BTreeMap<StepName, StepSpec>,
}

impl Release {
    /// The digest of the whole.
    pub fn revision(&self) -> Digest {
        Digest::of_document(self)
    }
}

/// A parameter that a run may set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ParamSpec {
    /// The type of its values.
    #[serde(rename = "type")]
    pub value_type: ValueType,
    /// The value of a run that sets none; without it every run must set one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The least number allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The greatest number allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The only values allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Value>,
}

impl ParamSpec {
    /// Says what is wrong with a value for this parameter, if anything is.
    pub fn problem_with(&self, value: &Value) -> Option<String> {
        if value.value_type() != Some(self.value_type) {
            return Some(format!("`{value}` is no {}", self.value_type));
        }
        #[expect(clippy::cast_precision_loss, reason = "bounds are compared as floats, as they are declared")]
        let number = match value {
            Value::Int(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => None,
        };
        if let (Some(number), Some(min)) = (number, self.min)
            && number < min
        {
            return Some(format!("{value} is below the minimum of {min}"));
        }
        if let (Some(number), Some(max)) = (number, self.max)
            && number > max
        {
            return Some(format!("{value} is above the maximum of {max}"));
        }
        if !self.choices.is_empty() && !self.choices.contains(value) {
            let choices: Vec<String> = self.choices.iter().map(ToString::to_string).collect();
            return Some(format!("`{value}` is none of {}", choices.join(", ")));
        }
        None
    }
}

/// Where the value of a secret is found when an attempt starts. The value itself is in no document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SecretRef {
    /// An environment variable of the machine that runs the step: `env:NAME`. What the platform `local` knows.
    Env(String),
    /// A secret of AWS Secrets Manager: `secretsmanager:NAME`, or `secretsmanager:NAME#KEY` for one key of a JSON object in it.
    SecretsManager {
        /// Its name.
        name: String,
        /// The key of the JSON object that it holds; none for the whole text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// A parameter of AWS Systems Manager, by its full name: `ssm:/path/name`.
    Parameter(String),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(variable) => write!(f, "env:{variable}"),
            Self::SecretsManager { name, key: None } => write!(f, "secretsmanager:{name}"),
            Self::SecretsManager { name, key: Some(key) } => write!(f, "secretsmanager:{name}#{key}"),
            Self::Parameter(name) => write!(f, "ssm:{name}"),
        }
    }
}

/// The code and dependencies of a step: what a package digest stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PackageSpec {
    /// See [`PACKER_VERSION`].
    pub packer: u32,
    /// The folder, below the project, that Python imports from; empty for the project itself.
    pub root: String,
    /// The files, by path below the project folder.
    pub files: BTreeMap<String, PackageFile>,
    /// The Python environment, for steps that need one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<PythonSpec>,
}

impl PackageSpec {
    /// The package's identity.
    pub fn digest(&self) -> Digest {
        Digest::of_document(self)
    }
}

/// A file in a package: known by its git blob id, so that planning reads no contents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PackageFile {
    /// The git blob id, in hexadecimal.
    pub blob: String,
    /// Whether the file may be executed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
}

/// A Python environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PythonSpec {
    /// `3.11` for any 3.11.x, `>=3.10` for that or newer; none for whatever `python3` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The requirements file, by path below the project folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requirements: Option<RequirementsFile>,
}

impl PythonSpec {
    /// The environment's identity.
    pub fn digest(&self) -> Digest {
        Digest::of_document(self)
    }
}

/// A requirements file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequirementsFile {
    /// The path below the project folder.
    pub path: String,
    /// The git blob id, in hexadecimal.
    pub blob: String,
}
