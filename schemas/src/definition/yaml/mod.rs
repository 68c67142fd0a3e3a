//! YAML: from bytes to a tree in which every node knows its place.
//!
//! Only the part of YAML that a definition needs is let through: one document of texts, numbers, booleans, lists and
//! maps with text keys. Anchors, aliases, merge keys, tags and non-finite numbers are refused by name, since each makes
//! a file mean something else than what it shows.

mod offsets;
mod scalar;
mod tree;

use std::sync::Arc;

use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Span;

/// The largest definition file, in bytes: far above what people write, and read well within 100 ms.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// The deepest nesting of lists and maps. A definition needs ten levels.
pub const MAX_DEPTH: usize = 64;

/// The most values in one file. A file of the largest size has about half as many; more would need memory for nothing.
pub const MAX_VALUES: usize = 100_000;

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it was written. For a block list or map this is its beginning: the first key or item.
    pub span: Span,
    /// What it is.
    pub kind: Kind,
}

/// A key of a map.
#[derive(Clone, Debug)]
pub struct Key {
    /// The key itself.
    pub text: String,
    /// Where it was written.
    pub span: Span,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number of 64 bits.
    Int(i64),
    /// A finite fraction.
    Float(f64),
    /// A text.
    Text {
        /// The text itself.
        text: String,
        /// Where in the file the text stands as it is; none when it was escaped or folded.
        verbatim: Option<usize>,
    },
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file.
    Map(Vec<(Key, Node)>),
    /// Something that a finding already speaks of.
    Refused,
}

impl Kind {
    /// What the node is called in messages.
    pub const fn what(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Text { .. } => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Refused => "something that is refused",
        }
    }
}

impl Node {
    /// The value under a key, when the node is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|(name, _)| name.text == key).map(|(_, value)| value),
            Kind::Null
            | Kind::Bool(_)
            | Kind::Int(_)
            | Kind::Float(_)
            | Kind::Text { .. }
            | Kind::List(_)
            | Kind::Refused => None,
        }
    }
}

/// Checks that the bytes of a file are text, and not too much of it.
///
/// # Errors
/// The finding to report.
pub fn decode_bytes(file: &str, bytes: Vec<u8>) -> Result<String, Box<Finding>> {
    if bytes.len() > MAX_FILE_BYTES {
        let message = format!("{file} has {} bytes, more than the {MAX_FILE_BYTES} that are read", bytes.len());
        let finding = Finding::error_without_place(Code::FileTooLarge, message);
        return Err(Box::new(finding.hint("spread the pipelines over several files with `include:`")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1;
        let message = format!("{file} is not UTF-8 from byte {offset} on, in line {line}");
        Box::new(Finding::error_without_place(Code::NotUtf8, message).hint("save the file as UTF-8"))
    })
}

/// Parses a file. The tree is missing after a syntax error, and whole (with [`Kind::Refused`] nodes) after others.
pub fn parse(file: &Arc<str>, text: &str, findings: &mut Vec<Finding>) -> Option<Node> {
    tree::build(file, text, findings)
}
