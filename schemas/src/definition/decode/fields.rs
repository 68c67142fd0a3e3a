//! Taking a map apart: known keys are taken one by one, and what is left over is reported.

use super::Context;
use super::keys;
use super::keys::Shape;
use crate::definition::model::Entry;
use crate::definition::model::SpannedMap;
use crate::definition::yaml::Key;
use crate::definition::yaml::Kind;
use crate::definition::yaml::Node;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Span;
use crate::name::NameError;
use crate::suggestion::closest;

/// The keys of a map that are not taken yet.
pub(super) struct Fields {
    entries: Vec<(Key, Node)>,
    shape: &'static Shape,
    /// Where to report a key that is missing.
    pub(super) place: Span,
}

impl Fields {
    /// Opens a map; a missing value counts as an empty one. None, and a finding, for anything else.
    pub(super) fn open(node: Node, place: &Span, shape: &'static Shape, cx: &mut Context) -> Option<Self> {
        let entries = cx.map(node, shape.what)?;
        Some(Self { entries, shape, place: place.clone() })
    }

    /// Takes a key that may be there.
    pub(super) fn take(&mut self, key: &str) -> Option<(Key, Node)> {
        debug_assert!(self.shape.keys.contains(&key), "{key} is not in the list of keys of {}", self.shape.what);
        let index = self.entries.iter().position(|(name, _)| name.text == key)?;
        Some(self.entries.swap_remove(index))
    }

    /// Takes a key that must be there.
    pub(super) fn require(&mut self, key: &str, cx: &mut Context) -> Option<(Key, Node)> {
        let found = self.take(key);
        if found.is_none() && !cx.partial {
            let message = format!("{} needs the key `{key}`", self.shape.what);
            cx.lose(Finding::error(Code::MissingKey, &self.place, message).label(format!("`{key}` is missing")));
        }
        found
    }

    /// The keys among these that are there, in the order of the file.
    pub(super) fn present(&self, among: &[&str]) -> Vec<Key> {
        let mut keys: Vec<Key> = self.entries.iter().map(|(key, _)| key.clone()).collect();
        keys.retain(|key| among.contains(&key.text.as_str()));
        keys.sort_by_key(|key| key.span.start);
        keys
    }

    /// Reports the keys that nobody took.
    pub(super) fn finish(self, cx: &mut Context) {
        for (key, _) in &self.entries {
            if cx.is_full() {
                return;
            }
            let message = format!("{} has no key `{}`", self.shape.what, shorten(&key.text));
            let mut finding = Finding::error(Code::UnknownKey, &key.span, message);
            if let Some(similar) = closest(&key.text.to_lowercase().replace('-', "_"), self.shape.keys.iter().copied())
            {
                finding = finding.label(format!("did you mean `{similar}`?"));
            } else if let Some(hint) = keys::hint_for(&key.text) {
                finding = finding.hint(hint);
            }
            cx.push(finding.hint(format!("known keys: {}", self.shape.keys.join(", "))));
        }
    }
}

impl Context {
    /// The entries of a map; none, and a finding, for anything else.
    pub(super) fn map(&mut self, node: Node, what: &str) -> Option<Vec<(Key, Node)>> {
        match node.kind {
            Kind::Map(entries) => Some(entries),
            Kind::Null => Some(Vec::new()),
            Kind::Refused => {
                self.incomplete = true;
                None
            }
            kind @ (Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Text { .. } | Kind::List(_)) => {
                let message = format!("a map is needed for {what}, not {}", kind.what());
                let mut finding = Finding::error(Code::WrongType, &node.span, message);
                if let Kind::List(items) = &kind {
                    finding = finding.hint(hint_for_list(items));
                }
                self.lose(finding);
                None
            }
        }
    }

    /// Decodes a map whose keys are names. An entry with a bad name is decoded too, for what else is wrong with it.
    pub(super) fn named<K: Ord, V>(
        &mut self,
        node: Node,
        what: &str,
        name: impl Fn(&str) -> Result<K, NameError>,
        mut decode: impl FnMut(&mut Self, &Key, Node) -> Option<V>,
    ) -> SpannedMap<K, V> {
        let mut decoded = SpannedMap::new();
        for (key, value) in self.map(node, what).unwrap_or_default() {
            if self.is_full() {
                break;
            }
            let name = match name(&key.text) {
                Ok(name) => Some(name),
                Err(error) => {
                    self.lose(invalid_name(&error, &key.text, &key.span));
                    None
                }
            };
            let value = decode(self, &key, value);
            if let (Some(name), Some(value)) = (name, value) {
                decoded.insert(name, Entry { key: key.span, value });
            }
        }
        decoded
    }
}

/// The finding for a name that is not valid, with one that would be.
pub(super) fn invalid_name(error: &NameError, text: &str, span: &Span) -> Finding {
    let finding = Finding::error(Code::InvalidName, span, error.to_string());
    let mut better = String::new();
    for c in text.trim().chars().take(crate::name::MAX_NAME_CHARS) {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' {
            better.push(c);
        } else if !better.is_empty() && !better.ends_with('_') {
            better.push('_');
        }
    }
    let better = better.trim_matches('_');
    if better.starts_with(|c: char| c.is_ascii_lowercase()) && better != text {
        finding.hint(format!("`{better}` would do"))
    } else {
        finding
    }
}

/// A text short enough for a message.
pub(in crate::definition) fn shorten(text: &str) -> String {
    if text.chars().count() <= 60 {
        return text.to_owned();
    }
    let start: String = text.chars().take(57).collect();
    format!("{start}…")
}

fn hint_for_list(items: &[Node]) -> &'static str {
    let liminal = ["pipeline", "task", "service", "executor", "image"];
    if items.iter().any(|item| liminal.iter().any(|key| item.get(key).is_some())) {
        "this looks like an Apache Liminal definition: lists of named things are maps here, as in `train: {...}`"
    } else {
        "write `name: value` without the dash"
    }
}
