//! What is found in the environment: in processes of their own, since that of a test process is shared.

use std::error::Error as _;
use std::process::Command;

use liminal_emulators::shared_ministack;
use liminal_functions::aws::clients::Clients;
use liminal_functions::aws::clients::Connection;
use liminal_functions::aws::error::AwsError;
use liminal_functions::aws::place::Place;
use liminal_functions::aws::store::S3Store;
use liminal_functions::ports::ObjectStore as _;

use crate::harness;

/// Names the bucket to a process of a test.
const BUCKET: &str = "TEST_BUCKET";

/// Runs another test of this file in a process of its own.
fn run(test: &str, bucket: &str, env: Vec<(String, String)>) {
    let mut command = Command::new(std::env::current_exe().expect("the test binary is known"));
    command.args(["--exact", &format!("environment::{test}"), "--ignored"]).env_clear();
    let output = command.env(BUCKET, bucket).envs(env).output().expect("the process is started");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// A store with all that is left open found in the environment.
async fn store() -> S3Store {
    let bucket = std::env::var_os(BUCKET).expect("the test says which");
    let place = Place::new(bucket.to_string_lossy(), "shop/dev");
    S3Store::new(&Clients::connect(Connection::default()).await, place)
}

#[tokio::test]
async fn the_variables_of_the_sdk_are_enough() {
    let emulator = shared_ministack();
    let place = harness::place(emulator).await;
    run("child_that_writes", place.bucket(), emulator.env());
    let store = S3Store::new(&harness::clients(emulator).await, place);
    assert!(store.exists("from/the/environment").await.expect("looked"));
}

#[tokio::test]
#[ignore = "run by the test above, in a process of its own"]
async fn child_that_writes() {
    store().await.put_if_absent("from/the/environment", b"x").await.expect("written");
}

#[tokio::test]
async fn a_lack_of_credentials_is_told_from_a_lack_of_network() {
    let mut env = shared_ministack().env();
    env.retain(|(name, _)| !name.contains("KEY"));
    run("child_without_credentials", "any-bucket", env);
}

#[tokio::test]
#[ignore = "run by the test above, in a process of its own"]
async fn child_without_credentials() {
    let error = store().await.get("object").await.expect_err("nobody to ask as");
    let cause = error.source().and_then(|cause| cause.downcast_ref::<AwsError>()).expect("a service's error");
    assert!(cause.is_about_credentials(), "{cause:?}");
    assert_eq!(cause.to_string(), "no usable AWS credentials were found");
}
