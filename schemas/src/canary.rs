//! Canaries: a release that a part of the runs are given to before it becomes live for all.
//!
//! Everything that counts stands in the live pointer of the pipeline, so that one swap begins a canary, and one ends it.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::digest::Digest;
use crate::name::RunId;
use crate::time::UtcTime;

/// All runs, in the unit of [`Share`].
pub const WHOLE: u32 = 10_000;

/// A part of the whole, in hundredths of a percent: 0 to [`WHOLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u32", into = "u32")]
#[schemars(with = "u32")]
pub struct Share(u32);

/// Why a text is no share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no share: write a percentage from 0% to 100%, as in 10% or 0.5%")]
pub struct ShareError(String);

impl Share {
    /// So many hundredths of a percent; all, where it would be more.
    pub const fn new(hundredths: u32) -> Self {
        Self(if hundredths > WHOLE { WHOLE } else { hundredths })
    }

    /// Hundredths of a percent.
    pub const fn hundredths(self) -> u32 {
        self.0
    }

    /// Whether a number of some whole is more than this part of it.
    pub fn is_exceeded(self, number: usize, whole: usize) -> bool {
        let wide = |count: usize| u128::try_from(count).unwrap_or(u128::MAX);
        wide(number).saturating_mul(u128::from(WHOLE)) > wide(whole).saturating_mul(u128::from(self.0))
    }
}

impl TryFrom<u32> for Share {
    type Error = ShareError;
    fn try_from(hundredths: u32) -> Result<Self, ShareError> {
        if hundredths > WHOLE { Err(ShareError(hundredths.to_string())) } else { Ok(Self(hundredths)) }
    }
}

impl From<Share> for u32 {
    fn from(share: Share) -> Self {
        share.0
    }
}

impl FromStr for Share {
    type Err = ShareError;
    fn from_str(text: &str) -> Result<Self, ShareError> {
        let fail = || ShareError(text.chars().take(40).collect());
        let number = text.strip_suffix('%').ok_or_else(fail)?;
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || part.len() > 2 || !digits(whole) || !digits(part) {
            return Err(fail());
        }
        let percent: u32 = whole.parse().map_err(|_| fail())?;
        let hundredths: u32 = format!("{part:0<2}").parse().map_err(|_| fail())?;
        let all = percent.checked_mul(100).and_then(|all| all.checked_add(hundredths)).ok_or_else(fail)?;
        Self::try_from(all).map_err(|_| fail())
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (percent, 0) => write!(f, "{percent}%"),
            (percent, part) if part % 10 == 0 => write!(f, "{percent}.{}%", part / 10),
            (percent, part) => write!(f, "{percent}.{part:02}%"),
        }
    }
}

/// How large a part of its runs may fail before a canary is aborted, unless something else is asked for.
pub const DEFAULT_TOLERATED: Share = Share::new(1000);

/// How many runs the tolerated part is taken of at least. So of the first ten runs of a canary one may fail, by default,
/// and the second failure ends it at once.
pub const LEAST_RUNS: usize = 10;

/// A release on trial: what a live pointer says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Canary {
    /// The release.
    pub revision: Digest,
    /// The part of the runs that are given to it, in hundredths of a percent.
    pub share: Share,
    /// The part of its runs that may fail, in hundredths of a percent, before it is aborted.
    pub tolerated: Share,
    /// Since when. Another trial of the same release has another time.
    pub since: UtcTime,
}

impl Canary {
    /// What tells this trial from all others of the pipeline.
    pub fn trial(&self) -> String {
        trial(&self.revision, self.since)
    }

    /// Whether a run is given to the canary. It depends on the run's id alone, so that an event which is delivered twice
    /// chooses once; and whoever is chosen by a share is chosen by every greater one.
    pub fn takes(&self, run: &RunId) -> bool {
        let digest = Digest::of_bytes(format!("canary:{run}").as_bytes());
        let mut number: u32 = 0;
        for byte in digest.bytes().iter().take(8) {
            // The remainder of the whole number, byte by byte.
            number = (number * 256 + u32::from(*byte)) % WHOLE;
        }
        number < self.share.hundredths()
    }
}

/// What tells a trial from all others of its pipeline, as keys have it. It sorts by time.
pub fn trial(revision: &Digest, since: UtcTime) -> String {
    format!("{:014}-{}", since.millis(), revision.short())
}

/// A release whose trial ended badly: nothing makes it live by itself any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AbortedCanary {
    /// The release.
    pub revision: Digest,
    /// Since when it was on trial.
    pub since: UtcTime,
    /// When that ended.
    pub at: UtcTime,
    /// Why, in one sentence without a full stop.
    pub reason: String,
}

/// `canary/ends/<pipeline>/<trial>.json`: a canary was aborted by what became of its runs. Created once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CanaryEnd {
    /// See [`STATE_SCHEMA`](crate::state::STATE_SCHEMA).
    pub schema: u32,
    /// The canary, and why it ended.
    #[serde(flatten)]
    pub aborted: AbortedCanary,
    /// What is live, as before.
    pub live: Digest,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canary(share: &str) -> Canary {
        let share = share.parse().expect("a share");
        let revision = Digest::of_bytes(b"release");
        Canary { revision, share, tolerated: DEFAULT_TOLERATED, since: UtcTime::from_millis(1_795_000_000_000) }
    }

    fn runs() -> impl Iterator<Item = RunId> {
        (0..10_000).map(|number| RunId::new(format!("20261124-230239-{number:04}")).expect("an id"))
    }

    #[test]
    fn shares_are_written_as_percentages() {
        for (text, hundredths) in [("0%", 0), ("10%", 1000), ("0.5%", 50), ("12.25%", 1225), ("100%", WHOLE)] {
            let share: Share = text.parse().expect("a share");
            assert_eq!(share.hundredths(), hundredths, "{text}");
            assert_eq!(share.to_string(), text);
        }
        for text in ["", "%", "10", "-1%", "101%", "1.234%", "1e1%", "100.01%", "99999999999999%", "١%"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }

    #[test]
    fn about_the_asked_part_of_the_runs_is_chosen_and_a_greater_share_keeps_them() {
        let (small, large) = (canary("10%"), canary("50%"));
        let chosen: Vec<RunId> = runs().filter(|run| small.takes(run)).collect();
        assert!((900..1100).contains(&chosen.len()), "{}", chosen.len());
        assert!(chosen.iter().all(|run| large.takes(run)));
        assert_eq!(runs().filter(|run| canary("0%").takes(run)).count(), 0);
        assert_eq!(runs().filter(|run| canary("100%").takes(run)).count(), 10_000);
    }

    #[test]
    fn a_trial_is_told_from_another_one_of_the_same_release() {
        let one = canary("10%");
        let other = Canary { since: one.since.plus_millis(1), ..one.clone() };
        assert!(one.trial() < other.trial());
        assert_eq!(one.trial(), canary("20%").trial(), "a share that changes is the same trial");
    }

    #[test]
    fn a_part_is_exceeded_by_more_than_it() {
        let tenth = Share::new(1000);
        assert!(!tenth.is_exceeded(1, 10) && tenth.is_exceeded(2, 10) && tenth.is_exceeded(1, 9));
        assert!(Share::new(0).is_exceeded(1, usize::MAX) && !Share::new(0).is_exceeded(0, 1));
    }
}
