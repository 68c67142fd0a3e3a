//! The queue message: a claim check, never data. The truth is in the object store.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::name::PipelineName;
use crate::name::RunId;
use crate::name::StepName;
use crate::time::UtcTime;

/// The version of the message that this code writes.
pub const MESSAGE_SCHEMA: u32 = 1;

/// The largest body that is sent, in bytes. Far below any queue's limit, since a message only names things.
pub const MAX_MESSAGE_BYTES: usize = 4096;

/// Asks a runner to look at one step of one run.
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
    /// Asks for a step.
    pub fn new(pipeline: PipelineName, run: RunId, step: StepName) -> Self {
        Self { schema: MESSAGE_SCHEMA, pipeline, run, step, not_before: None }
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
