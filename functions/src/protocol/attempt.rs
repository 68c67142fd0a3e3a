//! Whether, when and how often a step is tried.

use std::time::Duration;

use liminal_schemas::run::AttemptFailure;
use liminal_schemas::run::AttemptRecord;
use liminal_schemas::run::Failure;
use liminal_schemas::step::FailureClass;
use liminal_schemas::step::Retries;
use liminal_schemas::time::UtcTime;

use super::planted::Bug;
use super::planted::is_planted;

/// How many failures of the platform a step survives: enough for a bad hour, few enough that what kills its machine every
/// time comes to an end.
pub const PLATFORM_RETRIES: u32 = 5;

/// The pause after the first failure of the platform; it doubles with each further one.
const PLATFORM_BACKOFF: Duration = Duration::from_secs(1);

/// The longest pause between two attempts: the longest delay that SQS takes.
pub const MAX_PAUSE: Duration = Duration::from_secs(15 * 60);

/// How long after its deadline an attempt is left alone: time to be stopped, and for clocks that differ.
pub const LEASE_MARGIN: Duration = Duration::from_secs(60);

/// All that is known of the attempts at a step.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The attempts, by number.
    pub attempts: Vec<AttemptRecord>,
    /// How those came out that failed.
    pub failures: Vec<AttemptFailure>,
}

/// What is to be done about a step that is ready.
#[derive(Clone, Debug, PartialEq)]
pub enum AttemptDecision {
    /// An attempt opens.
    Open {
        /// Its number.
        attempt: u32,
        /// Earlier attempts that ended without a word.
        lost: Vec<u32>,
    },
    /// Somebody is at it, or the pause before the next attempt is not over.
    Wait {
        /// Until when.
        until: UtcTime,
    },
    /// No attempt is left.
    GiveUp {
        /// Why.
        failure: Failure,
        /// The last attempt.
        attempt: u32,
    },
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// A further attempt, after a pause.
    After(Duration),
    /// None.
    Never,
}

/// Decides whether a further attempt opens.
///
/// `is_dead` knows the workers that certainly do nothing any more; the attempts of all others are left alone until their
/// lease ends.
pub fn decide(
    retries: &Retries,
    history: &History,
    now: UtcTime,
    is_dead: impl Fn(&AttemptRecord) -> bool,
) -> AttemptDecision {
    let Some(last) = history.attempts.iter().max_by_key(|record| record.attempt) else {
        return AttemptDecision::Open { attempt: 1, lost: Vec::new() };
    };
    let failed = |attempt: u32| history.failures.iter().find(|failure| failure.attempt == attempt);
    let lost: Vec<u32> =
        history.attempts.iter().map(|record| record.attempt).filter(|attempt| failed(*attempt).is_none()).collect();
    let open = AttemptDecision::Open { attempt: last.attempt.saturating_add(1), lost: lost.clone() };
    match failed(last.attempt) {
        Some(failure) => {
            if failure.failure.class == FailureClass::Cancelled {
                return open;
            }
            match retry(retries, history, &failure.failure, 1.0) {
                Retry::Never => AttemptDecision::GiveUp { failure: failure.failure.clone(), attempt: last.attempt },
                Retry::After(pause) => {
                    let until = plus(failure.ended_at, pause);
                    if now < until { AttemptDecision::Wait { until } } else { open }
                }
            }
        }
        None if now < last.lease_until && !is_dead(last) && !is_planted(Bug::LeasesDoNotCount) => {
            AttemptDecision::Wait { until: last.lease_until }
        }
        None => {
            let failure = lost_worker();
            match retry(retries, history, &failure, 1.0) {
                Retry::Never => AttemptDecision::GiveUp { failure, attempt: last.attempt },
                Retry::After(_) => open,
            }
        }
    }
}

/// Decides what follows a failure that `history` already holds. `fraction` of the part of the pause that is random is left
/// out: from 0, the longest pause, to 1, the shortest.
///
/// The user's own failures count against `retries.max`; those of the platform have a budget of their own, since they say
/// nothing about the step; an attempt that was interrupted from outside counts for nothing.
pub fn retry(retries: &Retries, history: &History, failure: &Failure, fraction: f64) -> Retry {
    let by = |wanted: fn(FailureClass) -> bool| {
        let count = history.failures.iter().filter(|failure| wanted(failure.failure.class)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    };
    match failure.class {
        FailureClass::User | FailureClass::Timeout => {
            let count = by(is_users);
            if !retries.on.contains(&failure.class) || count > retries.max {
                return Retry::Never;
            }
            let backoff = Duration::try_from_secs_f64(retries.backoff_seconds).unwrap_or(MAX_PAUSE);
            Retry::After(pause(backoff, count, retries.jitter, fraction))
        }
        FailureClass::Infrastructure | FailureClass::Throttled => {
            let lost = history.attempts.len().saturating_sub(history.failures.len());
            let count = by(is_platforms).saturating_add(u32::try_from(lost).unwrap_or(u32::MAX));
            if count > PLATFORM_RETRIES {
                return Retry::Never;
            }
            Retry::After(pause(PLATFORM_BACKOFF, count, retries.jitter, fraction))
        }
        FailureClass::Poison | FailureClass::Cancelled => Retry::Never,
    }
}

const fn is_users(class: FailureClass) -> bool {
    matches!(class, FailureClass::User | FailureClass::Timeout)
}

const fn is_platforms(class: FailureClass) -> bool {
    matches!(class, FailureClass::Infrastructure | FailureClass::Throttled)
}

/// The pause after the `count`-th failure of its kind.
fn pause(backoff: Duration, count: u32, jitter: f64, fraction: f64) -> Duration {
    let doubled = backoff.saturating_mul(1_u32.checked_shl(count.saturating_sub(1)).unwrap_or(u32::MAX));
    let whole = doubled.min(MAX_PAUSE);
    whole.mul_f64(1.0 - share(jitter) * share(fraction))
}

/// A number from 0 to 1, whatever a record says.
const fn share(number: f64) -> f64 {
    if number.is_nan() { 0.0 } else { number.clamp(0.0, 1.0) }
}

/// When an attempt that opens now is left alone no longer.
pub fn lease_until(now: UtcTime, timeout: Duration) -> UtcTime {
    plus(now, timeout.saturating_add(LEASE_MARGIN))
}

/// The failure of an attempt whose worker ended without a word.
pub fn lost_worker() -> Failure {
    failure(FailureClass::Infrastructure, "the process that ran the attempt ended without a word")
}

/// A failure that is told in one sentence.
pub fn failure(class: FailureClass, message: impl Into<String>) -> Failure {
    Failure { class, message: message.into(), exit_code: None, signal: None, detail: String::new() }
}

fn plus(time: UtcTime, duration: Duration) -> UtcTime {
    time.plus_millis(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}
