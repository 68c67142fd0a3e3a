//! How the runs of a pipeline go together: how long one may take, and how many there may be at once.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::name::RunId;
use crate::time::UtcTime;

/// How many runs of a pipeline may wait for others to end. What comes then is dropped, so that a pipeline that is slower
/// than what starts it does not fall behind for ever.
pub const MOST_WAITING: usize = 100;

/// What a pipeline says of its runs. It is part of the release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunPolicy {
    /// How long a run may take, in seconds, its steps under `finally:` not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_seconds: Option<u64>,
    /// What happens when a run is to start while as many as may be are open.
    #[serde(default, skip_serializing_if = "Overlap::is_allow")]
    pub overlap: Overlap,
    /// How many runs may be open at once; none for any number. Something else than none where `overlap` is not `allow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent_runs: Option<u32>,
}

/// What happens when a run is to start while as many as may be are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// It starts beside them.
    #[default]
    Allow,
    /// It does not start.
    Forbid,
    /// It waits.
    Queue,
    /// It starts, and the oldest of them are cancelled.
    Replace,
}

impl Overlap {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Allow, Self::Forbid, Self::Queue, Self::Replace];

    /// The word that definitions use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Forbid => "forbid",
            Self::Queue => "queue",
            Self::Replace => "replace",
        }
    }

    const fn is_allow(&self) -> bool {
        matches!(self, Self::Allow)
    }
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What becomes of a run that is to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It starts.
    Start,
    /// It starts once these are cancelled.
    Replace(Vec<RunId>),
    /// It waits until one of the open runs has ended.
    Wait,
    /// It does not start, since these are open.
    Refuse(Vec<RunId>),
    /// It does not start, since so many wait already.
    Full(usize),
}

impl RunPolicy {
    /// Whether nothing is said, so that the release is the same document as if there were no policies.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// When a run that starts at a moment must have ended.
    pub fn deadline(&self, started_at: UtcTime) -> Option<UtcTime> {
        let seconds = i64::try_from(self.deadline_seconds?).unwrap_or(i64::MAX);
        Some(started_at.plus_millis(seconds.saturating_mul(1000)))
    }

    /// How many of the open runs are more than may be, were one more to start.
    fn excess(&self, open: usize) -> usize {
        self.max_concurrent_runs
            .map_or(0, |most| (open + 1).saturating_sub(usize::try_from(most).unwrap_or(usize::MAX)))
    }

    /// Decides about a run that something other than a person starts. `open` are the other runs of its pipeline that have
    /// not ended, the oldest first; `waiting` those that wait, the first to start first, this one perhaps among them.
    pub fn admit(&self, run: &RunId, open: &[RunId], waiting: &[RunId]) -> Admission {
        let excess = self.excess(open.len());
        match self.overlap {
            Overlap::Allow => Admission::Start,
            Overlap::Forbid if excess > 0 => Admission::Refuse(open.to_vec()),
            Overlap::Replace if excess > 0 => Admission::Replace(open.iter().take(excess).cloned().collect()),
            Overlap::Forbid | Overlap::Replace => Admission::Start,
            Overlap::Queue => {
                let place = waiting.iter().position(|waits| waits == run);
                // Those that came before go first, as far as there is room for them.
                let ahead = place.unwrap_or(waiting.len());
                if self.excess(open.len() + ahead) == 0 {
                    Admission::Start
                } else if place.is_none() && waiting.len() >= MOST_WAITING {
                    Admission::Full(waiting.len())
                } else {
                    Admission::Wait
                }
            }
        }
    }

    /// Decides about a run that a person starts: who asks for it now does not want it later, nor others gone.
    pub fn admit_by_hand(&self, open: &[RunId]) -> Admission {
        match self.overlap {
            Overlap::Allow => Admission::Start,
            Overlap::Forbid | Overlap::Queue | Overlap::Replace if self.excess(open.len()) > 0 => {
                Admission::Refuse(open.to_vec())
            }
            Overlap::Forbid | Overlap::Queue | Overlap::Replace => Admission::Start,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(count: usize) -> Vec<RunId> {
        (0..count).map(|number| RunId::new(format!("20261125-000000-{number:04}")).expect("valid")).collect()
    }

    fn policy(overlap: Overlap, most: u32) -> RunPolicy {
        RunPolicy { overlap, max_concurrent_runs: (overlap != Overlap::Allow).then_some(most), deadline_seconds: None }
    }

    fn next() -> RunId {
        RunId::new("20261125-000001-next").expect("valid")
    }

    #[test]
    fn a_pipeline_with_room_starts_whatever_comes() {
        for overlap in Overlap::ALL {
            assert_eq!(policy(overlap, 2).admit(&next(), &runs(1), &[]), Admission::Start, "{overlap}");
            assert_eq!(policy(overlap, 2).admit_by_hand(&runs(1)), Admission::Start, "{overlap}");
        }
    }

    #[test]
    fn a_full_pipeline_does_what_its_policy_says() {
        let open = runs(2);
        assert_eq!(policy(Overlap::Allow, 2).admit(&next(), &open, &[]), Admission::Start);
        assert_eq!(policy(Overlap::Forbid, 2).admit(&next(), &open, &[]), Admission::Refuse(open.clone()));
        assert_eq!(policy(Overlap::Queue, 2).admit(&next(), &open, &[]), Admission::Wait);
        assert_eq!(policy(Overlap::Replace, 2).admit(&next(), &open, &[]), Admission::Replace(vec![open[0].clone()]));
        assert_eq!(policy(Overlap::Replace, 1).admit(&next(), &open, &[]), Admission::Replace(open.clone()));
        for overlap in [Overlap::Forbid, Overlap::Queue, Overlap::Replace] {
            assert_eq!(policy(overlap, 2).admit_by_hand(&open), Admission::Refuse(open.clone()), "{overlap}");
        }
    }

    #[test]
    fn those_that_wait_go_in_their_order_and_their_number_is_bounded() {
        let waiting = runs(3);
        let queue = policy(Overlap::Queue, 2);
        assert_eq!(queue.admit(&waiting[0], &runs(1), &waiting), Admission::Start);
        assert_eq!(queue.admit(&waiting[1], &runs(1), &waiting), Admission::Wait, "there is room for one");
        assert_eq!(queue.admit(&waiting[1], &[], &waiting), Admission::Start);
        assert_eq!(queue.admit(&next(), &[], &waiting), Admission::Wait, "nobody overtakes");
        let many = runs(MOST_WAITING);
        assert_eq!(queue.admit(&next(), &[], &many), Admission::Full(MOST_WAITING));
        assert_eq!(queue.admit(&many[MOST_WAITING - 1], &[], &many), Admission::Wait, "who waits goes on waiting");
    }

    #[test]
    fn a_deadline_counts_from_the_start() {
        let policy = RunPolicy { deadline_seconds: Some(90), ..RunPolicy::default() };
        let start = UtcTime::from_millis(1_000);
        assert_eq!(policy.deadline(start), Some(UtcTime::from_millis(91_000)));
        assert_eq!(RunPolicy::default().deadline(start), None);
        assert!(RunPolicy::default().is_default());
    }
}
