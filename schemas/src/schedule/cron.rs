//! The six fields of a cron expression: minutes, hours, day of the month, month, day of the week, year.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::civil::Weekday;
use jiff::tz::AmbiguousOffset;
use jiff::tz::TimeZone;

const MONTHS: &[&str] = &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// The last year that an expression can name: "Schedule types" of the EventBridge Scheduler user guide, 2026-11.
const LAST_YEAR: i16 = 2199;

/// When such an expression matches.
#[derive(Clone, Debug)]
pub(super) struct Cron {
    minutes: Vec<i8>,
    hours: Vec<i8>,
    days: Days,
    months: Vec<i8>,
    /// None for every year.
    years: Option<Vec<i16>>,
}

/// Which days of a month.
#[derive(Clone, Debug)]
enum Days {
    OfMonth(Vec<MonthDay>),
    OfWeek(Vec<WeekDay>),
}

#[derive(Clone, Copy, Debug)]
enum MonthDay {
    Number(i8),
    Last,
    /// The weekday nearest to a day of the month, in the same month.
    Nearest(i8),
    LastWeekday,
}

#[derive(Clone, Copy, Debug)]
enum WeekDay {
    Every(Weekday),
    /// The nth of the month; -1 for the last.
    Nth(Weekday, i8),
}

impl Cron {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split(' ').collect();
        let [minutes, hours, day_of_month, months, day_of_week, years] = fields.as_slice() else { return None };
        let small = |text: &str, names: &[&str], least: u16, most: u16| {
            let numbers = set(text, names, least, most)?;
            numbers.into_iter().map(|number| i8::try_from(number).ok()).collect::<Option<Vec<i8>>>()
        };
        Some(Self {
            minutes: small(minutes, &[], 0, 59)?,
            hours: small(hours, &[], 0, 23)?,
            days: match *day_of_week {
                "?" => Days::OfMonth(day_of_month.split(',').map(month_days).collect::<Option<Vec<_>>>()?.concat()),
                days => Days::OfWeek(days.split(',').map(week_days).collect::<Option<Vec<_>>>()?.concat()),
            },
            months: small(months, MONTHS, 1, 12)?,
            years: match *years {
                "*" => None,
                years => {
                    let numbers = set(years, &[], 1970, 2199)?;
                    Some(numbers.into_iter().map(|number| i16::try_from(number).ok()).collect::<Option<_>>()?)
                }
            },
        })
    }

    /// The first moment after another at which it matches. A time that a day does not have, since clocks go forward, is left
    /// out; one that it has twice counts once.
    pub(super) fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut day = zone.to_datetime(after).date();
        while day.year() <= LAST_YEAR {
            if self.matches_day(day) {
                for (hour, minute) in
                    self.hours.iter().flat_map(|hour| self.minutes.iter().map(move |minute| (*hour, *minute)))
                {
                    let moment = zone.to_ambiguous_timestamp(day.at(hour, minute, 0, 0));
                    if let AmbiguousOffset::Gap { .. } = moment.offset() {
                        continue;
                    }
                    if let Some(moment) = moment.earlier().ok().filter(|moment| *moment > after) {
                        return Some(moment);
                    }
                }
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    fn matches_day(&self, day: Date) -> bool {
        if self.years.as_ref().is_some_and(|years| !years.contains(&day.year())) || !self.months.contains(&day.month())
        {
            return false;
        }
        match &self.days {
            Days::OfMonth(days) => days.iter().any(|wanted| match wanted {
                MonthDay::Number(number) => *number == day.day(),
                MonthDay::Last => day == day.last_of_month(),
                MonthDay::Nearest(number) => nearest_weekday(day, *number) == Some(day),
                MonthDay::LastWeekday => nearest_weekday(day, day.days_in_month()) == Some(day),
            }),
            Days::OfWeek(days) => days.iter().any(|wanted| match wanted {
                WeekDay::Every(weekday) => *weekday == day.weekday(),
                WeekDay::Nth(weekday, nth) => day.nth_weekday_of_month(*nth, *weekday).is_ok_and(|nth| nth == day),
            }),
        }
    }
}

/// The day from Monday to Friday that is nearest to a day of a month, and in that month; none where it has no such day.
fn nearest_weekday(month: Date, number: i8) -> Option<Date> {
    let day = Date::new(month.year(), month.month(), number).ok()?;
    let moved = match day.weekday() {
        Weekday::Saturday if number == 1 => day.tomorrow().and_then(Date::tomorrow),
        Weekday::Saturday => day.yesterday(),
        Weekday::Sunday if day == day.last_of_month() => day.yesterday().and_then(Date::yesterday),
        Weekday::Sunday => day.tomorrow(),
        Weekday::Monday | Weekday::Tuesday | Weekday::Wednesday | Weekday::Thursday | Weekday::Friday => Ok(day),
    };
    moved.ok()
}

fn month_days(item: &str) -> Option<Vec<MonthDay>> {
    let small = |text: &str| text.parse().ok();
    match item {
        "L" => Some(vec![MonthDay::Last]),
        "LW" => Some(vec![MonthDay::LastWeekday]),
        _ => match item.strip_suffix('W') {
            Some(day) => Some(vec![MonthDay::Nearest(small(day)?)]),
            None => {
                numbers(item, &[], 1, 31)?.iter().map(|day| Some(MonthDay::Number(i8::try_from(*day).ok()?))).collect()
            }
        },
    }
}

fn week_days(item: &str) -> Option<Vec<WeekDay>> {
    let day = |text: &str| weekday(number(text, WEEKDAYS, 1)?);
    if item == "L" {
        return Some(vec![WeekDay::Every(Weekday::Saturday)]);
    }
    if let Some((name, nth)) = item.split_once('#') {
        return Some(vec![WeekDay::Nth(day(name)?, nth.parse().ok()?)]);
    }
    if let Some(name) = item.strip_suffix('L') {
        return Some(vec![WeekDay::Nth(day(name)?, -1)]);
    }
    numbers(item, WEEKDAYS, 1, 7)?.iter().map(|number| Some(WeekDay::Every(weekday(*number)?))).collect()
}

/// 1 for Sunday to 7 for Saturday.
fn weekday(number: u16) -> Option<Weekday> {
    Weekday::from_sunday_one_offset(i8::try_from(number).ok()?).ok()
}

/// All numbers of a field, in their order.
fn set(text: &str, names: &[&str], least: u16, most: u16) -> Option<Vec<u16>> {
    let mut all = text.split(',').map(|item| numbers(item, names, least, most)).collect::<Option<Vec<_>>>()?.concat();
    all.sort_unstable();
    all.dedup();
    Some(all)
}

/// The numbers of one item of a list: `*`, `5`, `MON-FRI`, `0/15`, `9-17/2`. A range that ends before it begins goes round.
fn numbers(item: &str, names: &[&str], least: u16, most: u16) -> Option<Vec<u16>> {
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => (range, Some(step.parse::<usize>().ok().filter(|step| *step > 0)?)),
        None => (item, None),
    };
    let within = |number: u16| (least..=most).contains(&number).then_some(number);
    let (from, to) = match range.split_once('-') {
        Some((from, to)) => (number(from, names, least)?, number(to, names, least)?),
        None if range == "*" => (least, most),
        None => {
            let from = number(range, names, least)?;
            (from, if step.is_some() { most } else { from })
        }
    };
    let (from, to) = (within(from)?, within(to)?);
    let all: Vec<u16> = if from <= to { (from..=to).collect() } else { (from..=most).chain(least..=to).collect() };
    Some(all.into_iter().step_by(step.unwrap_or(1)).collect())
}

/// A number, or a name that stands for one; `least` is that of the first name.
fn number(text: &str, names: &[&str], least: u16) -> Option<u16> {
    match names.iter().zip(least..).find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        Some((_, number)) => Some(number),
        None => text.parse().ok(),
    }
}
