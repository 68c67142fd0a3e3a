//! Queue messages: claim checks, never data. The truth is in the object store.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::digest::Digest;
use crate::name::PipelineName;
use crate::name::RunId;
use crate::name::StepName;
use crate::time::UtcTime;
use crate::unit::Unit;

/// The version of the message that this code writes.
pub const MESSAGE_SCHEMA: u32 = 1;

/// The largest body that is sent, in bytes. Far below any queue's limit, since a message only names things.
pub const MAX_MESSAGE_BYTES: usize = 4096;

/// Asks a runner to look at one step of one run, or at one item of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepMessage {
    /// See [`MESSAGE_SCHEMA`].
    pub schema: u32,
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepName,
    /// The item, for one of a step that maps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// When the step may be looked at, where that is later than the queue itself could hold the message back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<UtcTime>,
}

/// Why a body is no message.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// It is longer than [`MAX_MESSAGE_BYTES`].
    #[error("the message has {0} bytes, more than {MAX_MESSAGE_BYTES}")]
    TooLong(usize),
    /// It is no such JSON.
    #[error("the message makes no sense")]
    Malformed(#[source] serde_json::Error),
    /// A newer liminal wrote it.
    #[error("the message has schema {0}, and this liminal knows only {MESSAGE_SCHEMA}")]
    UnknownSchema(u32),
}

impl StepMessage {
    /// Asks for a step, or an item of one.
    pub fn new(pipeline: PipelineName, run: RunId, unit: impl Into<Unit>) -> Self {
        let Unit { step, item } = unit.into();
        Self { schema: MESSAGE_SCHEMA, pipeline, run, step, item, not_before: None }
    }

    /// What it asks for.
    pub fn unit(&self) -> Unit {
        Unit { step: self.step.clone(), item: self.item }
    }

    /// The same, but not before a time.
    #[must_use]
    pub const fn not_before(mut self, time: UtcTime) -> Self {
        self.not_before = Some(time);
        self
    }

    /// Reads a message body.
    pub fn parse(body: &str) -> Result<Self, MessageError> {
        if body.len() > MAX_MESSAGE_BYTES {
            return Err(MessageError::TooLong(body.len()));
        }
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let version: Version = serde_json::from_str(body).map_err(MessageError::Malformed)?;
        if version.schema != MESSAGE_SCHEMA {
            return Err(MessageError::UnknownSchema(version.schema));
        }
        serde_json::from_str(body).map_err(MessageError::Malformed)
    }

    /// The message body.
    pub fn body(&self) -> String {
        // Names and numbers alone: serialising them can not fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What liminal itself sends to the trigger queue of an environment. Notifications of buckets and events of the account
/// arrive there too, in the form that AWS gives them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "liminal", rename_all = "lowercase")]
pub enum TriggerMessage {
    /// Asks for a look at the runs that have not ended: `{"liminal":"sweep"}`.
    Sweep(SweepPart),
    /// Asks for a run, since a schedule fired.
    Schedule {
        /// The pipeline.
        pipeline: PipelineName,
        /// The digest of its trigger: no run starts when the live release does not have it.
        trigger: Digest,
        /// The time that it fired for, in RFC 3339. Duplicates have the same, so that they are one run.
        time: String,
    },
}

/// Which of the open runs are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SweepPart {
    /// The mark to begin with; none to begin anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// How many marks are left to look at; none for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<usize>,
    /// How many messages led to this one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hops: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What EventBridge Scheduler replaces by the time that a schedule fires for.
pub const SCHEDULED_TIME: &str = "<aws.scheduler.scheduled-time>";

impl TriggerMessage {
    /// What a schedule sends for a trigger of a pipeline.
    pub fn schedule(pipeline: PipelineName, trigger: Digest) -> Self {
        Self::Schedule { pipeline, trigger, time: SCHEDULED_TIME.to_owned() }
    }

    /// What sets off the sweeper.
    pub fn sweep() -> Self {
        Self::Sweep(SweepPart::default())
    }

    /// The message body.
    pub fn body(&self) -> String {
        // Names, texts and numbers alone: serialising them can not fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Tells agents that a code host was pushed to. It says nothing of what was pushed: that is fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushMessage {
    /// See [`MESSAGE_SCHEMA`].
    pub schema: u32,
    /// The id of the delivery, for logs.
    pub delivery: String,
}

impl PushMessage {
    /// What is told of a delivery.
    pub fn new(delivery: impl Into<String>) -> Self {
        Self { schema: MESSAGE_SCHEMA, delivery: delivery.into() }
    }

    /// The message body.
    pub fn body(&self) -> String {
        // A number and a text: serialising them can not fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_schedules_send_is_what_the_starter_reads() {
        let pipeline = PipelineName::new("train").expect("valid");
        let message = TriggerMessage::schedule(pipeline, Digest::of_bytes(b"trigger"));
        insta::assert_snapshot!(message.body(), @r#"{"liminal":"schedule","pipeline":"train","trigger":"683259feabbf5eb39895d7a5d3f4872d6989d5fa7a3eca713251d996d99a1630","time":"<aws.scheduler.scheduled-time>"}"#);
        assert_eq!(serde_json::from_str::<TriggerMessage>(&message.body()).expect("read"), message);
        let sweep: TriggerMessage = serde_json::from_str(r#"{"liminal":"sweep"}"#).expect("read");
        assert_eq!(sweep, TriggerMessage::sweep());
        insta::assert_snapshot!(sweep.body(), @r#"{"liminal":"sweep"}"#);
    }
}
