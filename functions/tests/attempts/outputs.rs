//! What an attempt leaves.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::run::DirectoryListing;

use crate::harness::Place;
use crate::harness::Step;
use crate::harness::name;

#[tokio::test]
async fn files_and_directories_become_artifacts() {
    let place = Place::new();
    let script = "echo data > {{ outputs.raw }}; mkdir -p out/shards/deep; echo one > out/shards/1; \
                  echo two > out/shards/deep/2; chmod 755 out/shards/deep/2; echo '{\"auc\": 0.75}' > out/metrics.json";
    let step =
        Step::sh(script).output("raw", "sets/raw.csv").output("shards", "shards/").output("metrics", "metrics.json");
    let (outputs, metrics) = place.succeed(&step).await;
    assert_eq!(metrics.get("auc"), Some(&0.75));
    let raw = &outputs[&name("raw")];
    assert_eq!((raw.digest, raw.bytes), (Digest::of_bytes(b"data\n"), 5));
    let object = place.object(&keys::artifact(&raw.digest));
    assert_eq!(fs::read(&object).expect("an object"), b"data\n");
    assert_eq!(fs::metadata(object).expect("an object").mode() & 0o777, 0o444);
    let shards = &outputs[&name("shards")];
    let listing = fs::read(place.object(&keys::artifact(&shards.digest))).expect("a listing");
    let listing: DirectoryListing = serde_json::from_slice(&listing).expect("a listing");
    assert_eq!(Digest::of_document(&listing), shards.digest);
    let files: Vec<_> = listing.files.iter().map(|(path, file)| (path.as_str(), file.bytes, file.executable)).collect();
    assert_eq!(files, [("1", 4, false), ("deep/2", 4, true)]);
}

#[tokio::test]
async fn an_output_that_is_missing_is_named_with_what_was_written() {
    let place = Place::new();
    let step =
        Step::sh("echo x > out/model.pkl; mkdir out/logs").output("model", "model.joblib").output("shards", "shards/");
    insta::assert_snapshot!(place.fail_text(&step).await, @r"
    user: the step did not write output `model` (expected a file at out/model.joblib) and output `shards` (expected a directory at out/shards); it wrote out/logs/, out/model.pkl
    its work folder is kept: PLACE/state/work/20261124-000000-test/train.1
    ");
}

#[tokio::test]
async fn links_and_special_files_are_refused() {
    let place = Place::new();
    let refused = async |script: &str, path: &str| place.fail(&Step::sh(script).output("model", path)).await.message;
    let link = refused("ln -s /etc/passwd out/model", "model").await;
    insta::assert_snapshot!(link, @"output `model`: out/model is a symbolic link, and links are not followed: write a file or directory there");
    let through_link = refused("rmdir out/sub; ln -s /etc out/sub", "sub/passwd").await;
    insta::assert_snapshot!(through_link, @"output `model`: out/sub is a symbolic link, and links are not followed: write a file or directory there");
    let no_out = refused("rmdir out; ln -s /etc out", "passwd").await;
    insta::assert_snapshot!(no_out, @"output `model`: out/ is a symbolic link, and links are not followed: write a file or directory there");
    let pipe = refused("mkfifo out/model", "model").await;
    insta::assert_snapshot!(pipe, @"output `model`: out/model is neither a file nor a directory");
    let folder = refused("mkdir out/model", "model").await;
    insta::assert_snapshot!(folder, @"output `model`: out/model is a directory, but a file is declared: end its path with `/` to declare a directory");
    let inside = refused("mkdir out/model; ln -s /etc/passwd out/model/p", "model/")
        .await
        .replace(place.path().to_str().expect("UTF-8"), "PLACE");
    insta::assert_snapshot!(inside, @"output `model` holds PLACE/state/work/20261124-000000-test/train.1/out/model/p, a symbolic link: links are not followed");
}

#[tokio::test]
async fn metrics_that_are_no_numbers_are_refused() {
    let place = Place::new();
    let step = Step::sh("echo '{\"auc\": \"high\"}' > out/metrics.json").output("metrics", "metrics.json");
    insta::assert_snapshot!(place.fail(&step).await.message, @"the metrics file out/metrics.json holds a text under `auc`, but metrics are a flat object of numbers");
}

#[tokio::test]
async fn a_broken_object_of_another_size_is_replaced() {
    let place = Place::new();
    let artifact = place.put_artifact(b"data\n");
    fs::write(place.object(&keys::artifact(&artifact.digest)), b"dat").expect("written");
    place.succeed(&Step::sh("echo data > out/raw").output("raw", "raw")).await;
    assert_eq!(fs::read(place.object(&keys::artifact(&artifact.digest))).expect("an object"), b"data\n");
}
