//! What starts a run without anybody calling: schedules, objects that land in a bucket, and ends of other runs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::digest::Digest;
use crate::name::FieldName;
use crate::name::PipelineName;
use crate::run::RunStatus;
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
    /// A run of another pipeline that has ended.
    Finished {
        /// That pipeline.
        pipeline: PipelineName,
        /// How the run must have ended.
        #[serde(default, skip_serializing_if = "RunEnd::is_success")]
        result: RunEnd,
        /// The parameters that say which run it was.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        params: BTreeMap<FieldName, EndFact>,
    },
}

/// How a run must have ended to start another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunEnd {
    /// Every step did what it should.
    #[default]
    Succeeded,
    /// A step failed.
    Failed,
    /// A gate refused.
    Rejected,
    /// However it ended.
    Any,
}

impl RunEnd {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Succeeded, Self::Failed, Self::Rejected, Self::Any];

    /// The word that definitions use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Any => "any",
        }
    }

    /// Whether nothing was said.
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Succeeded)
    }

    /// Whether a run that ended like this is meant.
    pub const fn is(self, status: RunStatus) -> bool {
        match (self, status) {
            (Self::Any, _)
            | (Self::Succeeded, RunStatus::Succeeded)
            | (Self::Failed, RunStatus::Failed)
            | (Self::Rejected, RunStatus::Rejected) => true,
            (Self::Succeeded | Self::Failed | Self::Rejected, _) => false,
        }
    }
}

/// What is known of a run that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EndFact {
    /// Its id.
    Run,
    /// How it ended: `succeeded`, `failed`…
    Result,
}

impl EndFact {
    /// What a definition writes for it, and what stands for it there.
    pub const ALL: [(&'static str, Self); 2] = [("finished.run", Self::Run), ("finished.result", Self::Result)];
}
