//! Values as people write them: `10m`, `2 GiB`, the first digits of a digest.

use liminal_schemas::digest::Digest;
use liminal_schemas::step::CachePolicy;

/// A span in the largest unit that says it exactly.
pub(crate) fn seconds(seconds: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let unit = UNITS.iter().find(|(length, _)| seconds >= *length && seconds % length == 0);
    unit.map_or_else(|| format!("{seconds}s"), |(length, unit)| format!("{}{unit}", seconds / length))
}

/// A size in the largest unit that says it exactly.
pub(super) fn mebibytes(mebibytes: u64) -> String {
    if mebibytes >= 1024 && mebibytes % 1024 == 0 {
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

/// A digest short enough to be read.
pub(super) fn digest(digest: &Digest) -> String {
    digest.short()
}

/// A git blob id short enough to be read.
pub(super) fn blob(blob: &str) -> String {
    blob.chars().take(8).collect()
}
