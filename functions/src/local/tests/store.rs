use std::fs;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use crate::conformance;
use crate::local::store::DirectoryStore;
use crate::ports::ObjectStore;
use crate::ports::Put;
use crate::simulated::SimulatedStore;
use crate::simulated::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_directory_is_an_object_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(DirectoryStore::open(folder.path().join("objects")).expect("a store"));
    for prefix in ["suite/", "state/suite/"] {
        conformance::object_store(Arc::clone(&store), prefix).await.expect("all promises are kept");
    }
    let left_over = fs::read_dir(store.temporary_dir()).expect("a folder").count();
    assert_eq!(left_over, 0, "no temporary file is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_simulated_store_is_an_object_store() {
    let store = Arc::new(SimulatedStore::new(World::calm(1), "process"));
    let refused = conformance::object_store(store, "suite/").await;
    refused.expect("all promises are kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_stores_on_one_directory_are_one_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || DirectoryStore::open(folder.path()).expect("a store");
    let (one, two) = (open(), open());
    assert!(matches!(one.put_if_absent("a/b.json", b"1").await.expect("written"), Put::Created(_)));
    assert_eq!(two.put_if_absent("a/b.json", b"2").await.expect("written"), Put::Exists);
    let seen = two.get("a/b.json").await.expect("read").expect("there");
    assert_eq!(seen.bytes, b"1");
}

#[tokio::test]
async fn old_temporary_files_are_removed_when_a_store_is_opened_and_young_ones_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = DirectoryStore::open(folder.path()).expect("a store");
    let (old, young) = (store.temporary_dir().join("put-old"), store.temporary_dir().join("put-young"));
    fs::write(&young, b"half an obj").expect("written");
    let file = File::create(&old).expect("created");
    #[expect(clippy::disallowed_methods, reason = "file times can only be compared with the system's clock")]
    let yesterday = SystemTime::now() - Duration::from_secs(24 * 60 * 60);
    file.set_modified(yesterday).expect("set");
    DirectoryStore::open(folder.path()).expect("a store");
    assert!(!old.exists());
    assert!(young.exists());
}

#[tokio::test]
async fn an_object_where_a_folder_is_needed_is_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = DirectoryStore::open(folder.path()).expect("a store");
    store.put_if_absent("a", b"a file").await.expect("written");
    let error = store.put_if_absent("a/b", b"below it").await.expect_err("no folder");
    insta::assert_snapshot!(error, @"object a/b could not be written");
    assert_eq!(store.get("a/b").await.expect("read"), None);
}
