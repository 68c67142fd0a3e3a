//! Loading definition files: each is read once, checked, parsed, and kept for the report.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::decode::keys;
use super::yaml;
use super::yaml::Kind;
use super::yaml::Node;
use crate::files::ProjectFiles;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Report;
use crate::finding::Span;

/// The longest chain of `extends:`.
const MAX_PARENTS: usize = 8;

/// So much is read of a file before it is refused for its size: enough to say that the size is the reason.
const READ_LIMIT: usize = 8 * yaml::MAX_FILE_BYTES;

/// Files on their way to a tree.
pub(super) struct Loader<'a> {
    pub(super) files: &'a dyn ProjectFiles,
    pub(super) report: Report,
    /// The files that were asked for, whether they could be read or not.
    pub(super) seen: BTreeSet<String>,
    /// Whether all of them could be.
    pub(super) complete: bool,
}

impl<'a> Loader<'a> {
    pub(super) fn new(files: &'a dyn ProjectFiles) -> Self {
        Self { files, report: Report::default(), seen: BTreeSet::new(), complete: true }
    }

    /// Loads a file that is named at a place, or the root file, which is named nowhere.
    pub(super) fn load(&mut self, path: &str, place: Option<&Span>) -> Option<Node> {
        let tree = self.try_load(path, place);
        self.complete &= tree.is_some();
        tree
    }

    fn try_load(&mut self, path: &str, place: Option<&Span>) -> Option<Node> {
        self.seen.insert(path.to_owned());
        let at = |finding: Finding| match place {
            Some(place) => Finding { span: Some(place.clone()), ..finding },
            None => finding,
        };
        match self.files.file(path) {
            Ok(Some(_)) => {}
            Ok(None) => {
                let finding = Finding::error_without_place(Code::FileMissing, format!("{path} does not exist"));
                let hint = match place {
                    Some(_) => "paths are relative to the project folder",
                    None => "a project is a folder with this file in it; `liminal init` makes one",
                };
                self.report.push(at(finding.hint(hint)));
                return None;
            }
            Err(refused) => {
                let finding = Finding::error_without_place(Code::FileRefused, format!("{path} is not used: {refused}"));
                self.report.push(at(finding.hint("put a regular file there")));
                return None;
            }
        }
        let bytes = match self.files.read(path, READ_LIMIT) {
            Ok(bytes) => bytes,
            Err(why) => {
                let message = format!("{path} can not be read: {why}");
                self.report.push(at(Finding::error_without_place(Code::FileRefused, message)));
                return None;
            }
        };
        let text = match yaml::decode_bytes(path, bytes) {
            Ok(text) => text,
            Err(finding) => {
                self.report.push(at(*finding));
                return None;
            }
        };
        let file: Arc<str> = Arc::from(path);
        let tree = yaml::parse(&file, &text, &mut self.report.findings);
        self.report.sources.insert(path.to_owned(), text);
        let tree = tree?;
        match &tree.kind {
            Kind::Map(_) => Some(tree),
            Kind::Refused => None,
            Kind::Null => {
                self.report.push(
                    Finding::error(Code::WrongType, &tree.span, format!("{path} is empty"))
                        .hint(format!("a definition is a map with the keys {}", keys::PROJECT.keys.join(", "))),
                );
                None
            }
            kind @ (Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Text { .. } | Kind::List(_)) => {
                let message = format!("a map is needed for a definition, not {}", kind.what());
                self.report.push(Finding::error(Code::WrongType, &tree.span, message));
                None
            }
        }
    }

    /// Loads a definition and all that it extends, each laid over its parent.
    pub(super) fn load_chain(&mut self, root: &str) -> Option<Node> {
        let mut chain = vec![self.load(root, None)?];
        let mut paths = vec![root.to_owned()];
        while let Some((path, place)) = chain.last().and_then(parent_of) {
            let Some(path) = self.checked_path(&path, &place) else {
                self.complete = false;
                break;
            };
            if let Some(first) = paths.iter().position(|seen| *seen == path) {
                let mut circle: Vec<&str> = paths[first..].iter().map(String::as_str).collect();
                circle.push(&path);
                let message = format!("definitions extend each other: {}", circle.join(" → "));
                self.report.push(
                    Finding::error(Code::ExtendsCycle, &place, message)
                        .label("comes round to itself")
                        .hint("leave out one `extends:`; put what they share into a file that extends nothing"),
                );
                break;
            }
            if chain.len() > MAX_PARENTS {
                let message = format!("the chain of `extends` is longer than {MAX_PARENTS}");
                self.report.push(Finding::error(Code::ExtendsCycle, &place, message));
                break;
            }
            let Some(parent) = self.load(&path, Some(&place)) else { break };
            paths.push(path);
            chain.push(parent);
        }
        chain.into_iter().rev().reduce(super::merge::overlay)
    }

    /// A path as it is used, if it leads nowhere out of the project.
    pub(super) fn checked_path(&mut self, path: &str, place: &Span) -> Option<String> {
        if let Some(problem) = super::decode::path_problem(path) {
            self.report.push(
                Finding::error(Code::UnsafePath, place, format!("the path of a definition file {problem}"))
                    .hint("write a path relative to the project folder, with `/` between its parts"),
            );
            return None;
        }
        Some(super::decode::normal_path(path))
    }
}

/// What a definition extends, and where it says so. A value that is no text is for the decoder to report.
fn parent_of(node: &Node) -> Option<(String, Span)> {
    let parent = node.get("extends")?;
    match &parent.kind {
        Kind::Text { text, .. } => Some((text.clone(), parent.span.clone())),
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::List(_) | Kind::Map(_) | Kind::Refused => {
            None
        }
    }
}
