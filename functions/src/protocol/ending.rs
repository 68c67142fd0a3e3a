//! Runs that end before their steps are done: somebody cancelled them, or their deadline passed.
//!
//! Only the steps that do not stand under `finally:` are ended then. Those that do follow as they follow any end of the
//! others, so that what is to be cleaned up is.

use liminal_schemas::run::Failure;
use liminal_schemas::run::SkipReason;
use liminal_schemas::step::FailureClass;
use liminal_schemas::time::UtcTime;

use super::attempt::failure;

/// Why a run ends before its steps are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EarlyEnd {
    /// Somebody asked for it.
    Cancelled,
    /// This time, by which it had to end, has passed.
    Deadline(UtcTime),
}

/// What ends a step that is not settled when its run ends early.
#[derive(Clone, Debug, PartialEq)]
pub enum Cut {
    /// It was under way: it fails.
    Fail(Failure),
    /// It had not begun: it is skipped.
    Skip(SkipReason),
}

/// Whether a run ends early. A request to cancel it goes before its deadline, since somebody made it.
pub fn early_end(cancelled: bool, deadline: Option<UtcTime>, now: UtcTime) -> Option<EarlyEnd> {
    match deadline {
        _ if cancelled => Some(EarlyEnd::Cancelled),
        Some(deadline) if deadline <= now => Some(EarlyEnd::Deadline(deadline)),
        Some(_) | None => None,
    }
}

impl EarlyEnd {
    /// How a step ends that is not settled. `begun` is whether an attempt at it was opened.
    pub fn cut(self, begun: bool) -> Cut {
        match (self, begun) {
            (Self::Cancelled, true) => Cut::Fail(failure(FailureClass::Cancelled, "the run was cancelled")),
            (Self::Cancelled, false) => Cut::Skip(SkipReason::Cancelled),
            (Self::Deadline(deadline), true) => Cut::Fail(past_deadline(deadline)),
            (Self::Deadline(_), false) => Cut::Skip(SkipReason::Deadline),
        }
    }
}

/// The failure of a step that was under way when the deadline of its run passed.
pub fn past_deadline(deadline: UtcTime) -> Failure {
    failure(FailureClass::Timeout, format!("it was still under way at the deadline of the run, {deadline}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_at_its_deadline_and_not_a_moment_before() {
        let at = UtcTime::from_millis;
        assert_eq!(early_end(false, Some(at(10)), at(9)), None);
        assert_eq!(early_end(false, Some(at(10)), at(10)), Some(EarlyEnd::Deadline(at(10))));
        assert_eq!(early_end(false, None, at(i64::MAX)), None);
        assert_eq!(early_end(true, Some(at(10)), at(11)), Some(EarlyEnd::Cancelled));
    }

    #[test]
    fn what_is_under_way_fails_and_names_the_deadline() {
        let Cut::Fail(failure) = EarlyEnd::Deadline(UtcTime::from_millis(0)).cut(true) else { panic!("it fails") };
        insta::assert_snapshot!(failure.message, @"it was still under way at the deadline of the run, 1970-01-01T00:00:00.000Z");
        assert_eq!(EarlyEnd::Cancelled.cut(false), Cut::Skip(SkipReason::Cancelled));
    }
}
