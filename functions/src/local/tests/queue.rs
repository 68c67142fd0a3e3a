use std::fs;
use std::time::Duration;

use crate::clock::SystemClock;
use crate::conformance;
use crate::local::queue::SqliteQueue;
use crate::local::queue::WatchedQueue;
use crate::ports::Queue;

#[tokio::test]
async fn an_sqlite_file_is_a_queue() {
    let folder = tempfile::tempdir().expect("a folder");
    let opened = SqliteQueue::open(folder.path().join("queue.sqlite"), SystemClock).expect("a queue");
    assert_eq!(opened.set_aside, None);
    let traits = conformance::QueueTraits { resolution: Duration::ZERO, voids_receipts: true };
    conformance::queue(&opened.queue, &SystemClock, "suite/", traits).await.expect("all promises are kept");
}

#[tokio::test]
async fn messages_survive_their_process_and_are_purged_on_request() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || SqliteQueue::open(folder.path().join("queue.sqlite"), SystemClock).expect("a queue").queue;
    let first = open();
    first.send("q", "body", Duration::ZERO).await.expect("sent");
    first.send("other", "body", Duration::ZERO).await.expect("sent");
    drop(first);
    let second = open();
    assert!(second.next_due("q").expect("looked").is_some());
    second.purge("q").expect("purged");
    assert_eq!(second.next_due("q").expect("looked"), None);
    assert!(second.receive("other", Duration::ZERO).await.expect("received").is_some());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_set_aside() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("queue.sqlite");
    fs::write(&path, b"this is no database, and was never one; it only has the name of one").expect("written");
    let opened = SqliteQueue::open(&path, SystemClock).expect("a queue");
    let aside = opened.set_aside.expect("the file was set aside");
    assert!(fs::read(aside).expect("kept").starts_with(b"this is no database"));
    opened.queue.send("q", "body", Duration::ZERO).await.expect("the new file works");
}

#[tokio::test]
async fn a_damaged_database_is_set_aside() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("queue.sqlite");
    let queue = SqliteQueue::open(&path, SystemClock).expect("a queue").queue;
    for _ in 0..200 {
        queue.send("q", &"x".repeat(500), Duration::ZERO).await.expect("sent");
    }
    drop(queue);
    let mut bytes = fs::read(&path).expect("read");
    let half = bytes.len() / 2;
    bytes[4096..half].fill(0xa5);
    fs::write(&path, bytes).expect("written");
    let opened = SqliteQueue::open(&path, SystemClock).expect("a queue");
    assert!(opened.set_aside.is_some());
    opened.queue.send("q", "body", Duration::ZERO).await.expect("the new file works");
}
