//! Messages of a queue as a function gets them, and what it answers. All of a batch that is not named as failed is deleted.

use liminal_schemas::time::UtcTime;
use serde::Deserialize;
use serde::Serialize;

/// A batch of messages.
#[derive(Clone, Debug, Deserialize)]
pub struct Batch {
    /// The messages.
    #[serde(rename = "Records")]
    pub records: Vec<Record>,
}

/// A message.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Names the message in the answer.
    pub message_id: String,
    /// Holds the message.
    pub receipt_handle: String,
    /// What was sent.
    pub body: String,
    /// What the queue says about it.
    #[serde(default)]
    pub attributes: Attributes,
    /// The queue's ARN.
    #[serde(rename = "eventSourceARN")]
    pub queue_arn: String,
}

/// What a queue says about a message.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Attributes {
    /// How often it has been received, this time included.
    #[serde(rename = "ApproximateReceiveCount", default)]
    pub receives: String,
    /// When it was sent, in milliseconds since 1970: the same each time it is received.
    #[serde(rename = "SentTimestamp", default)]
    pub sent: String,
}

impl Record {
    /// The queue's name.
    pub fn queue(&self) -> &str {
        self.queue_arn.rsplit(':').next().unwrap_or_default()
    }

    /// When the message was sent.
    pub fn sent_at(&self) -> Option<UtcTime> {
        self.attributes.sent.parse().ok().map(UtcTime::from_millis)
    }

    /// How often the message has been received, this time included.
    pub fn receives(&self) -> u32 {
        self.attributes.receives.parse().unwrap_or(1)
    }
}

/// The answer to a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The messages that are not to be deleted.
    #[serde(rename = "batchItemFailures")]
    pub failures: Vec<Failed>,
}

/// A message that is not to be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// The message.
    #[serde(rename = "itemIdentifier")]
    pub id: String,
}

impl Answer {
    /// Keeps a message.
    pub fn keep(&mut self, record: &Record) {
        self.failures.push(Failed { id: record.message_id.clone() });
    }
}
