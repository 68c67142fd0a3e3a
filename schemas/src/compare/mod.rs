//! Comparing two keys of a step: what differs, by name, down to the file.
//!
//! `liminal why`, the forecast of a plan and the comparison of two runs all ask this one question, so that they always
//! give the same answer.

mod package;

use std::collections::BTreeMap;
use std::fmt::Display;

use crate::cache_key::CacheKeyParts;
use crate::cache_key::MapKey;
use crate::digest::Digest;
use crate::plan::RerunReason;
use crate::release::PackageSpec;
use crate::step::Action;
use crate::step::ArtifactKind;
use crate::step::InputSource;
use crate::step::OutputSpec;

/// The longest value that is shown in full, in characters.
const SHOWN_CHARS: usize = 80;

/// A cache key taken apart, with the document behind its package digest where that is at hand.
#[derive(Clone, Copy, Debug)]
pub struct KeyParts<'a> {
    /// The parts.
    pub parts: &'a CacheKeyParts,
    /// What the package digest stands for; without it a changed package is named as a whole.
    pub package: Option<&'a PackageSpec>,
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What, as a path: `code/steps/train.py`, `python.requirements`, `run[2]`, `env.TZ`, `params.seed`, `inputs.data`.
    pub what: String,
    /// Before; none when there was none. Digests and blob ids are shortened to eight digits.
    pub before: Option<String>,
    /// After; none when there is none.
    pub after: Option<String>,
}

impl From<Difference> for RerunReason {
    fn from(difference: Difference) -> Self {
        let Difference { what, before, after } = difference;
        Self::Changed { what, before, after }
    }
}

/// The first thing that differs, in the order of the key's parts: why a step runs again.
pub fn difference(before: KeyParts<'_>, after: KeyParts<'_>) -> Option<Difference> {
    differences(before, after).into_iter().next()
}

/// All that differs, in the order of the key's parts.
pub fn differences(before: KeyParts<'_>, after: KeyParts<'_>) -> Vec<Difference> {
    // Taken apart without `..`, so that a new part of the key can not be forgotten here.
    let CacheKeyParts { schema, action, package, env, outputs, params, bindings, inputs, metrics, map, secrets, run } =
        before.parts;
    let new = after.parts;
    let mut found = Differences::default();
    found.value("key schema", Some(schema), Some(&new.schema));
    compare_actions(action, &new.action, &mut found);
    if *package != new.package {
        let with = |digest: Option<_>, spec| digest.map(|digest| (digest, spec));
        package::compare(with(*package, before.package), with(new.package, after.package), &mut found);
    }
    found.maps("env.", env, &new.env, ToString::to_string);
    found.maps("outputs.", outputs, &new.outputs, shown_output);
    found.maps("params.", params, &new.params, ToString::to_string);
    found.maps("inputs.", bindings, &new.bindings, shown_binding);
    found.maps("inputs.", inputs, &new.inputs, Digest::short);
    found.maps("metrics.", metrics, &new.metrics, Digest::short);
    if *map != new.map {
        let shown = |map: &Option<MapKey>| map.as_ref().map(shown_map);
        found.push("map", shown(map), shown(&new.map));
    }
    found.maps("run.", run, &new.run, Clone::clone);
    found.maps("secrets.", secrets, &new.secrets, ToString::to_string);
    found.0
}

/// The differences so far.
#[derive(Default)]
struct Differences(Vec<Difference>);

impl Differences {
    fn push(&mut self, what: impl Into<String>, before: Option<String>, after: Option<String>) {
        self.0.push(Difference { what: what.into(), before: before.map(shorten), after: after.map(shorten) });
    }

    fn value<T: PartialEq + Display>(&mut self, what: impl Into<String>, before: Option<T>, after: Option<T>) {
        if before != after {
            self.push(what, before.map(|value| value.to_string()), after.map(|value| value.to_string()));
        }
    }

    fn maps<K: Ord + Display, V: PartialEq>(
        &mut self,
        prefix: &str,
        before: &BTreeMap<K, V>,
        after: &BTreeMap<K, V>,
        show: impl Fn(&V) -> String,
    ) {
        let mut names: Vec<&K> = before.keys().chain(after.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            let (old, new) = (before.get(name), after.get(name));
            if old != new {
                self.push(format!("{prefix}{name}"), old.map(&show), new.map(&show));
            }
        }
    }

    fn lists<T: PartialEq + Display>(&mut self, what: &str, before: &[T], after: &[T]) {
        for index in 0..before.len().max(after.len()) {
            self.value(format!("{what}[{index}]"), before.get(index), after.get(index));
        }
    }
}

fn compare_actions(before: &Action, after: &Action, found: &mut Differences) {
    match (before, after) {
        (Action::Run { argv }, Action::Run { argv: new }) => found.lists("run", argv, new),
        (Action::Call { module, function }, Action::Call { module: new_module, function: new_function }) => {
            let old = format!("{module}:{function}");
            found.value("call", Some(old), Some(format!("{new_module}:{new_function}")));
        }
        (Action::Gate { checks }, Action::Gate { checks: new }) => found.lists("gate", checks, new),
        (Action::Register { model, aliases }, Action::Register { model: new_model, aliases: new_aliases }) => {
            found.value("register.model", Some(model), Some(new_model));
            let joined = |aliases: &std::collections::BTreeSet<crate::name::FieldName>| {
                let names: Vec<&str> = aliases.iter().map(crate::name::FieldName::as_str).collect();
                names.join(", ")
            };
            found.value("register.aliases", Some(joined(aliases)), Some(joined(new_aliases)));
        }
        (
            Action::Run { .. } | Action::Call { .. } | Action::Gate { .. } | Action::Register { .. },
            Action::Run { .. } | Action::Call { .. } | Action::Gate { .. } | Action::Register { .. },
        ) => found.value("action", Some(before.keyword()), Some(after.keyword())),
    }
}

fn shown_output(output: &OutputSpec) -> String {
    match output.kind {
        ArtifactKind::File => output.path.clone(),
        ArtifactKind::Directory => format!("{}/", output.path),
    }
}

fn shown_binding(source: &InputSource) -> String {
    match source {
        InputSource::File { content, .. } => format!("{source} {}", content.short()),
        InputSource::Output { .. } | InputSource::Param { .. } | InputSource::Model { .. } | InputSource::Trigger => {
            source.to_string()
        }
    }
}

fn shown_map(map: &MapKey) -> String {
    match map.batch {
        None => map.over.to_string(),
        Some(batch) => format!("{}, {batch} at a time", map.over),
    }
}

fn shorten(text: String) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests;
