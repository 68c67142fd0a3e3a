//! What an attempt is given.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use liminal_schemas::keys;
use liminal_schemas::step::FailureClass;

use crate::harness::Place;
use crate::harness::Step;
use crate::harness::name;

#[tokio::test]
async fn files_and_directories_come_back_as_they_were() {
    let place = Place::new();
    let make = "mkdir -p out/d/sub; echo a > out/d/a; echo '#!/bin/sh\necho tool' > out/d/sub/t; chmod +x out/d/sub/t; echo f > out/f";
    let (made, _) = place.succeed(&Step::sh(make).output("d", "d/").output("f", "f")).await;
    let script = "cat {{ inputs.d }}/a {{ inputs.f }}; {{ inputs.d }}/sub/t; cat $LIMINAL_INPUT_F";
    let step = Step::sh(script).input("d", made[&name("d")].clone()).input("f", made[&name("f")].clone());
    place.succeed(&step).await;
    assert_eq!(place.log(), b"a\nf\ntool\nf\n");
}

#[tokio::test]
async fn a_large_file_is_linked_and_can_not_be_written_to() {
    let place = Place::new();
    let artifact = place.put_artifact(&vec![b'x'; 2 << 20]);
    let object = place.object(&keys::artifact(&artifact.digest));
    let step = Step::sh("stat -c %h {{ inputs.data }}; echo y >> {{ inputs.data }}; exit 1").input("data", artifact);
    let failure = place.fail(&step).await;
    assert!(failure.detail.starts_with("2\n"), "{}", failure.detail);
    assert_eq!(fs::metadata(object).expect("an object").size(), 2 << 20);
}

#[tokio::test]
async fn a_corrupt_object_is_not_loaded() {
    let place = Place::new();
    for size in [10, 2 << 20] {
        let artifact = place.put_artifact(&vec![b'x'; size]);
        fs::write(place.object(&keys::artifact(&artifact.digest)), vec![b'y'; size]).expect("written");
        let failure = place.fail(&Step::sh("echo ran").input("data", artifact.clone())).await;
        assert_eq!(failure.class, FailureClass::Poison);
        let key = keys::artifact(&artifact.digest);
        let wanted = format!("object {key} is corrupt: expected {}, found sha256:", artifact.digest);
        assert!(failure.message.starts_with(&wanted), "{}", failure.message);
        assert!(!place.work(1).with_file_name("train.1.in").join("data").exists());
    }
}

#[tokio::test]
async fn an_object_that_is_lost_is_named() {
    let place = Place::new();
    let artifact = place.put_artifact(b"x");
    fs::remove_file(place.object(&keys::artifact(&artifact.digest))).expect("removed");
    let failure = place.fail(&Step::sh("true").input("data", artifact)).await;
    assert_eq!(failure.class, FailureClass::Poison);
    assert!(failure.message.ends_with(" is not in the store"), "{}", failure.message);
}
