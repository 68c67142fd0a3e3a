//! What a sweeper does about a step that is ready and not settled.
//!
//! Messages do the work; the sweeper stands in for those that were lost. It can not see whether one was, so it asks how
//! long nothing has happened, and sends another one at times that lie further and further apart.

use std::time::Duration;

use liminal_schemas::run::AttemptRecord;
use liminal_schemas::run::Failure;
use liminal_schemas::step::FailureClass;
use liminal_schemas::step::Retries;
use liminal_schemas::time::UtcTime;

use super::attempt;
use super::attempt::AttemptDecision;
use super::attempt::History;
use super::attempt::MAX_PAUSE;
use super::attempt::Retry;

/// How long a message may be on its way before it is taken for lost. A queue delivers within seconds where workers are free.
pub const PATIENCE: Duration = Duration::from_secs(2 * 60);

/// How long a step waits for a worker before it fails: long enough for a night without quota, and short enough that a step
/// whose workers die before they open an attempt comes to an end.
pub const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// For how long after each time at which a message is due it is sent, if a sweeper comes by. Longer than the minute that
/// lies between two sweeps, so that no time is missed; a message too many does no harm.
const WINDOW: Duration = Duration::from_secs(90);

/// What a sweeper does about a step that is ready.
#[derive(Clone, Debug, PartialEq)]
pub enum Care {
    /// Nothing: somebody is at it, or a message is on its way.
    Leave,
    /// It sends the step's message again.
    Send,
    /// It ends the step.
    GiveUp {
        /// Why.
        failure: Failure,
        /// The last attempt, if there was any.
        attempt: Option<u32>,
    },
}

/// Decides about a step that has been ready since a moment.
pub fn care(
    retries: &Retries,
    history: &History,
    ready_since: UtcTime,
    now: UtcTime,
    is_dead: impl Fn(&AttemptRecord) -> bool,
) -> Care {
    match attempt::decide(retries, history, now, is_dead) {
        AttemptDecision::Wait { .. } => Care::Leave,
        AttemptDecision::GiveUp { failure, attempt } => Care::GiveUp { failure, attempt: Some(attempt) },
        AttemptDecision::Open { .. } => {
            let last = history.attempts.iter().max_by_key(|record| record.attempt);
            let since = silent_since(retries, history, last, ready_since);
            let Ok(silence) = u64::try_from(now.millis().saturating_sub(since.millis())) else { return Care::Leave };
            let silence = Duration::from_millis(silence);
            if silence >= LONGEST_WAIT {
                let hours = LONGEST_WAIT.as_secs() / 3600;
                let message = format!("no worker began the step within {hours} hours, though it was ready");
                let failure = attempt::failure(FailureClass::Infrastructure, message);
                return Care::GiveUp { failure, attempt: last.map(|record| record.attempt) };
            }
            if is_due(silence) { Care::Send } else { Care::Leave }
        }
    }
}

/// Since when a worker should have been at the step.
fn silent_since(retries: &Retries, history: &History, last: Option<&AttemptRecord>, ready_since: UtcTime) -> UtcTime {
    let Some(last) = last else { return plus(ready_since, PATIENCE) };
    let Some(failed) = history.failures.iter().find(|failure| failure.attempt == last.attempt) else {
        return last.lease_until;
    };
    // The message for the next attempt was sent with a delay.
    let delay = match attempt::retry(retries, history, &failed.failure, 0.0) {
        Retry::After(pause) => pause,
        Retry::Never => Duration::ZERO,
    };
    plus(failed.ended_at, delay + PATIENCE)
}

/// Whether a message is due after so much silence: at once, then after ever longer pauses.
fn is_due(silence: Duration) -> bool {
    let (mut due, mut pause) = (Duration::ZERO, PATIENCE);
    while silence >= due + pause {
        due += pause;
        pause = (pause * 2).min(MAX_PAUSE);
    }
    silence < due + WINDOW
}

fn plus(time: UtcTime, duration: Duration) -> UtcTime {
    time.plus_millis(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use liminal_schemas::name::RunId;
    use liminal_schemas::run::AttemptFailure;
    use liminal_schemas::run::RUN_SCHEMA;

    use super::*;
    use crate::protocol::attempt::PLATFORM_RETRIES;
    use crate::protocol::attempt::lost_worker;
    use crate::simulated::pipeline::step_name;

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
            lease_until: UtcTime::from_millis(1_000_000),
        }
    }

    fn lost(attempt: u32) -> AttemptFailure {
        let ended_at = UtcTime::from_millis(1_000_000);
        AttemptFailure { schema: RUN_SCHEMA, attempt, failure: lost_worker(), ended_at }
    }

    /// What is done in each minute of the first two hours, as one letter: `.` for nothing.
    fn minutes(history: &History, from: i64) -> String {
        let letter = |minute: i64| {
            let now = UtcTime::from_millis(from + minute * 60_000);
            match care(&Retries::default(), history, UtcTime::from_millis(0), now, |_| false) {
                Care::Leave => '.',
                Care::Send => 'S',
                Care::GiveUp { .. } => 'X',
            }
        };
        (0..60).map(letter).collect()
    }

    #[test]
    fn a_message_is_sent_again_at_times_that_lie_further_and_further_apart() {
        insta::assert_snapshot!(minutes(&History::default(), 0), @"..SSSS..SS......SS.............SS.............SS............");
    }

    #[test]
    fn a_live_attempt_is_left_alone_and_an_expired_one_is_not() {
        let history = History { attempts: vec![opened(1)], failures: Vec::new() };
        insta::assert_snapshot!(minutes(&history, 1_000_000 - 5 * 60_000), @".....SSSS..SS......SS.............SS.............SS.........");
    }

    #[test]
    fn what_was_lost_too_often_and_what_nobody_begins_comes_to_an_end() {
        let count = PLATFORM_RETRIES + 1;
        let history = History { attempts: (1..=count).map(opened).collect(), failures: (1..count).map(lost).collect() };
        let now = UtcTime::from_millis(1_000_000);
        let expected = Care::GiveUp { failure: lost_worker(), attempt: Some(count) };
        assert_eq!(care(&Retries::default(), &history, UtcTime::from_millis(0), now, |_| false), expected);
        let none = History::default();
        let late = plus(UtcTime::from_millis(0), LONGEST_WAIT + PATIENCE);
        let Care::GiveUp { failure, attempt: None } =
            care(&Retries::default(), &none, UtcTime::from_millis(0), late, |_| false)
        else {
            panic!("it is given up")
        };
        insta::assert_snapshot!(failure.message, @"no worker began the step within 24 hours, though it was ready");
    }

    #[test]
    fn every_sweep_a_minute_apart_meets_every_time_at_which_a_message_is_due() {
        for offset in 0..60 {
            let sent = (0..24 * 60).filter(|minute| is_due(Duration::from_secs(offset + minute * 60))).count();
            assert!((90..=240).contains(&sent), "{sent} messages were sent");
            let first = (0..3).any(|minute| is_due(Duration::from_secs(offset + minute * 60)));
            assert!(first, "a message is sent within the first minutes");
        }
    }
}
