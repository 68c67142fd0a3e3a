//! Quantities as people read them.

use liminal_schemas::time::UtcTime;

/// A span of time: `350 ms`, `1.2 s`, `2 m 03 s`, `1 h 02 m`, `3 d 04 h`. Less than nothing counts as nothing.
pub(crate) fn duration(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped, and the cast saturates")]
    let millis = (seconds.max(0.0) * 1000.0).round() as u64;
    let whole = (millis + 500) / 1000;
    match millis {
        0..1000 => format!("{millis} ms"),
        1000..59_950 => format!("{}.{} s", (millis + 50) / 1000, (millis + 50) / 100 % 10),
        59_950..3_599_500 => format!("{} m {:02} s", whole / 60, whole % 60),
        3_599_500..86_399_500 => format!("{} h {:02} m", whole / 3600, whole / 60 % 60),
        _ => format!("{} d {:02} h", whole / 86_400, whole / 3600 % 24),
    }
}

/// The time from one moment to another.
pub(crate) fn between(start: UtcTime, end: UtcTime) -> String {
    duration(end.seconds_since(start))
}

/// A size in bytes: `812 B`, `1.4 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let mut amount = bytes as f64 / 1024.0;
    let mut unit = 0;
    // 1023.95 would be shown as 1024.0.
    while amount >= 1023.95 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{amount:.1} {}", UNITS[unit])
}

/// How long ago something was: `just now`, `40 s ago`, `3 min ago`, `2 h ago`, `5 d ago`.
pub(crate) fn age(now: UtcTime, then: UtcTime) -> String {
    let seconds = now.millis().saturating_sub(then.millis()) / 1000;
    match seconds {
        ..5 => "just now".to_owned(),
        5..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// A measured number with at most six digits that matter: `0.993827`, `114`, `1.5e-9`.
pub(crate) fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs();
    if !value.is_finite() {
        return value.to_string();
    }
    if !(1e-4..1e15).contains(&magnitude) {
        let text = format!("{value:.5e}");
        return match text.split_once('e') {
            Some((mantissa, exponent)) => format!("{}e{exponent}", trim_zeros(mantissa)),
            None => text,
        };
    }
    #[expect(clippy::cast_possible_truncation, reason = "magnitudes here are between -4 and 15")]
    let digits_before = magnitude.log10().floor() as i32 + 1;
    let decimals = usize::try_from(6 - digits_before).unwrap_or(0);
    trim_zeros(&format!("{value:.decimals$}"))
}

fn trim_zeros(text: &str) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
}

/// A count and its noun: `1 step`, `8 steps`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// The first eight digits of a commit id.
pub(crate) fn short_commit(commit: &str) -> String {
    commit.chars().take(8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        let shown = [0.0, -1.0, 0.3504, 1.234, 59.94, 59.96, 123.4, 3599.7, 3720.0, 273_600.0].map(duration);
        assert_eq!(
            shown,
            ["0 ms", "0 ms", "350 ms", "1.2 s", "59.9 s", "1 m 00 s", "2 m 03 s", "1 h 00 m", "1 h 02 m", "3 d 04 h"]
        );
    }

    #[test]
    fn sizes_change_unit_before_they_need_four_digits() {
        let shown = [0, 1023, 1024, 1_468_006, 1024 * 1024 - 1, u64::MAX].map(bytes);
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "1.4 MiB", "1.0 MiB", "16.0 EiB"]);
    }

    #[test]
    fn ages_are_rough_and_a_clock_that_lags_does_no_harm() {
        let now = UtcTime::from_millis(1_000_000_000);
        let ago = |seconds: i64| age(now, now.plus_millis(-seconds * 1000));
        assert_eq!(
            [-60, 4, 40, 200, 7300, 500_000].map(ago),
            ["just now", "just now", "40 s ago", "3 min ago", "2 h ago", "5 d ago"]
        );
    }

    #[test]
    fn numbers_keep_six_digits() {
        let shown = [0.0, 0.993_827_160_5, 1.0, 114.0, -2.5, 123_456_789.0, 1.5e-9, 3e20, f64::NAN].map(number);
        assert_eq!(shown, ["0", "0.993827", "1", "114", "-2.5", "123456789", "1.5e-9", "3e20", "NaN"]);
    }
}
