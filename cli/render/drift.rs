//! Drift as text.

use std::fmt::Write as _;

use liminal_infra::drift::Drift;
use liminal_infra::drift::Found;
use liminal_schemas::digest::Digest;
use liminal_schemas::name::PipelineName;

use super::style::Style;
use super::style::one_line;
use super::units::count;

/// What differs, thing by thing and field by field.
pub(crate) fn text(drift: &Drift, looked_at: usize, style: &Style) -> String {
    let mut text = String::new();
    for pointer in &drift.pointers {
        let found = pointer.found.map_or_else(|| "nothing".to_owned(), |found| found.short());
        let _ = writeln!(text, "{} live pointer of {}", style.warn("~"), pointer.pipeline);
        let _ = writeln!(text, "    revision  {} is recorded, {found} is there", pointer.recorded.short());
    }
    for (pipeline, revision) in &drift.releases {
        let _ = writeln!(text, "{} release {} of {pipeline}\n    it is gone", style.bad("-"), revision.short());
    }
    for resource in &drift.resources {
        let (kind, name) = (resource.address.kind.as_str(), one_line(&resource.name));
        let owner = style.dim(format!("(of {})", resource.owner));
        match &resource.found {
            Found::Gone => {
                let _ = writeln!(text, "{} {kind} {name} {owner}\n    it is gone", style.bad("-"));
            }
            Found::Changed(fields) => {
                let _ = writeln!(text, "{} {kind} {name} {owner}", style.warn("~"));
                for field in fields {
                    let (expected, found) = (one_line(&field.expected), one_line(&field.found));
                    let _ = writeln!(text, "    {}  {expected} is recorded, {found} is there", field.field);
                }
            }
        }
    }
    if drift.is_empty() {
        let _ = writeln!(text, "No drift: {} as recorded.", count(looked_at, "resource"));
    } else {
        let looked_at = count(looked_at, "resource");
        let _ = writeln!(text, "Drift: {} as recorded; {looked_at} looked at.", differ(drift.len()));
    }
    text
}

fn differ(things: usize) -> String {
    if things == 1 { "1 thing is not".to_owned() } else { format!("{things} things are not") }
}

/// The same for programs.
pub(crate) fn json(drift: &Drift, looked_at: usize) -> serde_json::Value {
    let resource = |resource: &liminal_infra::drift::DriftedResource| {
        let fields = match &resource.found {
            Found::Gone => Vec::new(),
            Found::Changed(fields) => fields
                .iter()
                .map(
                    |field| serde_json::json!({"field": field.field, "recorded": field.expected, "found": field.found}),
                )
                .collect(),
        };
        serde_json::json!({
            "address": resource.address,
            "name": resource.name,
            "owner": resource.owner,
            "gone": resource.found == Found::Gone,
            "fields": fields,
        })
    };
    let release =
        |(pipeline, revision): &(PipelineName, Digest)| serde_json::json!({"pipeline": pipeline, "revision": revision});
    let pointer = |pointer: &liminal_infra::drift::DriftedPointer| serde_json::json!({"pipeline": pointer.pipeline, "recorded": pointer.recorded, "found": pointer.found});
    serde_json::json!({
        "has_drift": !drift.is_empty(),
        "looked_at": looked_at,
        "resources": drift.resources.iter().map(resource).collect::<Vec<_>>(),
        "releases": drift.releases.iter().map(release).collect::<Vec<_>>(),
        "pointers": drift.pointers.iter().map(pointer).collect::<Vec<_>>(),
    })
}
