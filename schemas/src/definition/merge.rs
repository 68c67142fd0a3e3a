//! Laying one tree over another: a parent definition under its child, an environment over the project.
//!
//! Maps are merged key by key, everything else is replaced. Two places know better: a short parameter (`seed: 7`) over
//! a declared one gives another default and keeps type and bounds, and a step that is given another action loses the
//! one it had.

use super::decode::keys::ACTION_KEYS;
use super::decode::keys::PARAM_KEYS;
use super::yaml::Key;
use super::yaml::Kind;
use super::yaml::Node;

/// What kind of map is being merged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Project,
    Pipelines,
    Pipeline,
    Steps,
    Step,
    Params,
    Other,
}

impl Place {
    fn below(self, key: &str) -> Self {
        match (self, key) {
            (Self::Project | Self::Pipeline, "params") => Self::Params,
            (Self::Project, "pipelines") => Self::Pipelines,
            (Self::Pipelines, _) => Self::Pipeline,
            (Self::Pipeline, "steps" | "finally") => Self::Steps,
            (Self::Steps, _) => Self::Step,
            (Self::Project | Self::Pipeline | Self::Step | Self::Params | Self::Other, _) => Self::Other,
        }
    }
}

/// Lays a whole definition over another.
pub(super) fn overlay(base: Node, over: Node) -> Node {
    merge(Place::Project, base, over)
}

fn merge(place: Place, base: Node, over: Node) -> Node {
    match (base.kind, over.kind) {
        (Kind::Map(mut entries), Kind::Map(changes)) => {
            if place == Place::Step && changes.iter().any(|(key, _)| ACTION_KEYS.contains(&key.text.as_str())) {
                entries.retain(|(key, _)| !ACTION_KEYS.contains(&key.text.as_str()));
            }
            let small = entries.len() <= 16;
            let known: std::collections::HashMap<String, usize> = if small {
                std::collections::HashMap::new()
            } else {
                entries.iter().enumerate().map(|(index, (key, _))| (key.text.clone(), index)).collect()
            };
            for (key, value) in changes {
                let found = if small {
                    entries.iter().position(|(known, _)| known.text == key.text)
                } else {
                    known.get(&key.text).copied()
                };
                let Some(index) = found else {
                    entries.push((key, value));
                    continue;
                };
                let entry = &mut entries[index];
                let old = std::mem::replace(&mut entry.1, Node { span: key.span.clone(), kind: Kind::Null });
                entry.1 = if place == Place::Params {
                    overlay_param(old, value)
                } else {
                    merge(place.below(&key.text), old, value)
                };
                entry.0 = key;
            }
            Node { span: over.span, kind: Kind::Map(entries) }
        }
        // An empty key over a map (`env:` with nothing below) takes nothing away.
        (base_kind @ Kind::Map(_), Kind::Null) => Node { span: base.span, kind: base_kind },
        (_, over_kind) => Node { span: over.span, kind: over_kind },
    }
}

/// Lays a parameter over another of the same name.
pub(super) fn overlay_param(base: Node, over: Node) -> Node {
    let parts_only = match &over.kind {
        Kind::Map(entries) => entries.iter().all(|(key, _)| PARAM_KEYS.contains(&key.text.as_str())),
        Kind::Null
        | Kind::Bool(_)
        | Kind::Int(_)
        | Kind::Float(_)
        | Kind::Text { .. }
        | Kind::List(_)
        | Kind::Refused => false,
    };
    let declared = base.get("type").cloned();
    let is_map = matches!(&declared, Some(Node { kind: Kind::Text { text, .. }, .. }) if text == "map");
    if over.get("type").is_some() || matches!(over.kind, Kind::Null | Kind::Refused) {
        return if declared.is_some() { merge(Place::Other, base, over) } else { over };
    }
    if declared.is_some() && parts_only && !is_map {
        return merge(Place::Other, base, over);
    }
    let key = |text: &str| Key { text: text.to_owned(), span: over.span.clone() };
    let parts = if declared.is_some() {
        base
    } else {
        let Some(name) = type_of(&base.kind) else { return over };
        let text = Kind::Text { text: name.to_owned(), verbatim: None };
        let value_type = Node { span: base.span.clone(), kind: text };
        Node { span: base.span.clone(), kind: Kind::Map(vec![(key("type"), value_type), (key("default"), base)]) }
    };
    let change = Node { span: over.span.clone(), kind: Kind::Map(vec![(key("default"), over)]) };
    merge(Place::Other, parts, change)
}

fn type_of(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::Null | Kind::Refused => None,
        Kind::Bool(_) => Some("bool"),
        Kind::Int(_) => Some("int"),
        Kind::Float(_) => Some("float"),
        Kind::Text { .. } => Some("string"),
        Kind::List(_) => Some("list"),
        Kind::Map(_) => Some("map"),
    }
}
