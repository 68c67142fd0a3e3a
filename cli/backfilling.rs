//! The parts of the past that a backfill makes up for, and the runs that stand for them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use clap::ValueEnum;
use liminal_schemas::digest::Digest;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::run::RunStatus;
use liminal_schemas::time::UtcTime;
use liminal_schemas::value::Value;
use serde::Serialize;

use crate::error::CliError;
use crate::error::While as _;
use crate::exit_code::ExitCode;

/// How many partitions one backfill may have: more than a year of hours, and few enough to be looked through at once.
const MOST_PARTITIONS: i64 = 10_000;

/// How many characters of an id tell runs for one time apart: 40 bits.
const HASH_CHARS: usize = 10;

/// How long a partition is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Every {
    /// A day, in UTC.
    #[default]
    Day,
    /// An hour.
    Hour,
}

impl Every {
    const fn millis(self) -> i64 {
        match self {
            Self::Day => 24 * Self::Hour.millis(),
            Self::Hour => 60 * 60 * 1000,
        }
    }

    /// A partition as people write it: `2026-01-31`, or `2026-01-31T23`.
    pub(crate) fn label(self, time: UtcTime) -> String {
        let chars = match self {
            Self::Day => 10,
            Self::Hour => 13,
        };
        time.to_string().chars().take(chars).collect()
    }
}

/// How a partition stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// A run of it succeeded.
    Done,
    /// A run of it has not ended.
    Open,
    /// Its last run ended otherwise than well.
    Failed,
    /// It has no run.
    New,
}

impl State {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Open => "open",
            Self::Failed => "failed",
            Self::New => "new",
        }
    }

    /// How a partition stands whose last run came out so; none for one that has not ended.
    pub(crate) const fn of(ended: Option<RunStatus>) -> Self {
        match ended {
            None => Self::Open,
            Some(RunStatus::Succeeded) => Self::Done,
            Some(RunStatus::Rejected | RunStatus::Failed | RunStatus::Cancelled) => Self::Failed,
        }
    }
}

/// The beginnings of the days or hours of a range, both ends included.
///
/// # Errors
/// When an end is no date, the range is empty, or it has too many parts.
pub(crate) fn partitions(from: &str, to: &str, every: Every) -> Result<Vec<UtcTime>, CliError> {
    let (first, last) = (date("--from", from)?, date("--to", to)?);
    if last < first {
        return Err(usage(format!("--to {to} is before --from {from}")).hint("give the earlier day as --from"));
    }
    let parts = (last.millis() - first.millis()) / Every::Day.millis() + 1;
    let parts = parts * (Every::Day.millis() / every.millis());
    if parts > MOST_PARTITIONS {
        return Err(usage(format!(
            "{from} to {to} has {parts} partitions, and a backfill has at most {MOST_PARTITIONS}"
        ))
        .hint("do it in several ranges, one after another"));
    }
    Ok((0..parts).map(|index| first.plus_millis(index * every.millis())).collect())
}

fn date(flag: &str, text: &str) -> Result<UtcTime, CliError> {
    let is_date = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    match format!("{text}T00:00:00Z").parse() {
        Ok(time) if is_date => Ok(time),
        Ok(_) | Err(_) => {
            Err(usage(format!("{flag} {text} is no date")).hint(format!("write {flag} YYYY-MM-DD, as in 2026-01-31")))
        }
    }
}

fn usage(message: String) -> CliError {
    CliError::new(message).exit(ExitCode::Usage)
}

/// What all runs of a backfill have in common.
pub(crate) struct Identity<'a> {
    pub(crate) pipeline: &'a PipelineName,
    pub(crate) revision: Digest,
    pub(crate) params: &'a BTreeMap<FieldName, Value>,
}

impl Identity<'_> {
    /// The id of a partition's run: the same whenever it is asked for, so that a backfill that is started again finds what
    /// the one before did. `again` counts the runs of the partition that failed before.
    pub(crate) fn run(&self, every: Every, time: UtcTime, again: u32) -> Result<RunId, CliError> {
        let label = every.label(time);
        let document = ("backfill", self.pipeline, label, &self.revision, self.params, again);
        let mut hash = Digest::of_document(&document).hex();
        hash.truncate(HASH_CHARS);
        let digits: String = time.to_string().chars().filter(char::is_ascii_digit).take(14).collect();
        let (day, clock) = digits.split_at(digits.len().min(8));
        RunId::new(format!("{day}-{clock}-{hash}")).or_failed(|| format!("{time} gives no run id"))
    }

    /// The newest run of a partition among those that exist, and the number of it.
    pub(crate) fn newest(
        &self,
        every: Every,
        time: UtcTime,
        existing: &BTreeSet<RunId>,
    ) -> Result<(RunId, Option<u32>), CliError> {
        let mut newest = (self.run(every, time, 0)?, None);
        for again in 0..u32::MAX {
            let run = self.run(every, time, again)?;
            if !existing.contains(&run) {
                break;
            }
            newest = (run, Some(again));
        }
        Ok(newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_a_range_are_part_of_it() {
        let labels = |from, to, every: Every| -> Vec<String> {
            let times = partitions(from, to, every).expect("a range");
            times.into_iter().map(|time| every.label(time)).collect()
        };
        assert_eq!(labels("2024-02-28", "2024-03-01", Every::Day), ["2024-02-28", "2024-02-29", "2024-03-01"]);
        let hours = labels("2026-01-01", "2026-01-01", Every::Hour);
        assert_eq!((hours.len(), hours[0].as_str(), hours[23].as_str()), (24, "2026-01-01T00", "2026-01-01T23"));
    }

    #[test]
    fn a_further_run_and_other_parameters_have_another_id() {
        let pipeline = PipelineName::new("p").expect("valid");
        let (none, some) = (BTreeMap::new(), BTreeMap::from([(FieldName::new("n").expect("valid"), Value::Int(1))]));
        let identity = |params| Identity { pipeline: &pipeline, revision: Digest::of_bytes(b"r"), params };
        let time = partitions("2026-01-01", "2026-01-01", Every::Day).expect("a range")[0];
        let run = |params, every, again| identity(params).run(every, time, again).expect("an id");
        let first = run(&none, Every::Day, 0);
        assert_eq!(first, run(&none, Every::Day, 0));
        let others = [run(&none, Every::Day, 1), run(&some, Every::Day, 0), run(&none, Every::Hour, 0)];
        assert!(others.iter().all(|other| *other != first));
        let existing = BTreeSet::from([first, others[0].clone()]);
        let newest = identity(&none).newest(Every::Day, time, &existing).expect("ids");
        assert_eq!(newest, (others[0].clone(), Some(1)));
    }
}
