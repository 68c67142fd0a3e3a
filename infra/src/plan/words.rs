//! Values as people write them: `10m`, `2 GiB`.

use liminal_schemas::step::CachePolicy;

/// A span in the largest unit that says it exactly.
pub(super) fn seconds(seconds: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let unit = UNITS.iter().find(|(length, _)| seconds >= *length && seconds.is_multiple_of(*length));
    unit.map_or_else(|| format!("{seconds}s"), |(length, unit)| format!("{}{unit}", seconds / length))
}

/// A size in the largest unit that says it exactly.
pub(super) fn mebibytes(mebibytes: u64) -> String {
    if mebibytes >= 1024 && mebibytes.is_multiple_of(1024) {
        format!("{} GiB", mebibytes / 1024)
    } else {
        format!("{mebibytes} MiB")
    }
}

/// The cache policy as a definition writes it.
pub(super) fn cache(policy: &CachePolicy) -> String {
    match policy {
        CachePolicy::On => "on".to_owned(),
        CachePolicy::Off => "off".to_owned(),
        CachePolicy::MaxAge(age) => format!("at most {} old", seconds(*age)),
    }
}
