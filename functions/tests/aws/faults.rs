//! What networks and busy services do, and what comes of it.

use std::error::Error as _;
use std::time::Duration;

use liminal_emulators::Fault;
use liminal_emulators::FaultProxy;
use liminal_emulators::Rule;
use liminal_emulators::shared_ministack;
use liminal_functions::aws::error::AwsError;
use liminal_functions::aws::place::Place;
use liminal_functions::aws::queue::SqsQueue;
use liminal_functions::aws::store::S3Store;
use liminal_functions::ports::Etag;
use liminal_functions::ports::ObjectStore as _;
use liminal_functions::ports::Put;
use liminal_functions::ports::Queue as _;
use liminal_functions::ports::StoreError;
use liminal_functions::ports::Swap;

use crate::harness;

const CONFLICT: Fault = Fault::Answer { status: 409, code: "ConditionalRequestConflict" };
const BUSY: Fault = Fault::Answer { status: 503, code: "SlowDown" };

/// A store behind a proxy, and the same objects without the proxy.
async fn behind_proxy() -> (FaultProxy, S3Store, S3Store) {
    let emulator = shared_ministack();
    let proxy = FaultProxy::start(emulator);
    let place = harness::place(emulator).await;
    let store = S3Store::new(&harness::through(&proxy, emulator).await, place.clone());
    (proxy, store, S3Store::new(&harness::clients(emulator).await, place))
}

fn cause(error: &StoreError) -> &AwsError {
    error.source().and_then(|source| source.downcast_ref()).expect("a service's error")
}

fn created(put: Result<Put, StoreError>) -> Etag {
    match put {
        Ok(Put::Created(etag)) => etag,
        other => panic!("not created: {other:?}"),
    }
}

#[tokio::test]
async fn a_create_whose_response_was_lost_is_known_as_our_own() {
    let (proxy, store, direct) = behind_proxy().await;
    proxy.add(Rule::once(Fault::LoseResponse).method("PUT"));
    let etag = created(store.put_if_absent("commit.json", b"nonce a").await);
    assert_eq!(direct.get("commit.json").await.expect("read").expect("there").etag, etag);
    assert_eq!(proxy.take_seen().iter().filter(|seen| seen.method == "PUT").count(), 2, "it was sent again");
}

#[tokio::test]
async fn a_create_that_came_second_is_not_ours_even_when_a_response_was_lost() {
    let (proxy, store, direct) = behind_proxy().await;
    created(direct.put_if_absent("commit.json", b"nonce of the rival").await);
    proxy.add(Rule::once(Fault::LoseResponse).method("PUT"));
    assert_eq!(store.put_if_absent("commit.json", b"nonce a").await.expect("answered"), Put::Exists);
}

#[tokio::test]
async fn a_second_create_of_equal_content_is_told_from_the_first() {
    let (proxy, store, _) = behind_proxy().await;
    created(store.put_if_absent("marker", b"").await);
    assert_eq!(store.put_if_absent("marker", b"").await.expect("answered"), Put::Exists);
    assert!(proxy.take_seen().iter().all(|seen| seen.method == "PUT"), "nothing had to be read");
}

#[tokio::test]
async fn a_swap_whose_response_was_lost_is_known_as_our_own() {
    let (proxy, store, direct) = behind_proxy().await;
    let first = created(direct.put_if_absent("state.json", b"serial 1").await);
    proxy.add(Rule::once(Fault::LoseResponse).method("PUT"));
    let Swap::Swapped(second) = store.put_if_match("state.json", b"serial 2", &first).await.expect("answered") else {
        panic!("the swap was taken for somebody else's");
    };
    assert_eq!(direct.get("state.json").await.expect("read").expect("there").etag, second);
    assert_eq!(store.put_if_match("state.json", b"serial 2b", &first).await.expect("answered"), Swap::Changed);
}

#[tokio::test]
async fn a_swap_of_an_object_that_is_gone_says_that_it_changed() {
    let (_proxy, store, _) = behind_proxy().await;
    let etag = created(store.put_if_absent("state.json", b"serial 1").await);
    store.delete("state.json").await.expect("deleted");
    assert_eq!(store.put_if_match("state.json", b"serial 2", &etag).await.expect("answered"), Swap::Changed);
}

#[tokio::test]
async fn a_conflict_is_tried_again_and_not_taken_for_a_rivals_object() {
    let (proxy, store, _) = behind_proxy().await;
    proxy.add(Rule::once(CONFLICT).method("PUT").times(3));
    created(store.put_if_absent("commit.json", b"nonce a").await);
    proxy.add(Rule::once(CONFLICT).method("PUT"));
    assert_eq!(store.put_if_absent("commit.json", b"nonce b").await.expect("answered"), Put::Exists);
    assert!(proxy.take_seen().iter().all(|seen| seen.method == "PUT"), "a conflict leaves no doubt");
}

#[tokio::test]
async fn a_conflict_that_never_ends_is_an_error_that_says_so() {
    let (proxy, store, direct) = behind_proxy().await;
    proxy.add(Rule::always(CONFLICT).method("PUT"));
    let error = store.put_if_absent("commit.json", b"nonce a").await.expect_err("it never ends");
    let text = cause(&error).to_string();
    assert_eq!(text, "PutObject met another write of the same object each of 8 times (HTTP 409): try again later");
    assert_eq!(direct.get("commit.json").await.expect("read"), None);
}

#[tokio::test]
async fn a_busy_service_and_broken_connections_are_tried_again() {
    let (proxy, store, _) = behind_proxy().await;
    for fault in [BUSY, Fault::Reset, Fault::Slow(Duration::from_millis(50))] {
        proxy.clear();
        let key = harness::unique("object");
        proxy.add(Rule::once(fault).method("PUT"));
        proxy.add(Rule::once(fault).method("GET"));
        created(store.put_if_absent(&key, b"content").await);
        let there = store.get(&key).await.expect("read").expect("there");
        assert_eq!(there.bytes, b"content", "{fault:?}");
    }
}

#[tokio::test]
async fn an_object_that_breaks_off_is_read_again() {
    let (proxy, store, _) = behind_proxy().await;
    let content = vec![7; 100_000];
    created(store.put_if_absent("large", &content).await);
    proxy.add(Rule::once(Fault::CutResponse(50_000)).method("GET"));
    assert_eq!(store.get("large").await.expect("read").expect("there").bytes, content);
}

#[tokio::test]
async fn a_service_that_stays_busy_is_an_error_that_names_it() {
    let (proxy, store, _) = behind_proxy().await;
    proxy.add(Rule::always(BUSY));
    let error = store.get("anything").await.expect_err("it stays busy");
    assert!(cause(&error).is_throttling());
    assert_eq!(error.to_string(), "the store failed to answer for object anything");
    assert_eq!(
        cause(&error).to_string(),
        "GetObject was refused: SlowDown: a fault of the test (HTTP 503, request fault)"
    );
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_an_error_and_no_lack_of_objects() {
    let emulator = shared_ministack();
    let store = S3Store::new(&harness::clients(emulator).await, Place::new("no-such-bucket", ""));
    for error in [
        store.get("object").await.expect_err("no bucket"),
        store.put_if_match("object", b"x", &Etag::new("e")).await.expect_err("no bucket"),
        store.list("").await.expect_err("no bucket"),
    ] {
        assert!(cause(&error).to_string().contains("NoSuchBucket"), "{}", cause(&error));
    }
}

#[tokio::test]
async fn a_message_whose_response_was_lost_is_sent_again() {
    let emulator = shared_ministack();
    let proxy = FaultProxy::start(emulator);
    let name = harness::unique("lost");
    harness::queue(emulator, &name).await;
    let queue = SqsQueue::new(&harness::through(&proxy, emulator).await).waiting(Duration::ZERO);
    proxy.add(Rule::once(Fault::LoseResponse).containing("SendMessage"));
    queue.send(&name, "body", Duration::ZERO).await.expect("sent");
    let delivery = queue.receive(&name, Duration::from_secs(30)).await.expect("received").expect("there");
    assert_eq!(delivery.body, "body");
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_named() {
    let queue = SqsQueue::new(&harness::clients(shared_ministack()).await).waiting(Duration::ZERO);
    let error = queue.send("no-such-queue", "body", Duration::ZERO).await.expect_err("no queue");
    assert_eq!(error.to_string(), "queue no-such-queue failed to send a message");
    assert!(error.source().expect("a cause").to_string().contains("GetQueueUrl was refused"));
}
