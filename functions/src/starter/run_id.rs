//! Ids of runs that nobody asked for by name: made from what started them, so that an event which is delivered twice starts
//! one run.

use liminal_schemas::digest::Digest;
use liminal_schemas::name::NameError;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::time::UtcTime;

/// How many characters of an id tell runs of one second apart: 40 bits, among the runs of one pipeline in one second.
const HASH_CHARS: usize = 10;

/// The id of the run of a pipeline that an object starts. `version` is whatever tells this content from an earlier one under
/// the same key.
///
/// # Errors
/// When the time has no four-digit year.
pub(super) fn of_object(
    pipeline: &PipelineName,
    bucket: &str,
    key: &str,
    version: &str,
    time: UtcTime,
) -> Result<RunId, NameError> {
    id(time, &Digest::of_document(&("object", pipeline, bucket, key, version)))
}

/// The id of the run of a pipeline that a schedule starts.
///
/// # Errors
/// When the time has no four-digit year.
pub(super) fn of_schedule(pipeline: &PipelineName, trigger: &Digest, time: UtcTime) -> Result<RunId, NameError> {
    id(time, &Digest::of_document(&("schedule", pipeline, trigger, time)))
}

/// The id of the run of a pipeline that the end of a run of another one starts.
///
/// # Errors
/// When the time has no four-digit year.
pub(super) fn of_end(
    pipeline: &PipelineName,
    ended: (&PipelineName, &RunId),
    ended_at: UtcTime,
) -> Result<RunId, NameError> {
    id(ended_at, &Digest::of_document(&("finished", pipeline, ended)))
}

/// `20261124-230239-0f3a5c7e91`: it sorts by the time of what started the run.
fn id(time: UtcTime, identity: &Digest) -> Result<RunId, NameError> {
    let time: String = time.to_string().chars().filter(char::is_ascii_digit).take(14).collect();
    let (day, clock) = time.split_at(time.len().min(8));
    let mut hash = identity.hex();
    hash.truncate(HASH_CHARS);
    RunId::new(format!("{day}-{clock}-{hash}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline(name: &str) -> PipelineName {
        PipelineName::new(name).expect("valid")
    }

    #[test]
    fn the_same_event_always_gives_the_same_id_and_every_other_one_another() {
        let time: UtcTime = "2026-11-24T23:02:39.512Z".parse().expect("a time");
        let object = |pipeline: &PipelineName, key: &str, version: &str| {
            of_object(pipeline, "bucket", key, version, time).expect("an id").to_string()
        };
        let train = pipeline("train");
        let id = object(&train, "in/a.csv", "v1");
        insta::assert_snapshot!(id, @"20261124-230239-dc9d337a52");
        assert_eq!(id, object(&train, "in/a.csv", "v1"));
        assert_ne!(id, object(&train, "in/a.csv", "v2"));
        assert_ne!(id, object(&train, "in/b.csv", "v1"));
        assert_ne!(id, object(&pipeline("other"), "in/a.csv", "v1"));
        let trigger = Digest::of_bytes(b"trigger");
        let scheduled = of_schedule(&train, &trigger, time).expect("an id").to_string();
        assert_ne!(id, scheduled);
        assert!(scheduled.starts_with("20261124-230239-"));
    }

    #[test]
    fn ids_sort_by_the_time_of_what_started_the_run() {
        let at = |text: &str| {
            let time: UtcTime = text.parse().expect("a time");
            of_object(&pipeline("train"), "bucket", "key", text, time).expect("an id")
        };
        assert!(at("2026-11-24T23:02:39Z") < at("2026-11-24T23:02:40Z"));
        assert!(at("2026-09-30T09:00:00+09:00") < at("2026-09-30T00:00:01Z"));
    }
}
