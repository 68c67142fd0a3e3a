//! When a schedule fires, as EventBridge Scheduler counts it: `rate(…)` and `cron(…)` with a time zone.
//!
//! Which times a schedule has is decided here for environments that keep schedules themselves, and for filling up the past.
//! The time zone database is part of the program, so that the answer is the same on every machine.

mod cron;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use self::cron::Cron;
use crate::run::Scheduled;
use crate::time::UtcTime;

/// When a schedule fires.
#[derive(Clone, Debug)]
pub struct Schedule {
    times: Times,
    zone: TimeZone,
}

#[derive(Clone, Debug)]
enum Times {
    /// Every so many milliseconds, counted from 1970 on, so that the times do not depend on who counts.
    Every(i64),
    Cron(Cron),
}

/// Why a schedule can not be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// It is neither a rate nor a cron expression.
    #[error("`{0}` is no schedule")]
    Expression(String),
    /// The time zone is in no database.
    #[error("there is no time zone `{0}`")]
    Zone(String),
}

impl Schedule {
    /// Reads a schedule as a release holds it.
    ///
    /// # Errors
    /// When it makes no sense, or its time zone does not exist.
    pub fn new(expression: &str, timezone: &str) -> Result<Self, ScheduleError> {
        let wrong = || ScheduleError::Expression(expression.to_owned());
        let (kind, inside) = expression.strip_suffix(')').and_then(|text| text.split_once('(')).ok_or_else(wrong)?;
        let times = match kind {
            "rate" => Times::Every(period(inside).ok_or_else(wrong)?),
            "cron" => Times::Cron(Cron::parse(inside).ok_or_else(wrong)?),
            _ => return Err(wrong()),
        };
        Ok(Self { times, zone: zone(timezone)? })
    }

    /// The first time after a moment at which it fires; none when it never does again.
    pub fn next_after(&self, time: UtcTime) -> Option<UtcTime> {
        match &self.times {
            Times::Every(period) => {
                let passed = time.millis().div_euclid(*period);
                passed.checked_add(1)?.checked_mul(*period).map(UtcTime::from_millis)
            }
            Times::Cron(cron) => {
                let after = Timestamp::from_millisecond(time.millis()).ok()?;
                cron.next_after(after, &self.zone).map(|next| UtcTime::from_millis(next.as_millisecond()))
            }
        }
    }
}

/// The time that a schedule fired for, with the day of its own time zone. One that the database does not have counts as UTC.
pub fn scheduled(time: UtcTime, timezone: &str) -> Scheduled {
    let day = zone(timezone).ok().and_then(|zone| {
        let moment = Timestamp::from_millisecond(time.millis()).ok()?;
        Some(zone.to_datetime(moment).date().to_string())
    });
    match day {
        Some(partition) => Scheduled { time, partition },
        None => Scheduled::in_utc(time),
    }
}

fn zone(name: &str) -> Result<TimeZone, ScheduleError> {
    TimeZone::get(name).map_err(|_| ScheduleError::Zone(name.to_owned()))
}

/// The milliseconds of `1 hour`, `5 minutes`.
fn period(inside: &str) -> Option<i64> {
    let (number, unit) = inside.split_once(' ')?;
    let unit = match unit.trim_end_matches('s') {
        "minute" => 60_000,
        "hour" => 3_600_000,
        "day" => 86_400_000,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(unit).filter(|period| *period > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next times of a schedule, a line each.
    fn times(expression: &str, timezone: &str, from: &str, count: usize) -> String {
        let schedule = Schedule::new(expression, timezone).expect("a schedule");
        let mut time: UtcTime = from.parse().expect("a time");
        let mut lines = Vec::new();
        for _ in 0..count {
            match schedule.next_after(time) {
                Some(next) => {
                    assert!(next > time, "time goes on");
                    lines.push(next.to_string().replace(":00.000Z", "Z"));
                    time = next;
                }
                None => lines.push("never".to_owned()),
            }
        }
        lines.join("\n")
    }

    #[test]
    fn a_rate_counts_whole_periods() {
        insta::assert_snapshot!(times("rate(6 hours)", "UTC", "2026-11-25T07:20:00Z", 3), @"
        2026-11-25T12:00Z
        2026-11-25T18:00Z
        2026-11-26T00:00Z
        ");
        insta::assert_snapshot!(times("rate(1 minute)", "UTC", "2026-11-25T07:20:00Z", 2), @"
        2026-11-25T07:21Z
        2026-11-25T07:22Z
        ");
    }

    #[test]
    fn cron_means_what_scheduler_means() {
        let from = "2026-11-25T07:20:00Z";
        insta::assert_snapshot!(times("cron(30 2 * * ? *)", "UTC", from, 2), @"
        2026-11-26T02:30Z
        2026-11-27T02:30Z
        ");
        insta::assert_snapshot!(times("cron(0/20 9-17 ? * MON-FRI *)", "UTC", from, 4), @"
        2026-11-25T09:00Z
        2026-11-25T09:20Z
        2026-11-25T09:40Z
        2026-11-25T10:00Z
        ");
        insta::assert_snapshot!(times("cron(0 6 L * ? *)", "UTC", from, 3), @"
        2026-11-30T06:00Z
        2026-12-31T06:00Z
        2027-01-31T06:00Z
        ");
        insta::assert_snapshot!(times("cron(0 6 ? * 6L *)", "UTC", from, 2), @"
        2026-11-27T06:00Z
        2026-12-25T06:00Z
        ");
        insta::assert_snapshot!(times("cron(0 6 ? * 2#1 *)", "UTC", from, 2), @"
        2026-12-07T06:00Z
        2027-01-04T06:00Z
        ");
        insta::assert_snapshot!(times("cron(0 6 15W * ? *)", "UTC", from, 4), @"
        2026-12-15T06:00Z
        2027-01-15T06:00Z
        2027-02-15T06:00Z
        2027-03-15T06:00Z
        ");
        insta::assert_snapshot!(times("cron(0 6 LW * ? *)", "UTC", from, 2), @"
        2026-11-30T06:00Z
        2026-12-31T06:00Z
        ");
        insta::assert_snapshot!(times("cron(0 0 29 2 ? *)", "UTC", from, 2), @"
        2028-02-29T00:00Z
        2032-02-29T00:00Z
        ");
        insta::assert_snapshot!(times("cron(0 0 1 JAN,JUL ? 2027)", "UTC", from, 3), @"
        2027-01-01T00:00Z
        2027-07-01T00:00Z
        never
        ");
        insta::assert_snapshot!(times("cron(0 0 ? * SAT-MON *)", "UTC", from, 4), @"
        2026-11-28T00:00Z
        2026-11-29T00:00Z
        2026-11-30T00:00Z
        2026-12-05T00:00Z
        ");
    }

    #[test]
    fn a_time_zone_has_its_own_days_and_nights() {
        insta::assert_snapshot!(times("cron(30 2 * * ? *)", "Europe/Berlin", "2026-10-23T12:00:00Z", 3), @"
        2026-10-24T00:30Z
        2026-10-25T00:30Z
        2026-10-26T01:30Z
        ");
        let spring = "2027-03-26T12:00:00Z";
        insta::assert_snapshot!(times("cron(30 2 * * ? *)", "Europe/Berlin", spring, 3), @"
        2027-03-27T01:30Z
        2027-03-29T00:30Z
        2027-03-30T00:30Z
        ");
        let time: UtcTime = "2026-11-24T23:30:00Z".parse().expect("a time");
        assert_eq!(scheduled(time, "Europe/Berlin").partition, "2026-11-25");
        assert_eq!(scheduled(time, "UTC").partition, "2026-11-24");
        assert_eq!(scheduled(time, "Mars/Olympus").partition, "2026-11-24");
    }

    #[test]
    fn what_can_not_be_kept_is_refused() {
        let problem = |expression, zone| Schedule::new(expression, zone).expect_err("refused").to_string();
        insta::assert_snapshot!(problem("at(2026-11-25T00:00:00)", "UTC"), @"`at(2026-11-25T00:00:00)` is no schedule");
        insta::assert_snapshot!(problem("rate(0 hours)", "UTC"), @"`rate(0 hours)` is no schedule");
        insta::assert_snapshot!(problem("rate(1 hour)", "Europe/Atlantis"), @"there is no time zone `Europe/Atlantis`");
    }
}
