//! Messages of the trigger queue that are no work: ticks of the sweeper, and what S3 sends to see whether it may send.

use serde_json::Value;

use super::error::AwsError;
use super::error::failed;
use super::site::Site;

/// How often a queue is asked for messages: each time gives up to ten.
const ROUNDS: usize = 10;

/// How long messages are hidden while they are looked at, in seconds.
const HIDDEN_SECONDS: i32 = 5;

/// Takes what is no work out of queues, and stops at the first message that is.
pub(super) async fn discard(site: &Site, queues: &[(&str, String)]) -> Result<(), AwsError> {
    for (name, url) in queues {
        for _ in 0..ROUNDS {
            if !discard_some(site, name, url).await? {
                break;
            }
        }
    }
    Ok(())
}

/// Whether there may be more.
async fn discard_some(site: &Site, name: &str, url: &str) -> Result<bool, AwsError> {
    let sqs = &site.clients.sqs;
    let request = sqs.receive_message().queue_url(url).max_number_of_messages(10).visibility_timeout(HIDDEN_SECONDS);
    let messages = request.send().await.map_err(failed("sqs:ReceiveMessage", name))?.messages.unwrap_or_default();
    let mut only_ticks = !messages.is_empty();
    for message in &messages {
        let handle = message.receipt_handle().unwrap_or_default();
        if message.body().is_some_and(is_no_work) {
            let request = sqs.delete_message().queue_url(url).receipt_handle(handle);
            request.send().await.map_err(failed("sqs:DeleteMessage", name))?;
        } else {
            only_ticks = false;
            let request = sqs.change_message_visibility().queue_url(url).receipt_handle(handle).visibility_timeout(0);
            request.send().await.map_err(failed("sqs:ChangeMessageVisibility", name))?;
        }
    }
    Ok(only_ticks)
}

fn is_no_work(body: &str) -> bool {
    let Ok(body) = serde_json::from_str::<Value>(body) else { return false };
    body.get("liminal").is_some_and(|kind| kind == "sweep")
        || body.get("Event").is_some_and(|event| event == "s3:TestEvent")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ticks_of_the_sweeper_and_tests_of_s3_are_no_work() {
        assert!(is_no_work(r#"{"liminal":"sweep"}"#));
        assert!(is_no_work(r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"data"}"#));
        assert!(!is_no_work(r#"{"liminal":"schedule","pipeline":"train"}"#));
        assert!(!is_no_work(r#"{"Records":[{"eventName":"ObjectCreated:Put"}]}"#));
        assert!(!is_no_work("sweep"));
    }
}
