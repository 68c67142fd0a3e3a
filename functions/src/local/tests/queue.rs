use std::time::Duration;

use crate::clock::SystemClock;
use crate::conformance;
use crate::local::queue::MemoryQueue;
use crate::local::queue::WatchedQueue;
use crate::ports::Queue;

#[tokio::test]
async fn memory_is_a_queue() {
    let traits = conformance::QueueTraits { resolution: Duration::ZERO, voids_receipts: true };
    let queue = MemoryQueue::new(SystemClock);
    conformance::queue(&queue, &SystemClock, "suite/", traits).await.expect("all promises are kept");
}

#[tokio::test]
async fn messages_of_one_queue_are_dropped_on_request_and_receipts_of_them_do_nothing() {
    let queue = MemoryQueue::new(SystemClock);
    queue.send("q", "held", Duration::ZERO).await.expect("sent");
    queue.send("q", "waiting", Duration::ZERO).await.expect("sent");
    queue.send("other", "body", Duration::ZERO).await.expect("sent");
    let held = queue.receive("q", Duration::from_secs(60)).await.expect("received").expect("one is due");
    queue.purge("q");
    queue.extend(&held.receipt, Duration::ZERO).await.expect("nothing to put back");
    assert_eq!(queue.next_due("q"), None);
    assert!(queue.receive("other", Duration::ZERO).await.expect("received").is_some());
}
