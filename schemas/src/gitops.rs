//! What GitOps keeps beside the state of an environment.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::aws::resource::CloudResource;
use crate::digest::Digest;
use crate::name::EnvironmentName;
use crate::release::SecretRef;
use crate::state::ResourceAddress;
use crate::time::UtcTime;

/// The version of the GitOps documents that this code writes.
pub const GITOPS_SCHEMA: u32 = 1;

/// What set an apply going, where it was no person at a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    /// A push, by a hook of the repository.
    Hook,
    /// An agent that follows the repository.
    Agent,
    /// A signed request.
    Webhook,
}

impl Trigger {
    /// The trigger as documents write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hook => "hook",
            Self::Agent => "agent",
            Self::Webhook => "webhook",
        }
    }
}

/// `environments/<env>.json`, with the objects of a template: an environment was made from it. So whoever removes what has
/// expired finds it, though nothing but its name was ever said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MadeEnvironment {
    /// See [`GITOPS_SCHEMA`].
    pub schema: u32,
    /// Its name.
    pub environment: EnvironmentName,
    /// Since when.
    pub since: UtcTime,
}

/// `state/<env>/approvals/<plan>.json`: somebody approved a plan for a protected environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Approval {
    /// See [`GITOPS_SCHEMA`].
    pub schema: u32,
    /// What was approved: see [`Plan::approval_digest`](crate::plan::Plan::approval_digest).
    pub plan: Digest,
    /// Who approved, as far as known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When.
    pub at: UtcTime,
}

/// `state/<env>.quarantine.json`: the commit that failed, which nobody tries again before there is another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quarantine {
    /// See [`GITOPS_SCHEMA`].
    pub schema: u32,
    /// The commit.
    pub commit: String,
    /// Why it failed, in one line.
    pub reason: String,
    /// When.
    pub at: UtcTime,
    /// What tried to apply it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,
}

/// `state/<env>.receiver.json`: what the receiver of an environment is made of. Written before anything of it is made, so
/// that whatever comes in between, all of it is found again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiverRecord {
    /// See [`GITOPS_SCHEMA`].
    pub schema: u32,
    /// Where the secret is that deliveries are signed with.
    pub secret: SecretRef,
    /// Its resources, and those of an earlier one that may still be there.
    pub resources: BTreeMap<ResourceAddress, CloudResource>,
}
