//! Messages that ended in a dead-letter queue: counted, and sent again.
//!
//! They go back one by one, received, sent and deleted. SQS has a call for that, `StartMessageMoveTask`, which emulators
//! lack and whose progress has to be asked for; a message that comes twice, since its sender died in between, is harmless
//! here as everywhere.

use super::error::AwsError;
use super::error::failed;
use super::queue;
use super::site::Site;

/// How long a message is hidden while it is sent again, in seconds.
const HIDDEN_SECONDS: i32 = 60;

/// How long a queue is waited for that seems to be empty, in seconds: without it, SQS asks only some of its servers
/// (`ReceiveMessage`, "short polling").
const WAIT_SECONDS: i32 = 1;

/// How many messages the dead-letter queue of a queue holds, by SQS's own estimate. None where there is no such queue.
///
/// # Errors
/// When AWS can not be asked.
pub async fn undelivered(site: &Site, queue: &str) -> Result<u64, AwsError> {
    let name = queue::dead_letter(queue);
    match queue::url(site, &name).await? {
        Some(url) => Ok(queue::messages(&queue::read(site, &name, &url).await?)),
        None => Ok(0),
    }
}

/// Sends again what the dead-letter queue of a queue holds, and counts it.
///
/// # Errors
/// When AWS refuses: what was not sent by then is where it was.
pub async fn send_undelivered(site: &Site, queue: &str) -> Result<u64, AwsError> {
    let name = queue::dead_letter(queue);
    let (Some(from), Some(to)) = (queue::url(site, &name).await?, queue::url(site, queue).await?) else { return Ok(0) };
    let sqs = &site.clients.sqs;
    let mut sent = 0;
    loop {
        let request = sqs.receive_message().queue_url(&from).max_number_of_messages(10);
        let request = request.visibility_timeout(HIDDEN_SECONDS).wait_time_seconds(WAIT_SECONDS);
        let answer = request.send().await.map_err(failed("sqs:ReceiveMessage", &name))?;
        let messages = answer.messages.unwrap_or_default();
        if messages.is_empty() {
            return Ok(sent);
        }
        for message in messages {
            let body = message.body.unwrap_or_default();
            let request = sqs.send_message().queue_url(&to).message_body(body);
            request.send().await.map_err(failed("sqs:SendMessage", queue))?;
            let request = sqs.delete_message().queue_url(&from).set_receipt_handle(message.receipt_handle);
            request.send().await.map_err(failed("sqs:DeleteMessage", &name))?;
            sent += 1;
        }
    }
}
