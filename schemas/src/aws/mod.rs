//! What an environment on AWS is made of: its settings, its names, its resources and the permissions that follow from
//! the data flow. Documents and decisions alone; whoever calls AWS does so elsewhere.

pub mod image;
pub mod layout;
pub mod limits;
pub mod names;
pub mod placement;
pub mod policy;
pub mod resource;
pub mod runtime;
pub mod variables;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// How long logs are kept where the definition does not say, in days.
pub const DEFAULT_LOG_RETENTION_DAYS: u32 = 30;

/// The settings of an environment on AWS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AwsSpec {
    /// The region: `eu-central-1`.
    pub region: String,
    /// The account's twelve digits. When given, nothing is changed in any other account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The bucket for objects; none for the one that `liminal bootstrap` makes: [`names::default_bucket`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// What functions and tasks run on.
    #[serde(default)]
    pub arch: Arch,
    /// How long logs are kept, in days: one of the values that CloudWatch Logs allows.
    pub log_retention_days: u32,
    /// How Fargate tasks are run.
    #[serde(default)]
    pub fargate: FargateSettings,
}

/// An instruction set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// Intel and AMD.
    #[default]
    #[serde(rename = "x86_64")]
    X86_64,
    /// Graviton.
    Arm64,
}

impl Arch {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Arm64];

    /// The name that definitions and Lambda use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }
}

/// How Fargate tasks are run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FargateSettings {
    /// The image of steps that name none; none for the one that [`names::default_image`] tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The cluster; none for the one that `liminal bootstrap` makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The subnets of tasks: AWS starts none without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<String>,
    /// The security groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<String>,
    /// Whether tasks get a public address, which they need in a subnet without NAT or endpoints.
    #[serde(default)]
    pub public_ip: bool,
}

/// Where in AWS an environment is: what all names and ARNs are made from. Known once the credentials were asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AwsPlace {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// The region.
    pub region: String,
    /// The account's twelve digits.
    pub account: String,
    /// The bucket for objects.
    pub bucket: String,
    /// Where calls go instead of AWS's own endpoints: functions made there must call there as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}
