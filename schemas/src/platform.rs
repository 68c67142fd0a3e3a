//! What carries an environment out.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::aws::AwsSpec;

/// The platform of an environment, with all that the definition says of it. No release holds any of this: the same
/// release can be carried out by every platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PlatformSpec {
    /// This machine.
    Local,
    /// An AWS account and region.
    Aws(Box<AwsSpec>),
}

impl PlatformSpec {
    /// The platform as a definition writes it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Aws(_) => "aws",
        }
    }
}
