//! Queues in SQS, by name.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use aws_sdk_sqs::types::MessageSystemAttributeName;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use futures_util::StreamExt as _;
use futures_util::TryStreamExt as _;
use futures_util::stream;

use super::clients::Clients;
use super::error::AwsError;
use super::error::explain;
use crate::ports::Delivery;
use crate::ports::Queue;
use crate::ports::QueueError;
use crate::ports::Receipt;

/// The longest delay of a message: SQS's own limit (`DelaySeconds` of SendMessage).
const MAX_DELAY: Duration = Duration::from_secs(900);

/// The longest time for which a message can be hidden: SQS's own limit (`VisibilityTimeout`).
const MAX_VISIBILITY: Duration = Duration::from_secs(43_200);

/// The longest time for which a message can be put off once it was received. SQS counts its 12 hours from the receipt, and
/// refuses what goes beyond; whoever puts a message off has had it for an hour at most.
const MAX_EXTENSION: Duration = Duration::from_secs(39_600);

/// How many messages one request may hold: SQS's own limit (`SendMessageBatch`). At most 4 KiB each, they stay far below that for
/// their size.
const BATCH: usize = 10;

/// How many of these requests are under way at once.
const BATCHES_AT_ONCE: usize = 16;

/// How long to wait for a message. Without any wait SQS asks only some of its servers, and may overlook one.
const DEFAULT_WAIT: Duration = Duration::from_secs(1);

/// Codes that say that a receipt is void.
const VOID_RECEIPT: &[&str] =
    &["InvalidIdFormat", "MessageNotInflight", "ReceiptHandleIsInvalid", "AWS.SimpleQueueService.MessageNotInflight"];

/// Codes that say that there is no such queue.
const NO_QUEUE: &[&str] = &["AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"];

/// The queues of an account and region.
#[derive(Debug)]
pub struct SqsQueue {
    client: aws_sdk_sqs::Client,
    wait: Duration,
    urls: Mutex<BTreeMap<String, String>>,
}

impl SqsQueue {
    /// The queues of an account and region.
    pub fn new(clients: &Clients) -> Self {
        Self { client: clients.sqs(), wait: DEFAULT_WAIT, urls: Mutex::default() }
    }

    /// Waits up to `wait` for a message that is to be received: whole seconds, 20 at most.
    #[must_use]
    pub const fn waiting(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// The address of a queue, asked for once.
    async fn url(&self, name: &str, action: &'static str) -> Result<String, QueueError> {
        if let Some(url) = self.urls.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(url.clone());
        }
        let found = self.client.get_queue_url().queue_name(name).send().await;
        let found = found.map_err(explain("GetQueueUrl")).map_err(|error| self.failed(name, action, error))?;
        let url = found.queue_url.unwrap_or_default();
        self.urls.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), url.clone());
        Ok(url)
    }

    fn failed(&self, name: &str, action: &'static str, error: AwsError) -> QueueError {
        if error.refusal().is_some_and(|(_, code)| NO_QUEUE.contains(&code)) {
            // A queue that is made again may have another address.
            self.urls.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        }
        QueueError::Unavailable { queue: name.to_owned(), action, source: error.into() }
    }

    /// What is left of an error when a void receipt is none.
    fn unless_void(&self, name: &str, action: &'static str, error: AwsError) -> Result<(), QueueError> {
        if is_void(&error) { Ok(()) } else { Err(self.failed(name, action, error)) }
    }
}

impl SqsQueue {
    /// Sends up to ten messages with one request. Those that the queue refuses by themselves are sent again one by one.
    async fn send_batch(&self, queue: &str, bodies: &[String]) -> Result<(), QueueError> {
        const ACTION: &str = "send messages";
        let url = self.url(queue, ACTION).await?;
        let mut request = self.client.send_message_batch().queue_url(url);
        for (index, body) in bodies.iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(body).build();
            let entry = entry.map_err(|error| QueueError::Unavailable {
                queue: queue.to_owned(),
                action: ACTION,
                source: error.into(),
            })?;
            request = request.entries(entry);
        }
        let sent =
            request.send().await.map_err(|error| self.failed(queue, ACTION, explain("SendMessageBatch")(error)))?;
        for refused in sent.failed() {
            if let Some(body) = refused.id().parse().ok().and_then(|index: usize| bodies.get(index)) {
                self.send(queue, body, Duration::ZERO).await?;
            }
        }
        Ok(())
    }
}

impl Queue for SqsQueue {
    fn max_delay(&self) -> Option<Duration> {
        Some(MAX_DELAY)
    }

    async fn send(&self, queue: &str, body: &str, delay: Duration) -> Result<(), QueueError> {
        const ACTION: &str = "send a message";
        let url = self.url(queue, ACTION).await?;
        let sent = self
            .client
            .send_message()
            .queue_url(url)
            .message_body(body)
            .delay_seconds(whole_seconds(delay.min(MAX_DELAY)))
            .send()
            .await;
        sent.map(drop).map_err(|error| self.failed(queue, ACTION, explain("SendMessage")(error)))
    }

    async fn send_many(&self, queue: &str, bodies: &[String]) -> Result<(), QueueError> {
        let batches: Vec<_> = bodies.chunks(BATCH).map(|bodies| self.send_batch(queue, bodies)).collect();
        stream::iter(batches).buffer_unordered(BATCHES_AT_ONCE).try_collect().await
    }

    async fn receive(&self, queue: &str, visibility: Duration) -> Result<Option<Delivery>, QueueError> {
        const ACTION: &str = "receive a message";
        let url = self.url(queue, ACTION).await?;
        let received = self
            .client
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(1)
            .visibility_timeout(whole_seconds(visibility.min(MAX_VISIBILITY)))
            .wait_time_seconds(whole_seconds(self.wait))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .send()
            .await
            .map_err(|error| self.failed(queue, ACTION, explain("ReceiveMessage")(error)))?;
        let Some(message) = received.messages.into_iter().flatten().next() else { return Ok(None) };
        let attributes = message.attributes.unwrap_or_default();
        let count = attributes.get(&MessageSystemAttributeName::ApproximateReceiveCount);
        Ok(Some(Delivery {
            body: message.body.unwrap_or_default(),
            receipt: receipt(queue, &message.receipt_handle.unwrap_or_default()),
            receives: count.and_then(|count| count.parse().ok()).unwrap_or(1),
        }))
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError> {
        const ACTION: &str = "put a message back";
        let Some((queue, handle)) = parts(receipt) else { return Ok(()) };
        let url = self.url(queue, ACTION).await?;
        let extended = self
            .client
            .change_message_visibility()
            .queue_url(url)
            .receipt_handle(handle)
            .visibility_timeout(whole_seconds(visibility.min(MAX_EXTENSION)))
            .send()
            .await;
        match extended {
            Ok(_) => Ok(()),
            Err(error) => self.unless_void(queue, ACTION, explain("ChangeMessageVisibility")(error)),
        }
    }

    async fn delete(&self, receipt: &Receipt) -> Result<(), QueueError> {
        const ACTION: &str = "delete a message";
        let Some((queue, handle)) = parts(receipt) else { return Ok(()) };
        let url = self.url(queue, ACTION).await?;
        match self.client.delete_message().queue_url(url).receipt_handle(handle).send().await {
            Ok(_) => Ok(()),
            Err(error) => self.unless_void(queue, ACTION, explain("DeleteMessage")(error)),
        }
    }
}

/// A receipt of a message that a function was started with, and that is of a queue of that name.
pub fn receipt(queue: &str, handle: &str) -> Receipt {
    Receipt::new(format!("{queue} {handle}"))
}

/// Names of queues hold no space.
fn parts(receipt: &Receipt) -> Option<(&str, &str)> {
    receipt.as_str().split_once(' ')
}

/// SQS counts whole seconds. Waiting longer is right in every use of them, and waiting less is not.
fn whole_seconds(duration: Duration) -> i32 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

/// Whether a receipt is void, which SQS says by codes of their own or as a parameter that makes no sense.
fn is_void(error: &AwsError) -> bool {
    match error {
        AwsError::Refused(refusal) => {
            let code = refusal.code.as_str();
            let names_receipt = || refusal.message.to_lowercase().replace(' ', "").contains("receipthandle");
            VOID_RECEIPT.contains(&code) || (code.ends_with("InvalidParameterValue") && names_receipt())
        }
        AwsError::NoCredentials { .. }
        | AwsError::TimedOut { .. }
        | AwsError::NoAnswer { .. }
        | AwsError::Contended { .. } => false,
    }
}
