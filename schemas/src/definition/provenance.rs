//! Where each value of a merged definition was written.

use super::decode;
use super::decode::Context;
use super::load::Loader;
use super::merge;
use super::read;
use super::yaml::Kind;
use super::yaml::Node;
use crate::files::ProjectFiles;
use crate::finding::Report;
use crate::finding::Span;
use crate::name::EnvironmentName;

/// A value of a merged definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Where it stands in the definition: `pipelines.train.steps.fit.timeout`.
    pub path: String,
    /// The value as YAML would write it in one line.
    pub value: String,
    /// The file that it was written in.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

/// The values of a definition with an environment laid over it, in the order of the definition, each with the place that it
/// comes from. Values are checked no further than that they can be read.
///
/// # Errors
/// All that is wrong with what was read, or that there is no such environment.
pub fn provenance(
    files: &dyn ProjectFiles,
    root: &str,
    environment: Option<&EnvironmentName>,
) -> Result<Vec<Origin>, Box<Report>> {
    let mut loader = Loader::new(files);
    let tree = merged(&mut loader, root, environment);
    let report = read::finished(loader);
    let Some(tree) = tree.filter(|_| !report.has_errors()) else { return Err(Box::new(report)) };
    let mut origins = Vec::new();
    collect("", &tree, &report, &mut origins);
    Ok(origins)
}

fn merged(loader: &mut Loader<'_>, root: &str, environment: Option<&EnvironmentName>) -> Option<Node> {
    let root = read::root_file(loader.files, root);
    let tree = loader.load_chain(root)?;
    let mut tree = loader.include(tree);
    let mut cx = Context::default();
    let place = tree.get("environments").map(|node| node.span.clone());
    let mut environments = decode::environments(&mut tree, &mut cx);
    loader.report.findings.extend(cx.findings);
    let chosen = read::chosen(environment)?;
    let _ = decode::make_from_template(&mut environments, &chosen);
    let names: Vec<String> = environments.overlays.keys().map(ToString::to_string).collect();
    match environments.overlays.remove(&chosen) {
        Some(Some(overlay)) => Some(merge::overlay(tree, overlay)),
        Some(None) => Some(tree),
        None => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            loader.report.push(read::no_environment(&chosen, place, &names));
            None
        }
    }
}

fn collect(path: &str, node: &Node, report: &Report, origins: &mut Vec<Origin>) {
    match &node.kind {
        Kind::Map(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                let below = if path.is_empty() { key.text.clone() } else { format!("{path}.{}", key.text) };
                collect(&below, value, report, origins);
            }
        }
        Kind::List(items) if items.iter().any(|item| matches!(item.kind, Kind::Map(_) | Kind::List(_))) => {
            for (index, item) in items.iter().enumerate() {
                collect(&format!("{path}[{index}]"), item, report, origins);
            }
        }
        Kind::Map(_)
        | Kind::List(_)
        | Kind::Null
        | Kind::Bool(_)
        | Kind::Int(_)
        | Kind::Float(_)
        | Kind::Text { .. }
        | Kind::Refused => {
            let Span { file, .. } = &node.span;
            let line = report.position(&node.span).map_or(0, |position| position.line);
            origins.push(Origin { path: path.to_owned(), value: shown(node), file: file.to_string(), line });
        }
    }
}

/// A value in one line.
fn shown(node: &Node) -> String {
    match &node.kind {
        Kind::Null => "null".to_owned(),
        Kind::Bool(value) => value.to_string(),
        Kind::Int(value) => value.to_string(),
        Kind::Float(value) => value.to_string(),
        Kind::Text { text, .. } => serde_json::Value::from(text.as_str()).to_string(),
        Kind::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Kind::Map(_) => "{}".to_owned(),
        Kind::Refused => "?".to_owned(),
    }
}
