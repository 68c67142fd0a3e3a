//! Schedules as EventBridge Scheduler writes them: "Schedule types" of its user guide, 2026-11.

use super::scalars::Problem;

/// The longest name of a time zone: `ScheduleExpressionTimezone` of the Scheduler API reference, 2026-11.
const MAX_TIMEZONE_CHARS: usize = 50;

const EXAMPLES: &str = "write `rate(1 hour)`, or `cron(0 6 * * ? *)` for every day at six";

/// Reads a schedule, and gives it back with single blanks, so that equal ones are equal texts.
pub(super) fn read(text: &str) -> Result<String, Problem> {
    let trimmed = text.trim();
    let inside = trimmed.split_once('(').and_then(|(kind, rest)| Some((kind.trim_end(), rest.strip_suffix(')')?)));
    match inside {
        Some(("rate", inside)) => rate(inside),
        Some(("cron", inside)) => cron(inside),
        Some(("at", _)) => {
            let hint = "start the run with `liminal run`, or write a schedule that recurs";
            Err(Problem::new("`at(…)` is one moment, and a release may be deployed again after it", hint))
        }
        Some(_) | None => Err(no_schedule(trimmed)),
    }
}

fn no_schedule(text: &str) -> Problem {
    let fields: Vec<&str> = text.split_whitespace().collect();
    match fields.as_slice() {
        [minute, hour, day, month, "*" | "?"] => Problem::new(
            "it is written as for cron on Unix",
            format!("write `cron({minute} {hour} {day} {month} ? *)`"),
        ),
        [minute, hour, "*" | "?", month, weekday] => {
            let hint =
                format!("write `cron({minute} {hour} ? {month} {weekday} *)`, with 1 for Sunday to 7 for Saturday");
            Problem::new("it is written as for cron on Unix", hint)
        }
        _ => Problem::new("it is neither `rate(…)` nor `cron(…)`", EXAMPLES),
    }
}

fn rate(inside: &str) -> Result<String, Problem> {
    let parts: Vec<&str> = inside.split_whitespace().collect();
    let [number, unit] = parts.as_slice() else {
        return Err(Problem::new("a rate is a number and a unit", "write `rate(1 hour)` or `rate(5 minutes)`"));
    };
    let number = match number.parse::<u32>() {
        Ok(number) if number > 0 => number,
        Ok(_) | Err(_) => {
            return Err(Problem::new(
                format!("`{number}` is no whole number above 0"),
                "write `rate(1 hour)` or `rate(5 minutes)`",
            ));
        }
    };
    let Some(singular) = ["minute", "hour", "day"].into_iter().find(|known| *known == unit.trim_end_matches('s'))
    else {
        return Err(Problem::new(format!("`{unit}` is no unit of a rate"), "the units are minutes, hours and days"));
    };
    let right = if number == 1 { singular.to_owned() } else { format!("{singular}s") };
    if *unit != right {
        return Err(Problem::new(
            "AWS takes only the right form of the unit",
            format!("write `rate({number} {right})`"),
        ));
    }
    Ok(format!("rate({number} {unit})"))
}

/// One field of a cron expression.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    names: &'static [&'static str],
    /// What else it may be, apart from numbers, names, ranges, lists and steps.
    special: Special,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Special {
    Nothing,
    /// `?`, `L`, `5W`, `LW`.
    DayOfMonth,
    /// `?`, `L`, `6L`, `2#1`.
    DayOfWeek,
}

const MONTHS: &[&str] = &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const FIELDS: [Field; 6] = [
    Field { name: "minute", least: 0, most: 59, names: &[], special: Special::Nothing },
    Field { name: "hour", least: 0, most: 23, names: &[], special: Special::Nothing },
    Field { name: "day of the month", least: 1, most: 31, names: &[], special: Special::DayOfMonth },
    Field { name: "month", least: 1, most: 12, names: MONTHS, special: Special::Nothing },
    Field { name: "day of the week", least: 1, most: 7, names: WEEKDAYS, special: Special::DayOfWeek },
    Field { name: "year", least: 1970, most: 2199, names: &[], special: Special::Nothing },
];

fn cron(inside: &str) -> Result<String, Problem> {
    let parts: Vec<&str> = inside.split_whitespace().collect();
    let [_, _, day_of_month, _, day_of_week, _] = parts.as_slice() else {
        let hint = "write minutes, hours, day of the month, month, day of the week and year: `cron(0 6 * * ? *)`";
        let message = format!("cron has six fields here, and this has {}", parts.len());
        return Err(match parts.len() {
            5 => Problem { message, ..no_schedule(&parts.join(" ")) },
            _ => Problem::new(message, hint),
        });
    };
    for (field, text) in FIELDS.iter().zip(&parts) {
        if let Some(problem) = field.problem_with(text) {
            let range = match field.special {
                Special::DayOfWeek => "from 1 (Sunday) to 7 (Saturday), or SUN to SAT".to_owned(),
                Special::DayOfMonth | Special::Nothing => format!("from {} to {}", field.least, field.most),
            };
            return Err(Problem::new(format!("{problem} as the {}", field.name), format!("it goes {range}")));
        }
    }
    match (*day_of_month == "?", *day_of_week == "?") {
        (true, true) => Err(Problem::new(
            "neither day is named",
            "one of the day of the month and the day of the week is `?`, and the other one is not",
        )),
        (false, false) => Err(Problem::new(
            "both the day of the month and the day of the week are named",
            "write `?` for the one that does not matter",
        )),
        (true, false) | (false, true) => Ok(format!("cron({})", parts.join(" "))),
    }
}

impl Field {
    fn problem_with(&self, text: &str) -> Option<String> {
        if text == "?" {
            return (self.special == Special::Nothing).then(|| "`?` is not allowed".to_owned());
        }
        let wrong = text.split(',').find(|item| !self.allows(item))?;
        Some(format!("`{}` is not allowed", if wrong.is_empty() { text } else { wrong }))
    }

    fn allows(&self, item: &str) -> bool {
        if self.allows_special(item) {
            return true;
        }
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item, None),
        };
        if step.is_some_and(|step| !step.parse().is_ok_and(|step: u32| (1..=self.most).contains(&step))) {
            return false;
        }
        match range.split_once('-') {
            Some((from, to)) => self.number(from).is_some() && self.number(to).is_some(),
            None => range == "*" || self.number(range).is_some(),
        }
    }

    fn allows_special(&self, item: &str) -> bool {
        match self.special {
            Special::Nothing => false,
            Special::DayOfMonth => {
                matches!(item, "L" | "LW") || item.strip_suffix('W').is_some_and(|day| self.number(day).is_some())
            }
            Special::DayOfWeek => {
                let nth = |text: &str| text.parse().is_ok_and(|nth: u32| (1..=5).contains(&nth));
                item == "L"
                    || item.strip_suffix('L').is_some_and(|day| self.number(day).is_some())
                    || item.split_once('#').is_some_and(|(day, text)| self.number(day).is_some() && nth(text))
            }
        }
    }

    fn number(&self, text: &str) -> Option<u32> {
        let named = self.names.iter().zip(self.least..).find(|(name, _)| name.eq_ignore_ascii_case(text));
        if let Some((_, number)) = named {
            return Some(number);
        }
        let digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
        text.parse().ok().filter(|number| digits && (self.least..=self.most).contains(number))
    }
}

/// The first parts of names with several, as the time zone database has them.
const AREAS: &[&str] = &[
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Brazil",
    "Canada",
    "Chile",
    "Etc",
    "Europe",
    "Indian",
    "Mexico",
    "Pacific",
    "US",
];

/// Names of one part, as the time zone database has them.
const SINGLE: &[&str] = &[
    "CET",
    "CST6CDT",
    "Cuba",
    "EET",
    "EST",
    "EST5EDT",
    "Egypt",
    "Eire",
    "GB",
    "GB-Eire",
    "GMT",
    "Greenwich",
    "HST",
    "Hongkong",
    "Iceland",
    "Iran",
    "Israel",
    "Jamaica",
    "Japan",
    "Kwajalein",
    "Libya",
    "MET",
    "MST",
    "MST7MDT",
    "NZ",
    "NZ-CHAT",
    "Navajo",
    "PRC",
    "PST8PDT",
    "Poland",
    "Portugal",
    "ROC",
    "ROK",
    "Singapore",
    "Turkey",
    "UCT",
    "UTC",
    "Universal",
    "W-SU",
    "WET",
    "Zulu",
];

/// What keeps a text from being the name of a time zone, if anything does. Which cities there are is for AWS to know.
pub(super) fn problem_with_timezone(text: &str) -> Option<Problem> {
    const HINT: &str = "write a name of the time zone database, as in `Europe/Berlin` or `UTC`";
    let known = |list: &[&'static str], text: &str| list.iter().copied().find(|known| known.eq_ignore_ascii_case(text));
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_uppercase())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+'))
    };
    if text.len() > MAX_TIMEZONE_CHARS {
        return Some(Problem::new("it has more than 50 characters", HINT));
    }
    let found = match text.split_once('/') {
        Some((area, city)) => match known(AREAS, area) {
            Some(area) if text.starts_with(area) && city.split('/').all(part) => return None,
            Some(area) => Some(format!("{area}/{}", capitalised(city))),
            None => None,
        },
        None => match known(SINGLE, text) {
            Some(name) if name == text => return None,
            Some(name) => Some(name.to_owned()),
            None => None,
        },
    };
    Some(match found {
        Some(better) if better != text => {
            Problem::new("names of time zones are written otherwise", format!("did you mean `{better}`?"))
        }
        Some(_) | None => Problem::new("it is none that is known", HINT),
    })
}

/// A city as the time zone database writes it: `new york` as `New_York`.
fn capitalised(city: &str) -> String {
    let mut start = true;
    let written = city.trim().replace(' ', "_");
    let letter = |c: char| {
        let capital = std::mem::replace(&mut start, matches!(c, '_' | '/' | '-'));
        if capital { c.to_ascii_uppercase() } else { c }
    };
    written.chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(text: &str) -> String {
        match read(text) {
            Ok(read) => panic!("{text} is read as {read}"),
            Err(Problem { message, hint }) => format!("{message}: {hint}"),
        }
    }

    #[test]
    fn schedules_are_given_back_with_single_blanks() {
        for text in [
            "rate(1 minute)",
            "rate(15 minutes)",
            "rate(1 hour)",
            "rate(2 days)",
            "cron(0 6 * * ? *)",
            "cron(0/15 8-18 ? * MON-FRI *)",
            "cron(0 12 L * ? *)",
            "cron(5 0 1,15 JAN-mar,12 ? 2026-2030)",
            "cron(0 0 ? * 6L *)",
            "cron(0 0 ? * 2#1 *)",
            "cron(0 0 15W * ? *)",
            "cron(*/5 * * * ? 2026/2)",
        ] {
            assert_eq!(read(text).ok().as_deref(), Some(text), "{text}");
        }
        assert_eq!(read("  cron( 0  6 * * ?\t* ) ").ok().as_deref(), Some("cron(0 6 * * ? *)"));
        assert_eq!(read("rate( 5  minutes )").ok().as_deref(), Some("rate(5 minutes)"));
    }

    #[test]
    fn what_aws_would_refuse_is_told_with_what_to_write() {
        insta::assert_snapshot!(
            [
                "",
                "hourly",
                "rate(1 hours)",
                "rate(5 minute)",
                "rate(0 minutes)",
                "rate(-1 day)",
                "rate(30 seconds)",
                "rate(1hour)",
                "at(2026-12-24T18:00:00)",
                "0 6 * * *",
                "30 7 * * 1-5",
                "cron(0 6 * * *)",
                "cron(0 6 * *)",
                "cron(0 6 * * * *)",
                "cron(0 6 ? * ? *)",
                "cron(60 6 * * ? *)",
                "cron(0 24 * * ? *)",
                "cron(0 6 0 * ? *)",
                "cron(0 6 * 13 ? *)",
                "cron(0 6 ? * 0 *)",
                "cron(0 6 ? * MONDAY *)",
                "cron(0 6 * * ? 1969)",
                "cron(0/0 6 * * ? *)",
                "cron(? 6 * * ? *)",
                "cron(0 6 ? * 2#6 *)",
                "cron(1,,2 6 * * ? *)",
                "cron(+1 6 * * ? *)",
                "cron(0 6 * * ? *",
            ]
            .map(|text| format!("{text} → {}", hint(text)))
            .join("\n"), @r"
         → it is neither `rate(…)` nor `cron(…)`: write `rate(1 hour)`, or `cron(0 6 * * ? *)` for every day at six
        hourly → it is neither `rate(…)` nor `cron(…)`: write `rate(1 hour)`, or `cron(0 6 * * ? *)` for every day at six
        rate(1 hours) → AWS takes only the right form of the unit: write `rate(1 hour)`
        rate(5 minute) → AWS takes only the right form of the unit: write `rate(5 minutes)`
        rate(0 minutes) → `0` is no whole number above 0: write `rate(1 hour)` or `rate(5 minutes)`
        rate(-1 day) → `-1` is no whole number above 0: write `rate(1 hour)` or `rate(5 minutes)`
        rate(30 seconds) → `seconds` is no unit of a rate: the units are minutes, hours and days
        rate(1hour) → a rate is a number and a unit: write `rate(1 hour)` or `rate(5 minutes)`
        at(2026-12-24T18:00:00) → `at(…)` is one moment, and a release may be deployed again after it: start the run with `liminal run`, or write a schedule that recurs
        0 6 * * * → it is written as for cron on Unix: write `cron(0 6 * * ? *)`
        30 7 * * 1-5 → it is written as for cron on Unix: write `cron(30 7 ? * 1-5 *)`, with 1 for Sunday to 7 for Saturday
        cron(0 6 * * *) → cron has six fields here, and this has 5: write `cron(0 6 * * ? *)`
        cron(0 6 * *) → cron has six fields here, and this has 4: write minutes, hours, day of the month, month, day of the week and year: `cron(0 6 * * ? *)`
        cron(0 6 * * * *) → both the day of the month and the day of the week are named: write `?` for the one that does not matter
        cron(0 6 ? * ? *) → neither day is named: one of the day of the month and the day of the week is `?`, and the other one is not
        cron(60 6 * * ? *) → `60` is not allowed as the minute: it goes from 0 to 59
        cron(0 24 * * ? *) → `24` is not allowed as the hour: it goes from 0 to 23
        cron(0 6 0 * ? *) → `0` is not allowed as the day of the month: it goes from 1 to 31
        cron(0 6 * 13 ? *) → `13` is not allowed as the month: it goes from 1 to 12
        cron(0 6 ? * 0 *) → `0` is not allowed as the day of the week: it goes from 1 (Sunday) to 7 (Saturday), or SUN to SAT
        cron(0 6 ? * MONDAY *) → `MONDAY` is not allowed as the day of the week: it goes from 1 (Sunday) to 7 (Saturday), or SUN to SAT
        cron(0 6 * * ? 1969) → `1969` is not allowed as the year: it goes from 1970 to 2199
        cron(0/0 6 * * ? *) → `0/0` is not allowed as the minute: it goes from 0 to 59
        cron(? 6 * * ? *) → `?` is not allowed as the minute: it goes from 0 to 59
        cron(0 6 ? * 2#6 *) → `2#6` is not allowed as the day of the week: it goes from 1 (Sunday) to 7 (Saturday), or SUN to SAT
        cron(1,,2 6 * * ? *) → `1,,2` is not allowed as the minute: it goes from 0 to 59
        cron(+1 6 * * ? *) → `+1` is not allowed as the minute: it goes from 0 to 59
        cron(0 6 * * ? * → it is neither `rate(…)` nor `cron(…)`: write `rate(1 hour)`, or `cron(0 6 * * ? *)` for every day at six
        ");
    }

    #[test]
    fn time_zones_are_known_by_their_form() {
        for zone in [
            "UTC",
            "Europe/Berlin",
            "America/New_York",
            "America/Argentina/Buenos_Aires",
            "Etc/GMT+5",
            "America/Port-au-Prince",
            "CET",
        ] {
            assert!(problem_with_timezone(zone).is_none(), "{zone}");
        }
        let hint = |text| problem_with_timezone(text).map(|problem| problem.hint).expect("a problem");
        assert_eq!(hint("utc"), "did you mean `UTC`?");
        assert_eq!(hint("europe/berlin"), "did you mean `Europe/Berlin`?");
        assert_eq!(hint("America/new york"), "did you mean `America/New_York`?");
        for text in ["", "Berlin", "UTC+2", "+02:00", "Europe/", "Europa/Berlin", "Europe/ Berlin?", "/Berlin"] {
            assert!(!hint(text).is_empty(), "{text}");
        }
    }
}
