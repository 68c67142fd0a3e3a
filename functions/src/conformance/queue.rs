//! The promises of [`Queue`].

use std::collections::BTreeSet;
use std::time::Duration;

use super::Violation;
use super::promise;
use crate::ports::Clock;
use crate::ports::Delivery;
use crate::ports::Queue;

/// How long a message is hidden in these checks at least, and twice that: a wait after which it certainly is not.
const SHORT: Duration = Duration::from_millis(60);

/// Longer than the whole suite takes.
const LONG: Duration = Duration::from_secs(600);

/// What a queue can do, beyond what all queues do.
#[derive(Clone, Copy, Debug)]
pub struct QueueTraits {
    /// The shortest time that it can tell.
    pub resolution: Duration,
    /// Whether a void receipt certainly changes nothing. SQS says that it may all the same, and some that speak its protocol
    /// delete a message by any of its receipts: the worker that has it by then does not need it, unless it dies.
    pub voids_receipts: bool,
}

/// Checks a queue, with the queues `<prefix>first` and `<prefix>second`, which are there or come about by themselves, and
/// have no messages. `clock` is the one that the queue goes by.
///
/// # Errors
/// The first promise that is not kept.
pub async fn queue<Q: Queue>(
    queue: &Q,
    clock: &impl Clock,
    prefix: &str,
    traits: QueueTraits,
) -> Result<(), Violation> {
    let short = SHORT.max(traits.resolution);
    let (first, second) = (format!("{prefix}first"), format!("{prefix}second"));
    promise("an empty queue delivers nothing", queue.receive(&first, LONG).await?, None)?;

    queue.send(&first, "body with \"quotes\"\nand lines", Duration::ZERO).await?;
    promise("queues do not share messages", queue.receive(&second, LONG).await?, None)?;
    let delivery = due(queue, &first).await?;
    promise("what was sent is delivered", delivery.body.as_str(), "body with \"quotes\"\nand lines")?;
    promise("the first delivery is counted as such", delivery.receives, 1)?;
    promise("a message is hidden while it is held", queue.receive(&first, LONG).await?, None)?;

    queue.extend(&delivery.receipt, Duration::ZERO).await?;
    let again = due(queue, &first).await?;
    promise("a message that is put back is delivered again", again.body == delivery.body, true)?;
    promise("deliveries are counted", again.receives, 2)?;
    promise("a receipt is void after the next delivery", again.receipt != delivery.receipt, true)?;
    if traits.voids_receipts {
        queue.delete(&delivery.receipt).await?;
        queue.extend(&delivery.receipt, Duration::ZERO).await?;
        promise("a void receipt puts nothing back", queue.receive(&first, LONG).await?, None)?;
    }
    queue.extend(&again.receipt, Duration::ZERO).await?;
    let kept = due(queue, &first).await?;
    promise("a void receipt deletes nothing", kept.receives, 3)?;
    queue.delete(&kept.receipt).await?;
    queue.delete(&kept.receipt).await?;
    promise("a deleted message is gone", queue.receive(&first, LONG).await?, None)?;

    queue.send(&first, "hidden for a while", Duration::ZERO).await?;
    let held = queue.receive(&first, short).await?.is_some();
    promise("a message is delivered at once", held, true)?;
    clock.sleep(short * 2).await;
    let returned = due(queue, &first).await?;
    promise("a message that is not deleted in time comes again", returned.receives, 2)?;
    queue.delete(&returned.receipt).await?;

    queue.send(&first, "later", short).await?;
    promise("a delayed message waits", queue.receive(&first, LONG).await?, None)?;
    clock.sleep(short * 2).await;
    let later = due(queue, &first).await?;
    queue.delete(&later.receipt).await?;

    let mut sent = BTreeSet::new();
    for number in 0..20 {
        queue.send(&second, &number.to_string(), Duration::ZERO).await?;
        sent.insert(number.to_string());
    }
    let mut received = BTreeSet::new();
    while let Some(delivery) = queue.receive(&second, LONG).await? {
        queue.delete(&delivery.receipt).await?;
        received.insert(delivery.body);
    }
    promise("no message is lost among others", received, sent)
}

async fn due<Q: Queue>(queue: &Q, name: &str) -> Result<Delivery, Violation> {
    queue
        .receive(name, LONG)
        .await?
        .ok_or_else(|| Violation::Broken { promise: "a message that is due is delivered", found: "none".to_owned() })
}
