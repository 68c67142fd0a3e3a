//! Reading a definition: files are put together, an environment is laid over them, and the whole is decoded.

use super::decode;
use super::decode::Context;
use super::load::Loader;
use super::merge;
use super::model::Definition;
use crate::delivery::Template;
use crate::files::ProjectFiles;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Report;
use crate::finding::Span;
use crate::name::EnvironmentName;
use crate::suggestion;

/// The file that makes a folder a project.
pub const ROOT_FILE: &str = "liminal.yml";

/// The other name that [`ROOT_FILE`] may have.
const OTHER_ROOT_FILE: &str = "liminal.yaml";

/// The environment that always exists, and is meant when none is named.
pub const DEFAULT_ENVIRONMENT: &str = "local";

/// Reads the definition in a root file, [`ROOT_FILE`] as a rule, for an environment, [`DEFAULT_ENVIRONMENT`] if none.
///
/// The report has every problem that was found. There may be a definition all the same, so that more can be looked for:
/// it has all steps, parameters and outputs that others may refer to. It is fit for use only when the report
/// [has no errors](Report::has_errors).
pub fn read(
    files: &dyn ProjectFiles,
    root: &str,
    environment: Option<&EnvironmentName>,
) -> (Option<Definition>, Report) {
    let mut loader = Loader::new(files);
    let definition = read_with(&mut loader, root, environment);
    (definition, finished(loader))
}

/// The report of a loader that has loaded all there is to load.
pub(super) fn finished(loader: Loader<'_>) -> Report {
    let mut report = loader.report;
    report.findings.iter_mut().for_each(escape_control_characters);
    report.sort();
    report
}

/// Messages repeat what a file says, and a terminal would obey the control characters in it.
fn escape_control_characters(finding: &mut Finding) {
    let related = finding.related.as_mut().map(|(_, label)| label);
    for text in [&mut finding.message].into_iter().chain(&mut finding.label).chain(related).chain(&mut finding.hints) {
        if text.contains(char::is_control) {
            let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
            *text = text.chars().map(escape).collect();
        }
    }
}

fn read_with(loader: &mut Loader<'_>, root: &str, environment: Option<&EnvironmentName>) -> Option<Definition> {
    let root = root_file(loader.files, root);
    let tree = loader.load_chain(root)?;
    let mut tree = loader.include(tree);

    let mut whole = Context::default();
    let place = tree.get("environments").map(|node| node.span.clone());
    let mut environments = decode::environments(&mut tree, &mut whole);
    let chosen = chosen(environment)?;
    let known = decode::make_from_template(&mut environments, &chosen).is_some();
    if let Some(template) = environments.deliveries.get(&chosen).and_then(|delivery| delivery.template.as_ref())
        && template.name == chosen
    {
        loader.report.push(is_template(template, place.clone()));
    }
    if !known {
        let names: Vec<&str> = environments.overlays.keys().map(EnvironmentName::as_str).collect();
        loader.report.push(no_environment(&chosen, place, &names));
    }
    let mut overlay = None;
    for (name, other) in &mut environments.overlays {
        if *name == chosen {
            overlay = other.take();
        } else if let Some(other) = other.take() {
            let mut part = Context::part();
            decode::overlay_shape(other, &tree, &mut part);
            loader.report.findings.extend(part.findings);
        }
    }
    if let Some(overlay) = overlay {
        tree = merge::overlay(tree, overlay);
    }
    let definition = decode::project(tree, chosen, &environments, &mut whole);
    let complete = whole.is_complete() && loader.complete;
    loader.report.findings.extend(whole.findings);
    definition.filter(|_| complete && known)
}

/// The environment that is meant.
pub(super) fn chosen(environment: Option<&EnvironmentName>) -> Option<EnvironmentName> {
    match environment {
        Some(name) => Some(name.clone()),
        None => EnvironmentName::new(DEFAULT_ENVIRONMENT).ok(),
    }
}

/// The finding for an environment that is not among the known ones.
pub(super) fn no_environment(chosen: &EnvironmentName, place: Option<Span>, known: &[&str]) -> Finding {
    let message = format!("there is no environment `{chosen}`");
    let finding = Finding { span: place, ..Finding::error_without_place(Code::UnknownEnvironment, message) };
    let finding = match suggestion::closest(chosen.as_str(), known.iter().copied()) {
        Some(similar) => finding.hint(format!("did you mean `{similar}`?")),
        None => finding,
    };
    finding.hint(format!("known environments: {}", known.join(", ")))
}

/// The finding for a template that is used as if it were an environment.
pub(super) fn is_template(template: &Template, place: Option<Span>) -> Finding {
    let (name, prefix) = (&template.name, &template.prefix);
    let message = format!("the environment `{name}` is a template, which others are made from");
    let finding = Finding { span: place, ..Finding::error_without_place(Code::UnknownEnvironment, message) };
    finding.hint(format!("name one of those, as in `-e {prefix}1`"))
}

/// The root file, or its other name when only that is there.
pub(super) fn root_file<'a>(files: &dyn ProjectFiles, root: &'a str) -> &'a str {
    let there = |path: &str| !matches!(files.file(path), Ok(None));
    if root == ROOT_FILE && !there(root) && there(OTHER_ROOT_FILE) { OTHER_ROOT_FILE } else { root }
}
