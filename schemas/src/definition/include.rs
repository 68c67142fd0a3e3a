//! `include:` puts the pipelines of further files beside those of the definition.

use globset::GlobBuilder;

use super::decode;
use super::load::Loader;
use super::yaml::Key;
use super::yaml::Kind;
use super::yaml::Node;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Span;

/// The most files that one definition may consist of.
const MAX_FILES: usize = 10_000;

impl Loader<'_> {
    /// Loads the included files and adds their pipelines to a definition.
    pub(super) fn include(&mut self, mut root: Node) -> Node {
        let Some(patterns) = root.get("include") else { return root };
        // Items of other kinds are for the decoder to report.
        let Kind::List(items) = &patterns.kind else { return root };
        let patterns: Vec<(String, Span)> = items
            .iter()
            .filter_map(|item| match &item.kind {
                Kind::Text { text, .. } => Some((text.clone(), item.span.clone())),
                Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) => None,
                Kind::List(_) | Kind::Map(_) | Kind::Refused => None,
            })
            .collect();
        let mut included = Vec::new();
        for (pattern, place) in &patterns {
            for path in self.matches(pattern, place) {
                if self.seen.contains(&path) {
                    continue;
                }
                if self.seen.len() >= MAX_FILES {
                    let message = format!("more than {MAX_FILES} files are included");
                    self.report.push(Finding::error(Code::FileTooLarge, place, message));
                    return root;
                }
                if let Some(node) = self.load(&path, Some(place)) {
                    let (pipelines, findings) = decode::included(node);
                    self.report.findings.extend(findings);
                    included.extend(pipelines);
                }
            }
        }
        self.add_pipelines(&mut root, included);
        root
    }

    /// The files that a pattern means.
    fn matches(&mut self, pattern: &str, place: &Span) -> Vec<String> {
        let Some(pattern) = self.checked_path(pattern, place) else { return Vec::new() };
        let Some(special) = pattern.find(['*', '?', '[', '{']) else { return vec![pattern] };
        let matcher = match GlobBuilder::new(&pattern).literal_separator(true).build() {
            Ok(glob) => glob.compile_matcher(),
            Err(error) => {
                let message = format!("the pattern can not be read: {}", error.kind());
                self.report.push(Finding::error(Code::InvalidValue, place, message));
                return Vec::new();
            }
        };
        let folder = pattern[..special].rfind('/').map_or("", |slash| &pattern[..slash]);
        let files = match self.files.under(folder) {
            Ok(files) => files,
            Err((path, refused)) => {
                let message = format!("{path} is not used: {refused}");
                self.report.push(Finding::error(Code::FileRefused, place, message));
                return Vec::new();
            }
        };
        let paths: Vec<String> =
            files.into_iter().map(|(path, _)| path).filter(|path| matcher.is_match(path)).collect();
        if paths.is_empty() {
            let message = format!("`{pattern}` matches no file");
            self.report.push(
                Finding::warning(Code::FileMissing, place, message).hint("patterns are relative to the project folder"),
            );
        }
        paths
    }

    fn add_pipelines(&mut self, root: &mut Node, included: Vec<(Key, Node)>) {
        let Kind::Map(entries) = &mut root.kind else { return };
        let index = entries.iter().position(|(key, _)| key.text == "pipelines").unwrap_or_else(|| {
            let span = root.span.clone();
            let key = Key { text: "pipelines".to_owned(), span: span.clone() };
            entries.push((key, Node { span, kind: Kind::Map(Vec::new()) }));
            entries.len() - 1
        });
        let node = &mut entries[index].1;
        if let Kind::Null = node.kind {
            node.kind = Kind::Map(Vec::new());
        }
        let Kind::Map(pipelines) = &mut node.kind else { return };
        let mut known: std::collections::HashMap<String, Span> =
            pipelines.iter().map(|(key, _)| (key.text.clone(), key.span.clone())).collect();
        for (key, pipeline) in included {
            if let Some(first) = known.get(&key.text) {
                let message = format!(
                    "pipeline `{}` is defined in {} and in {}",
                    decode::shorten(&key.text),
                    first.file,
                    key.span.file
                );
                self.report.push(
                    Finding::error(Code::IncludeConflict, &key.span, message)
                        .label("again here")
                        .related(first, "first here")
                        .hint("rename one of them, or leave one out"),
                );
                continue;
            }
            known.insert(key.text.clone(), key.span.clone());
            pipelines.push((key, pipeline));
        }
    }
}
