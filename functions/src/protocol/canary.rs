//! Whether a canary goes on, from how its runs came out.

use liminal_schemas::canary::LEAST_RUNS;
use liminal_schemas::canary::Share;
use liminal_schemas::name::RunId;
use liminal_schemas::run::RunStatus;

/// How the runs of a canary came out. Those that somebody cancelled say nothing of the release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many succeeded.
    pub succeeded: usize,
    /// How many failed.
    pub failed: usize,
    /// The first that a gate rejected.
    pub rejected: Option<RunId>,
}

/// The name under which the end of a run is counted; none for one that counts for nothing.
pub const fn counted_as(status: RunStatus) -> Option<&'static str> {
    match status {
        RunStatus::Succeeded | RunStatus::Rejected | RunStatus::Failed => Some(status.as_str()),
        RunStatus::Cancelled => None,
    }
}

/// Why a canary is to be aborted; none when it goes on. A gate that rejects ends it at once, since gates are there to say
/// that a result must not be used. Failures end it when more than the tolerated part failed, of ten runs at least
/// ([`LEAST_RUNS`]): so the first failure of a canary may be chance, and the answer never waits for runs to succeed.
pub fn abort_reason(tally: &Tally, tolerated: Share) -> Option<String> {
    if let Some(run) = &tally.rejected {
        return Some(format!("a gate rejected run {run}"));
    }
    let ended = tally.succeeded + tally.failed;
    if !tolerated.is_exceeded(tally.failed, ended.max(LEAST_RUNS)) {
        return None;
    }
    let counted = if ended < LEAST_RUNS { format!(", counted of {LEAST_RUNS}") } else { String::new() };
    Some(format!("{} of {ended} runs failed, which is more than {tolerated}{counted}", tally.failed))
}

#[cfg(test)]
mod tests {
    use liminal_schemas::canary::DEFAULT_TOLERATED;

    use super::*;

    fn reason(succeeded: usize, failed: usize, tolerated: Share) -> Option<String> {
        abort_reason(&Tally { succeeded, failed, rejected: None }, tolerated)
    }

    #[test]
    fn a_gate_that_rejects_ends_a_canary_at_once() {
        let rejected = RunId::new("20261124-230239-x7k2").ok();
        let tally = Tally { succeeded: 1000, failed: 0, rejected };
        insta::assert_snapshot!(abort_reason(&tally, Share::new(10_000)).expect("aborted"), @"a gate rejected run 20261124-230239-x7k2");
    }

    #[test]
    fn one_failure_is_tolerated_among_the_first_runs_and_a_second_is_not() {
        assert_eq!(reason(0, 1, DEFAULT_TOLERATED), None);
        insta::assert_snapshot!(reason(1, 2, DEFAULT_TOLERATED).expect("aborted"), @"2 of 3 runs failed, which is more than 10%, counted of 10");
        assert_eq!(reason(18, 2, DEFAULT_TOLERATED), None);
        insta::assert_snapshot!(reason(18, 3, DEFAULT_TOLERATED).expect("aborted"), @"3 of 21 runs failed, which is more than 10%");
    }

    #[test]
    fn who_tolerates_nothing_aborts_with_the_first_failure_and_who_tolerates_all_never() {
        assert!(reason(500, 1, Share::new(0)).is_some());
        assert_eq!(reason(500, 0, Share::new(0)), None);
        assert_eq!(reason(0, 500, Share::new(10_000)), None);
    }

    #[test]
    fn more_successes_never_abort_a_canary() {
        for failed in 0..20 {
            let mut aborted = true;
            for succeeded in 0..300 {
                let now = reason(succeeded, failed, DEFAULT_TOLERATED).is_some();
                assert!(aborted || !now, "{failed} failed, {succeeded} succeeded");
                aborted = now;
            }
        }
    }
}
