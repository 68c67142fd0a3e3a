//! What every object store and queue promises, kept by S3 and SQS as two emulators have them.

use std::sync::Arc;
use std::time::Duration;

use liminal_emulators::Emulator;
use liminal_emulators::shared_ministack;
use liminal_functions::aws::queue::SqsQueue;
use liminal_functions::aws::store::S3Store;
use liminal_functions::clock::SystemClock;
use liminal_functions::conformance;
use liminal_functions::conformance::QueueTraits;
use liminal_functions::ports::ObjectStore as _;
use liminal_functions::ports::Put;
use tokio::task::JoinSet;

use crate::harness;

async fn store(emulator: &Emulator) -> S3Store {
    S3Store::new(&harness::clients(emulator).await, harness::place(emulator).await)
}

async fn check_store(emulator: &Emulator) {
    let store = Arc::new(store(emulator).await);
    conformance::object_store(store, "suite/").await.expect("all promises are kept");
}

async fn check_queue(emulator: &Emulator, voids_receipts: bool) {
    let prefix = harness::unique("suite");
    for name in ["first", "second"] {
        harness::queue(emulator, &format!("{prefix}{name}")).await;
    }
    let queue = SqsQueue::new(&harness::clients(emulator).await).waiting(Duration::ZERO);
    let traits = QueueTraits { resolution: Duration::from_secs(1), voids_receipts };
    conformance::queue(&queue, &SystemClock, &prefix, traits).await.expect("all promises are kept");
}

#[tokio::test]
async fn ministacks_s3_is_an_object_store() {
    check_store(shared_ministack()).await;
}

#[tokio::test]
async fn motos_s3_is_an_object_store() {
    check_store(harness::shared_moto()).await;
}

#[tokio::test]
async fn ministacks_sqs_is_a_queue() {
    check_queue(shared_ministack(), true).await;
}

#[tokio::test]
async fn motos_sqs_is_a_queue() {
    check_queue(harness::shared_moto(), false).await;
}

#[tokio::test]
async fn of_sixteen_who_create_an_object_one_succeeds() {
    for emulator in [shared_ministack(), harness::shared_moto()] {
        let store = store(emulator).await;
        let mut rivals = JoinSet::new();
        for rival in 0..16 {
            let store = store.clone();
            rivals.spawn(async move { store.put_if_absent("race.json", format!("{rival}").as_bytes()).await });
        }
        let outcomes = rivals.join_all().await;
        let created = outcomes.into_iter().filter(|outcome| matches!(outcome, Ok(Put::Created(_)))).count();
        assert_eq!(created, 1, "{}", emulator.endpoint());
    }
}

#[tokio::test]
async fn more_objects_than_a_page_are_listed_in_order() {
    let store = store(shared_ministack()).await;
    let mut writes = JoinSet::new();
    for number in 0..1_100 {
        let store = store.clone();
        writes.spawn(async move { store.put_if_absent(&format!("many/{number:04}.json"), b"{}").await });
        if writes.len() >= 32 {
            writes.join_next().await.expect("one is under way").expect("it ends").expect("it is written");
        }
    }
    writes.join_all().await.into_iter().for_each(|put| drop(put.expect("it is written")));
    let keys = store.list("many/").await.expect("listed");
    let expected: Vec<String> = (0..1_100).map(|number| format!("many/{number:04}.json")).collect();
    assert!(keys == expected, "{} keys, from {:?} to {:?}", keys.len(), keys.first(), keys.last());
}

#[tokio::test]
async fn folders_are_listed_without_what_is_in_them() {
    let store = store(shared_ministack()).await;
    for key in ["runs/a/1/run.json", "runs/a/2/run.json", "runs/b/run.json", "runs/plain.json"] {
        store.put_if_absent(key, b"{}").await.expect("written");
    }
    assert_eq!(store.list_folders("runs/").await.expect("listed"), ["a", "b"]);
    assert_eq!(store.list_folders("runs/a/").await.expect("listed"), ["1", "2"]);
    assert!(store.list_folders("runs/none/").await.expect("listed").is_empty());
}
