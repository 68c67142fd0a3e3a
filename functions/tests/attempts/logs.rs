//! What is kept of what a step prints.

use std::fs;

use crate::harness::Place;
use crate::harness::Step;

#[tokio::test]
async fn a_secret_is_not_printed_even_in_two_pieces() {
    let place = Place::new();
    let step = Step::sh("printf 'key: hunter2'; sleep 0.1; echo '-secret.'; echo $TOKEN; exit 1");
    let failure = place.fail(&step.env("TOKEN", "{{ secrets.api_key }}")).await;
    assert!(failure.detail.starts_with("key: ***.\n***\n"), "{}", failure.detail);
    assert_eq!(place.log(), b"key: ***.\n***\n");
}

#[tokio::test]
async fn a_secret_without_a_value_is_named() {
    let place = Place::new();
    let text = place.fail_text(&Step::sh("true").env("TOKEN", "{{ secrets.absent }}")).await;
    insta::assert_snapshot!(text, @r"
    user: secret `absent` has no value: the environment variable ABSENT is not set
    hint: set ABSENT where `liminal` is started
    its work folder is kept: PLACE/state/work/20261124-000000-test/train.1
    ");
}

#[tokio::test]
async fn a_step_that_prints_a_hundred_megabytes_keeps_a_bounded_log() {
    let place = Place::new();
    place.succeed(&Step::sh("echo first; head -c 104857600 /dev/zero | tr '\\0' 'x'; echo; echo last")).await;
    let log = place.log();
    assert!(log.starts_with(b"first\n"));
    assert!(log.ends_with(b"x\nlast\n"));
    assert!((20 << 20..21 << 20).contains(&log.len()), "{}", log.len());
    let note = String::from_utf8_lossy(&log[19 << 20..(19 << 20) + 60]).into_owned();
    assert!(note.starts_with("\n… 83886092 bytes left out …\n"), "{note}");
}

#[tokio::test]
async fn bytes_that_are_no_text_stop_nobody() {
    let place = Place::new();
    let failure = place.fail(&Step::sh(r"printf 'a\377b\n'; exit 1")).await;
    assert!(failure.detail.starts_with("a\u{fffd}b\n"), "{}", failure.detail);
    assert_eq!(place.log(), b"a\xffb\n");
}

#[tokio::test]
async fn a_log_can_be_followed() {
    let place = Place::new();
    let run = place.path().join("state/objects/runs/train/20261124-000000-test/steps/train/attempts/1.log");
    let step = Step::sh("echo hello; sleep 60");
    let text = tokio::select! {
        outcome = place.run(&step) => panic!("{outcome:?}"),
        text = crate::harness::appears(&run) => text,
    };
    assert_eq!(text, "hello\n");
    assert!(fs::exists(run).expect("a log"));
}
