//! Artifacts to S3 and back.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use liminal_emulators::Emulator;
use liminal_emulators::Fault;
use liminal_emulators::FaultProxy;
use liminal_emulators::Rule;
use liminal_emulators::shared_ministack;
use liminal_functions::attempt::outputs::FoundOutput;
use liminal_functions::attempt::outputs::hash_file;
use liminal_functions::aws::artifacts::S3Artifacts;
use liminal_functions::aws::place::Place;
use liminal_functions::aws::store::S3Store;
use liminal_functions::aws::transfer::Addressed;
use liminal_functions::aws::transfer::Transfer;
use liminal_functions::aws::transfer::TransferError;
use liminal_functions::aws::transfer::Uploaded;
use liminal_functions::ports::ObjectStore as _;
use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::DirectoryListing;
use liminal_schemas::run::ListedFile;
use liminal_schemas::step::ArtifactKind;
use liminal_schemas::step::FailureClass;

use crate::harness;

/// Content that no part of equals another, and that compresses badly.
fn content(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_add(bytes as u64);
    let mut content = Vec::with_capacity(bytes + 8);
    while content.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend_from_slice(&state.to_le_bytes());
    }
    content.truncate(bytes);
    content
}

fn file(folder: &Path, content: &[u8]) -> FoundOutput {
    let path = folder.join("output");
    fs::write(&path, content).expect("written");
    let (digest, bytes) = hash_file(&path).expect("hashed");
    let artifact = Artifact { digest, kind: ArtifactKind::File, bytes };
    FoundOutput { artifact, files: vec![(path, digest, bytes)], listing: None }
}

fn directory(folder: &Path, files: &[(&str, Vec<u8>, bool)]) -> FoundOutput {
    let mut listing = DirectoryListing::default();
    let mut found = Vec::new();
    for (below, content, executable) in files {
        let path = folder.join(below);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(&path, content).expect("written");
        let (digest, bytes) = (Digest::of_bytes(content), content.len() as u64);
        listing.files.insert((*below).to_owned(), ListedFile { digest, bytes, executable: *executable });
        found.push((path, digest, bytes));
    }
    let bytes = found.iter().map(|(_, _, bytes)| bytes).sum();
    let artifact = Artifact { digest: Digest::of_document(&listing), kind: ArtifactKind::Directory, bytes };
    FoundOutput { artifact, files: found, listing: Some(listing) }
}

async fn artifacts(emulator: &Emulator) -> (S3Artifacts, Place) {
    let place = harness::place(emulator).await;
    (S3Artifacts::new(&harness::clients(emulator).await, place.clone()), place)
}

async fn round_trip(emulator: &Emulator, sizes: &[usize]) {
    let (artifacts, _) = artifacts(emulator).await;
    for &size in sizes {
        let folder = tempfile::tempdir().expect("a folder");
        let content = content(size);
        let output = file(folder.path(), &content);
        artifacts.keep(&output).await.unwrap_or_else(|failure| panic!("{size} bytes: {failure:?}"));
        let to = folder.path().join("input");
        artifacts.fetch(&output.artifact, &to).await.unwrap_or_else(|failure| panic!("{size} bytes: {failure:?}"));
        assert!(fs::read(&to).expect("read") == content, "{size} bytes came back different");
        assert_eq!(fs::metadata(&to).expect("there").permissions().mode() & 0o777, 0o444);
    }
}

#[tokio::test]
async fn files_of_all_sizes_come_back_as_they_were() {
    let sizes = [0, 1, 300_000, (16 << 20) - 1, 16 << 20, (16 << 20) + 1, 40 << 20];
    round_trip(shared_ministack(), &sizes).await;
}

#[tokio::test]
async fn another_s3_takes_the_same_requests() {
    round_trip(harness::shared_moto(), &[0, 1, 300_000, (16 << 20) + 1]).await;
}

#[tokio::test]
async fn a_directory_of_many_files_comes_back_as_it_was() {
    let (artifacts, _) = artifacts(shared_ministack()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let names: Vec<String> = (0..500).map(|number| format!("{}/{number}.bin", number % 7)).collect();
    let mut files: Vec<(&str, Vec<u8>, bool)> =
        names.iter().enumerate().map(|(number, name)| (name.as_str(), content(number * 3), false)).collect();
    files.push(("bin/tool", content(10), true));
    files.push(("large", content(17 << 20), false));
    let output = directory(&folder.path().join("output"), &files);
    artifacts.keep(&output).await.expect("kept");
    let to = folder.path().join("copy");
    artifacts.copy_out(&output.artifact, &to).await.expect("copied");
    for (below, content, executable) in &files {
        let path = to.join(below);
        assert!(fs::read(&path).expect("read") == *content, "{below} came back different");
        let mode = fs::metadata(&path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode, if *executable { 0o755 } else { 0o644 }, "{below}");
    }
}

#[tokio::test]
async fn what_is_there_is_not_sent_again() {
    let emulator = shared_ministack();
    let proxy = FaultProxy::start(emulator);
    let place = harness::place(emulator).await;
    let transfer = Transfer::new(&harness::through(&proxy, emulator).await, place);
    let folder = tempfile::tempdir().expect("a folder");
    for size in [1_000, 300_000, 17 << 20] {
        let output = file(folder.path(), &content(size));
        let (path, digest, bytes) = &output.files[0];
        let object = Addressed::artifact(*digest, *bytes);
        assert_eq!(transfer.upload(path, &object).await.expect("sent"), Uploaded::Sent);
        proxy.take_seen();
        assert_eq!(transfer.upload(path, &object).await.expect("there"), Uploaded::WasThere);
        let sent: usize = proxy.take_seen().iter().map(|seen| seen.body_bytes).sum();
        assert!(sent <= 1_000, "{size} bytes: {sent} were sent again");
    }
}

#[tokio::test]
async fn a_corrupt_object_is_named_with_both_digests_and_leaves_no_file() {
    let emulator = shared_ministack();
    let (artifacts, place) = artifacts(emulator).await;
    let client = harness::s3(emulator);
    for size in [1_000, 17 << 20] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut content = content(size);
        let output = file(folder.path(), &content);
        artifacts.keep(&output).await.expect("kept");
        content[size / 2] ^= 1;
        let longer = [content.as_slice(), b"x"].concat();
        let shorter = &content[..size / 2];
        for damaged in [content.as_slice(), &longer, shorter] {
            let key = keys::artifact(&output.artifact.digest);
            let full = place.key(&key).expect("a key");
            let body = damaged.to_vec().into();
            client.put_object().bucket(place.bucket()).key(full).body(body).send().await.expect("damaged");
            let to = folder.path().join("input");
            let failure = artifacts.fetch(&output.artifact, &to).await.expect_err("corrupt");
            assert_eq!(failure.class, FailureClass::Poison);
            let (expected, found) = (output.artifact.digest, Digest::of_bytes(damaged));
            assert_eq!(failure.message, format!("object {key} is corrupt: expected {expected}, found {found}"));
            assert!(!to.exists());
        }
    }
}

#[tokio::test]
async fn an_artifact_that_is_gone_is_named() {
    let (artifacts, _) = artifacts(shared_ministack()).await;
    let folder = tempfile::tempdir().expect("a folder");
    for (kind, bytes) in [(ArtifactKind::File, 3), (ArtifactKind::File, 20 << 20), (ArtifactKind::Directory, 3)] {
        let artifact = Artifact { digest: Digest::of_bytes(b"never kept"), kind, bytes };
        let failure = artifacts.fetch(&artifact, &folder.path().join("input")).await.expect_err("gone");
        assert_eq!(failure.class, FailureClass::Poison);
        assert_eq!(failure.message, format!("object {} is not in the store", keys::artifact(&artifact.digest)));
    }
}

#[tokio::test]
async fn an_upload_that_ends_half_way_leaves_nothing_that_reads_as_the_object() {
    let emulator = shared_ministack();
    let proxy = FaultProxy::start(emulator);
    let place = harness::place(emulator).await;
    let transfer = Transfer::new(&harness::through(&proxy, emulator).await, place.clone());
    let folder = tempfile::tempdir().expect("a folder");
    let output = file(folder.path(), &content(40 << 20));
    let (path, digest, bytes) = output.files[0].clone();
    let object = Addressed::artifact(digest, bytes);
    let key = object.key.clone();
    let store = S3Store::new(&harness::clients(emulator).await, place);

    // Refused for good at the fourth part.
    let denied = Fault::Answer { status: 403, code: "AccessDenied" };
    proxy.add(Rule::always(denied).containing("partNumber=4"));
    let error = transfer.upload(&path, &object).await.expect_err("refused");
    assert!(matches!(error, TransferError::Service { .. }), "{error:?}");
    assert!(!store.exists(&key).await.expect("looked"));

    // Dropped while the parts are under way.
    proxy.clear();
    proxy.take_seen();
    let upload = tokio::spawn({
        let (transfer, path, object) = (transfer.clone(), path.clone(), object.clone());
        async move { transfer.upload(&path, &object).await }
    });
    while !proxy.take_seen().iter().any(|seen| seen.target.contains("partNumber")) {
        tokio::task::yield_now().await;
    }
    upload.abort();
    assert!(upload.await.is_err_and(|error| error.is_cancelled()));
    assert!(!store.exists(&key).await.expect("looked"));

    // And the next one succeeds.
    assert_eq!(transfer.upload(&path, &object).await.expect("sent"), Uploaded::Sent);
    assert!(store.exists(&key).await.expect("looked"));
}

#[tokio::test]
async fn a_file_that_changed_since_it_was_hashed_becomes_no_object() {
    let emulator = shared_ministack();
    let (place, clients) = (harness::place(emulator).await, harness::clients(emulator).await);
    let (transfer, store) = (Transfer::new(&clients, place.clone()), S3Store::new(&clients, place));
    let folder = tempfile::tempdir().expect("a folder");
    for size in [1_000, 17 << 20] {
        let output = file(folder.path(), &content(size));
        let (path, digest, bytes) = &output.files[0];
        let mut changed = content(size);
        changed[size - 1] ^= 1;
        fs::write(path, &changed).expect("changed");
        let object = Addressed::artifact(*digest, *bytes);
        let error = transfer.upload(path, &object).await.expect_err("changed");
        assert!(matches!(error, TransferError::Changed { .. }), "{error:?}");
        assert!(!store.exists(&object.key).await.expect("looked"));
    }
}

#[tokio::test]
async fn transfers_survive_broken_connections_and_a_busy_service() {
    let emulator = shared_ministack();
    let proxy = FaultProxy::start(emulator);
    let place = harness::place(emulator).await;
    let artifacts = S3Artifacts::new(&harness::through(&proxy, emulator).await, place);
    let folder = tempfile::tempdir().expect("a folder");
    let content = content(40 << 20);
    let output = file(folder.path(), &content);
    proxy.add(Rule::once(Fault::Reset).containing("partNumber=2"));
    proxy.add(Rule::once(Fault::Answer { status: 503, code: "SlowDown" }).containing("partNumber=3"));
    proxy.add(Rule::once(Fault::LoseResponse).containing("partNumber=5"));
    artifacts.keep(&output).await.expect("kept");
    proxy.add(Rule::once(Fault::CutResponse(1 << 20)).method("GET").after(1));
    proxy.add(Rule::once(Fault::Reset).method("GET").after(2));
    let to = folder.path().join("input");
    artifacts.fetch(&output.artifact, &to).await.expect("fetched");
    assert!(fs::read(&to).expect("read") == content);
}
