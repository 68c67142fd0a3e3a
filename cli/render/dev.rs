//! What `liminal dev` prints: a line for each thing that happens.

use std::path::Path;

use liminal_functions::local::keeper::KeeperEvent;
use liminal_schemas::time::UtcTime;
use serde_json::json;

use super::units::count;

/// An event as a line for people: `07:50:12Z run 20261125-075012-… of nightly begins (schedule rate(1 minute))`.
pub(crate) fn line(event: &KeeperEvent, now: UtcTime, watched: &Path) -> String {
    let text = match event {
        KeeperEvent::Awaits { pipelines, schedules, objects, ends } => {
            let ends = match ends {
                0 => String::new(),
                ends => format!("; ends of {} are waited for", count(*ends, "pipeline")),
            };
            format!(
                "{} live, with {} and {} for files in {}{ends}",
                count(*pipelines, "pipeline"),
                count(*schedules, "schedule"),
                count(*objects, "trigger"),
                watched.display()
            )
        }
        KeeperEvent::Begins { pipeline, run, by } => {
            let by = by.as_ref().map(|by| format!(" ({by})")).unwrap_or_default();
            format!("run {run} of {pipeline} begins{by}")
        }
        KeeperEvent::Ended { pipeline, run, status } => format!("run {run} of {pipeline} {status}"),
        KeeperEvent::Left { pipeline, run } => format!("run {run} of {pipeline} is left for the next time"),
        KeeperEvent::Stuck { pipeline, run, problem } => {
            format!("run {run} of {pipeline} did not get to its end, and is tried again in a minute: {problem}")
        }
        KeeperEvent::Note(note) => note.clone(),
    };
    let time: String = now.to_string().chars().skip(11).take(8).collect();
    format!("{time}Z {}\n", text.replace(char::is_control, " "))
}

/// An event as a line of JSON.
pub(crate) fn json_line(event: &KeeperEvent, now: UtcTime) -> String {
    let time = now.to_string();
    let object = match event {
        KeeperEvent::Awaits { pipelines, schedules, objects, ends } => {
            json!({"event": "awaits", "time": time, "pipelines": pipelines, "schedules": schedules, "objects": objects, "ends": ends})
        }
        KeeperEvent::Begins { pipeline, run, by } => {
            json!({"event": "begins", "time": time, "pipeline": pipeline, "run": run, "by": by})
        }
        KeeperEvent::Ended { pipeline, run, status } => {
            json!({"event": "ended", "time": time, "pipeline": pipeline, "run": run, "status": status})
        }
        KeeperEvent::Left { pipeline, run } => {
            json!({"event": "left", "time": time, "pipeline": pipeline, "run": run})
        }
        KeeperEvent::Stuck { pipeline, run, problem } => {
            json!({"event": "stuck", "time": time, "pipeline": pipeline, "run": run, "problem": problem})
        }
        KeeperEvent::Note(note) => json!({"event": "note", "time": time, "note": note}),
    };
    format!("{object}\n")
}
