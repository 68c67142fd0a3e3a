//! Paths: all of them lead below some folder, never out of it.

use super::Context;
use crate::definition::yaml::Node;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Spanned;

/// What the paths of outputs are relative to, in messages.
const OUTPUT_FOLDER: &str = "the step's output folder";

/// The longest path, in bytes: leaves room for the folders above it.
const MAX_PATH_BYTES: usize = 512;

/// What is wrong with a path, if anything is.
pub(crate) fn problem_with(path: &str) -> Option<&'static str> {
    if path.is_empty() {
        Some("is empty")
    } else if path.len() > MAX_PATH_BYTES {
        Some("has more than 512 bytes")
    } else if path.starts_with('/') || path.starts_with('~') {
        Some("is absolute")
    } else if path.contains('\\') {
        Some("has a backslash")
    } else if path.chars().any(char::is_control) {
        Some("has a control character")
    } else if path.split('/').any(|part| part == "..") {
        Some("has `..` in it")
    } else if path.contains("//") {
        Some("has an empty part")
    } else if path.get(1..2) == Some(":") {
        Some("names a drive")
    } else {
        None
    }
}

/// A path without `.` parts; a `/` at its end stays. Empty for the folder itself.
pub(crate) fn normal(path: &str) -> String {
    let mut normal: Vec<&str> = path.split('/').filter(|part| *part != ".").collect();
    if normal == [""] {
        normal.clear();
    }
    normal.join("/")
}

impl Context {
    /// Where a step leaves something. An unsafe path is told of and kept: other steps refer to the output by name.
    pub(super) fn output_path(&mut self, node: Node, what: &str) -> Option<Spanned<String>> {
        let text = self.text(node, what)?;
        let path = normal(&text.value);
        let finding = if let Some(problem) = problem_with(&text.value) {
            Some(
                Finding::error(Code::UnsafePath, &text.span, format!("{what} {problem}"))
                    .hint(format!("write a path relative to {OUTPUT_FOLDER}, with `/` between its parts")),
            )
        } else if path.is_empty() {
            let message = format!("{what} is the whole of {OUTPUT_FOLDER}");
            Some(Finding::error(Code::UnsafePath, &text.span, message).hint("name something below it"))
        } else if text.value.contains("{{") {
            Some(
                Finding::error(Code::TemplateSyntax, &text.span, format!("{what} holds a template"))
                    .hint("templates are filled in in `run:` and `env:` alone; a path is always the same"),
            )
        } else {
            None
        };
        if let Some(finding) = finding {
            self.push(finding);
        }
        Some(Spanned::new(path, text.span))
    }

    /// A path below a folder that is not the folder itself.
    pub(super) fn path(&mut self, node: Node, what: &str, below: &str) -> Option<Spanned<String>> {
        let path = self.folder(node, what, below)?;
        if path.value.is_empty() {
            let message = format!("{what} is the whole of {below}");
            self.lose(Finding::error(Code::UnsafePath, &path.span, message).hint("name something below it"));
            return None;
        }
        Some(path)
    }

    /// A path below a folder, or `.` for the folder itself, which comes out empty.
    pub(super) fn folder(&mut self, node: Node, what: &str, below: &str) -> Option<Spanned<String>> {
        let text = self.text(node, what)?;
        if let Some(problem) = problem_with(&text.value) {
            self.lose(
                Finding::error(Code::UnsafePath, &text.span, format!("{what} {problem}"))
                    .hint(format!("write a path relative to {below}, with `/` between its parts")),
            );
            return None;
        }
        Some(Spanned::new(normal(&text.value), text.span))
    }
}
