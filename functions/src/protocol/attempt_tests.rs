use std::collections::BTreeSet;
use std::time::Duration;

use liminal_schemas::name::RunId;
use liminal_schemas::run::AttemptFailure;
use liminal_schemas::run::AttemptRecord;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::step::FailureClass;
use liminal_schemas::step::Retries;
use liminal_schemas::time::UtcTime;
use proptest::prelude::prop;
use proptest::prelude::proptest;
use proptest::prop_assert;

use super::attempt::AttemptDecision;
use super::attempt::History;
use super::attempt::MAX_PAUSE;
use super::attempt::PLATFORM_RETRIES;
use super::attempt::Retry;
use super::attempt::decide;
use super::attempt::failure;
use super::attempt::retry;
use crate::simulated::pipeline::step_name;

const LEASE_END: i64 = 100_000;

fn opened(attempt: u32) -> AttemptRecord {
    AttemptRecord {
        item: None,
        schema: RUN_SCHEMA,
        run: RunId::new("20261124-000000-test").expect("valid"),
        step: step_name("step"),
        attempt,
        nonce: format!("nonce-{attempt}"),
        worker: "worker".to_owned(),
        started_at: UtcTime::from_millis(0),
        lease_until: UtcTime::from_millis(LEASE_END),
    }
}

fn failed(attempt: u32, class: FailureClass) -> AttemptFailure {
    let ended_at = UtcTime::from_millis(50_000);
    AttemptFailure { schema: RUN_SCHEMA, attempt, failure: failure(class, "it failed"), ended_at }
}

/// The attempts of these classes, all of which failed, and then `lost` that ended without a word.
fn history(classes: &[FailureClass], lost: u32) -> History {
    let count = u32::try_from(classes.len()).expect("few");
    History {
        attempts: (1..=count + lost).map(opened).collect(),
        failures: (1..).zip(classes).map(|(attempt, class)| failed(attempt, *class)).collect(),
    }
}

fn decided(retries: &Retries, history: &History, now: i64) -> AttemptDecision {
    decide(retries, history, UtcTime::from_millis(now), |_| false)
}

fn retries(max: u32) -> Retries {
    Retries { max, ..Retries::default() }
}

use FailureClass::Cancelled;
use FailureClass::Infrastructure;
use FailureClass::Poison;
use FailureClass::Throttled;
use FailureClass::Timeout;
use FailureClass::User;

#[test]
fn the_first_attempt_opens_at_once_and_is_left_alone_while_its_lease_lasts() {
    let none = History::default();
    assert_eq!(decided(&retries(0), &none, 0), AttemptDecision::Open { attempt: 1, lost: Vec::new() });
    let one = history(&[], 1);
    let until = UtcTime::from_millis(LEASE_END);
    assert_eq!(decided(&retries(0), &one, LEASE_END - 1), AttemptDecision::Wait { until });
    let next = AttemptDecision::Open { attempt: 2, lost: vec![1] };
    assert_eq!(decided(&retries(0), &one, LEASE_END), next);
    assert_eq!(decide(&retries(0), &one, UtcTime::from_millis(1), |record| record.worker == "worker"), next);
}

#[test]
fn a_retry_waits_for_its_pause_even_if_a_message_comes_early() {
    let history = history(&[User], 0);
    let retries = Retries { backoff_seconds: 10.0, jitter: 0.5, ..retries(1) };
    let until = UtcTime::from_millis(55_000);
    assert_eq!(decided(&retries, &history, 54_999), AttemptDecision::Wait { until });
    assert_eq!(decided(&retries, &history, 55_000), AttemptDecision::Open { attempt: 2, lost: Vec::new() });
}

#[test]
fn the_users_failures_count_against_the_declared_retries_alone() {
    let given_up = |retries: &Retries, classes: &[FailureClass]| {
        matches!(decided(retries, &history(classes, 0), LEASE_END * 1000), AttemptDecision::GiveUp { .. })
    };
    assert!(given_up(&retries(0), &[User]));
    assert!(!given_up(&retries(1), &[User]));
    assert!(given_up(&retries(1), &[User, Timeout]));
    assert!(!given_up(&retries(1), &[Infrastructure, Throttled, Infrastructure, User]));
    let user_only = Retries { on: BTreeSet::from([User]), ..retries(9) };
    assert!(given_up(&user_only, &[Timeout]));
    assert!(given_up(&retries(9), &[Poison]));
    assert!(!given_up(&retries(0), &[Cancelled]), "an attempt that was interrupted says nothing about the step");
}

#[test]
fn the_platforms_failures_have_a_budget_of_their_own_in_which_lost_attempts_count() {
    let budget = usize::try_from(PLATFORM_RETRIES).expect("small");
    let given_up = |classes: usize, lost: u32| {
        let history = history(&vec![Infrastructure; classes], lost);
        matches!(decided(&retries(0), &history, LEASE_END * 1000), AttemptDecision::GiveUp { .. })
    };
    assert!(!given_up(budget, 0));
    assert!(given_up(budget + 1, 0));
    assert!(!given_up(0, PLATFORM_RETRIES));
    assert!(given_up(0, PLATFORM_RETRIES + 1));
    assert!(given_up(budget, 1));
}

#[test]
fn pauses_double_up_to_a_limit() {
    let retries = Retries { max: 100, backoff_seconds: 2.0, jitter: 0.5, ..Retries::default() };
    let pause = |count: usize, fraction| {
        let history = history(&vec![User; count], 0);
        match retry(&retries, &history, &failure(User, "it failed"), fraction) {
            Retry::After(pause) => pause.as_secs_f64(),
            Retry::Never => f64::NAN,
        }
    };
    assert_eq!([pause(1, 0.0), pause(2, 0.0), pause(3, 0.0)], [2.0, 4.0, 8.0]);
    assert_eq!([pause(1, 1.0), pause(2, 0.5)], [1.0, 3.0]);
    assert_eq!(pause(80, 0.0), MAX_PAUSE.as_secs_f64());
}

proptest! {
    #[test]
    fn no_declared_pause_is_too_long_or_breaks_anything(
        backoff in prop::num::f64::ANY,
        jitter in prop::num::f64::ANY,
        fraction in prop::num::f64::ANY,
        count in 1..200_usize,
    ) {
        let retries = Retries { max: 1000, backoff_seconds: backoff, jitter, ..Retries::default() };
        let history = history(&vec![User; count], 0);
        let next = retry(&retries, &history, &failure(User, "it failed"), fraction);
        let Retry::After(pause) = next else { panic!("retries are left") };
        prop_assert!(pause <= MAX_PAUSE);
        prop_assert!(pause >= Duration::ZERO);
    }
}
