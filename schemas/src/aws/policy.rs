//! IAM policies as documents: ordered, so that equal permissions have equal digests.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// What a role may do. Only `Allow` is ever needed: what is not named is denied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Statement {
    /// Why the statement is there, in letters and digits: IAM's `Sid`.
    pub sid: String,
    /// The actions: `s3:GetObject`.
    pub actions: BTreeSet<String>,
    /// What they may be done to: ARNs, of which the last part may end with `*`.
    pub resources: BTreeSet<String>,
    /// What must hold besides: operator → key → values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub conditions: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}
