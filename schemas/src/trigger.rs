//! What starts a run without anybody calling: schedules, and objects that land in a bucket.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::digest::Digest;
use crate::name::FieldName;
use crate::value::Value;

/// A trigger of a pipeline. It is part of the release, so that a rollback also brings back what started the runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trigger {
    /// What it waits for.
    pub on: TriggerSource,
    /// The parameters that its runs set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<FieldName, Value>,
}

impl Trigger {
    /// The trigger's identity: what a schedule's message names.
    pub fn digest(&self) -> Digest {
        Digest::of_document(self)
    }
}

/// What a trigger waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TriggerSource {
    /// A time.
    Schedule {
        /// `rate(1 hour)` or `cron(0 6 * * ? *)`, as EventBridge Scheduler writes them.
        expression: String,
        /// The time zone: `UTC`, `Europe/Berlin`.
        timezone: String,
    },
    /// An object that was created.
    Object {
        /// The bucket; none for that of the environment.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bucket: Option<String>,
        /// What its key begins with.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        prefix: String,
        /// What its key ends with.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        suffix: String,
    },
}
