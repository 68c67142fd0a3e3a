//! Inputs: from references as written to where they come from.

use std::collections::BTreeMap;

use crate::definition::model::ActionDefinition;
use crate::digest::Digest;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Span;
use crate::finding::Spanned;
use crate::name::FieldName;
use crate::name::ModelName;
use crate::name::RESERVED_STEP_NAMES;
use crate::step::ArtifactKind;
use crate::step::InputSource;
use crate::step::ModelSelector;
use crate::step::REGISTERED_INPUT;
use crate::suggestion::closest;

use super::Edges;
use super::Peer;
use super::Resolver;
use super::Scope;
use super::Sub;
use super::files::Files;
use super::files::trimmed;
use super::packages::no_file;

/// The inputs of a step.
#[derive(Default)]
pub(super) struct Inputs {
    pub(super) sources: BTreeMap<FieldName, InputSource>,
    /// The project paths among them, which travel in the package.
    pub(super) paths: Vec<String>,
}

/// What a reference refers to.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) source: InputSource,
    /// Whether it is a file or a directory, as far as that is known.
    pub(super) kind: Option<ArtifactKind>,
}

impl Found {
    fn new(source: InputSource, kind: Option<ArtifactKind>) -> Self {
        Self { source, kind }
    }
}

/// The step that refers to something.
#[derive(Clone, Copy)]
pub(super) struct Referrer<'s, 'a> {
    pub(super) scope: &'s Scope<'a>,
    pub(super) peer: &'s Peer<'a>,
}

impl<'a> Resolver<'a> {
    pub(super) fn inputs(&mut self, step: Referrer<'_, 'a>, edges: &mut Edges<'a>) -> Inputs {
        let mut inputs = Inputs::default();
        for (name, entry) in &step.peer.definition.inputs {
            if let Some(Found { source, .. }) = self.reference(step, &entry.value, edges) {
                if let InputSource::File { path, .. } = &source {
                    inputs.paths.push(path.clone());
                }
                inputs.sources.insert(name.clone(), source);
            }
        }
        if let ActionDefinition::Register(register) = &step.peer.definition.action {
            self.registered(step, &register.artifact, edges, &mut inputs);
        }
        inputs
    }

    fn registered(
        &mut self,
        step: Referrer<'_, 'a>,
        artifact: &Spanned<String>,
        edges: &mut Edges<'a>,
        inputs: &mut Inputs,
    ) {
        let Ok(name) = FieldName::new(REGISTERED_INPUT) else { return };
        if let Some(other) = step.peer.definition.inputs.get(&name) {
            let message = format!("the input `{name}` of a registration is its artifact");
            let finding = Finding::error(Code::InvalidValue, &other.key, message);
            self.findings.push(finding.label("give this input another name").related(&artifact.span, "the artifact"));
        }
        match self.reference(step, artifact, edges).map(|found| found.source) {
            Some(source @ InputSource::Output { .. }) => drop(inputs.sources.insert(name, source)),
            Some(
                InputSource::Param { .. } | InputSource::Model { .. } | InputSource::Trigger | InputSource::File { .. },
            ) => {
                let message =
                    format!("`{}` is no output of a step, and only these become model versions", artifact.value);
                self.findings.push(
                    Finding::error(Code::InvalidValue, &artifact.span, message)
                        .hint("write the step and its output, as in `train.model`"),
                );
            }
            None => {}
        }
    }

    /// What a reference refers to.
    pub(super) fn reference(
        &mut self,
        step: Referrer<'_, 'a>,
        reference: &Spanned<String>,
        edges: &mut Edges<'a>,
    ) -> Option<Found> {
        let (text, span) = (reference.value.as_str(), &reference.span);
        if text.starts_with("./") || text.starts_with("../") || text == "." {
            return self.file_input(text, span);
        }
        match text.split_once('.') {
            Some(("params", name)) => self.param_input(step.scope, name, span).map(|found| Found::new(found, None)),
            Some(("models", rest)) => self.model_input(rest, span).map(|found| Found::new(found, None)),
            Some(("trigger", "object")) => Some(Found::new(InputSource::Trigger, Some(ArtifactKind::File))),
            Some(("inputs", name)) => self.pipeline_input(step.scope, name, span),
            Some(("trigger", other)) => {
                let message = format!("a trigger has no `{other}`");
                let finding = Finding::error(Code::UnknownReference, span, message);
                self.findings.push(finding.hint("`trigger.object` is the object that started the run"));
                None
            }
            Some(("secrets", name)) => {
                let message = "a secret can not be an input, since inputs are kept";
                let hint = format!("set it as an environment variable: `env: {{NAME: \"{{{{ secrets.{name} }}}}\"}}`");
                self.findings.push(Finding::error(Code::SecretPlace, span, message).hint(hint));
                None
            }
            Some((other, rest)) if !text.contains('/') && !RESERVED_STEP_NAMES.contains(&other) => {
                self.output_input(step, (other, rest), reference, edges)
            }
            Some(_) | None => {
                self.findings.push(no_reference(step.scope, text, span));
                None
            }
        }
    }

    /// What a pipeline takes as its input when nothing is given to it.
    pub(super) fn default_input(&mut self, reference: &Spanned<String>) -> Option<Found> {
        let (text, span) = (reference.value.as_str(), &reference.span);
        if text.starts_with("./") || text.starts_with("../") || text == "." {
            return self.file_input(text, span);
        }
        match text.split_once('.') {
            Some(("models", rest)) => self.model_input(rest, span).map(|found| Found::new(found, None)),
            Some(("trigger", "object")) => Some(Found::new(InputSource::Trigger, Some(ArtifactKind::File))),
            Some(_) | None => {
                let message = format!("`{text}` is nothing that a pipeline could take when nothing is given to it");
                self.findings.push(Finding::error(Code::UnknownReference, span, message).hint(
                    "write `./PATH`, `models.NAME` or `trigger.object`; or `file` or `directory` when it must be given",
                ));
                None
            }
        }
    }

    fn pipeline_input(&mut self, scope: &Scope<'_>, name: &str, span: &Span) -> Option<Found> {
        let declared = &scope.definition.inputs;
        if !declared.contains_key(name) {
            let pipeline = scope.name;
            let finding =
                Finding::error(Code::UnknownReference, span, format!("pipeline {pipeline} has no input `{name}`"));
            let known: Vec<&str> = declared.keys().map(FieldName::as_str).collect();
            let finding = match closest(name, known.iter().copied()) {
                Some(meant) => finding.label(format!("did you mean `inputs.{meant}`?")),
                None => finding,
            };
            self.findings.push(match known.as_slice() {
                [] => finding.hint(format!(
                    "declare what it is given: `pipelines: {{{pipeline}: {{inputs: {{{name}: file}}}}}}`"
                )),
                known => finding.hint(format!("its inputs: {}", known.join(", "))),
            });
        }
        // One that is declared but not given was told of.
        scope.nesting.inputs.get(name).cloned()
    }

    fn file_input(&mut self, text: &str, span: &Span) -> Option<Found> {
        let path = trimmed(text);
        let parts = || path.split('/').filter(|part| *part != ".");
        if parts().any(|part| part == "..")
            || path.contains(['\\', '\0'])
            || parts().any(str::is_empty) && !path.is_empty()
        {
            let message = format!("`{text}` is no path below the project");
            let hint = "write `./`, then a path relative to the project, with `/` between its parts";
            self.findings.push(Finding::error(Code::UnsafePath, span, message).hint(hint));
            return None;
        }
        let path = parts().collect::<Vec<_>>().join("/");
        match self.files.file_or_folder(&path) {
            Ok(files) => {
                let kind = if files.contains_key(&path) { ArtifactKind::File } else { ArtifactKind::Directory };
                Some(Found::new(InputSource::File { content: content(&path, &files), path }, Some(kind)))
            }
            Err(problem) => {
                self.findings.push(no_file(&self.files, &path, span, &problem));
                None
            }
        }
    }

    fn param_input(&mut self, scope: &Scope<'_>, name: &str, span: &Span) -> Option<InputSource> {
        let found = scope.params.keys().find(|known| known.as_str() == name);
        if found.is_none() {
            self.findings.push(no_param(scope, name, span));
        }
        found.map(|name| InputSource::Param { name: (*name).clone() })
    }

    fn model_input(&mut self, text: &str, span: &Span) -> Option<InputSource> {
        let (name, selector) = text.split_once('@').unwrap_or((text, ""));
        let selected = match selector {
            "" if !text.contains('@') => Ok(ModelSelector::Latest),
            "" => Err("a version or an alias is missing after `@`".to_owned()),
            digits if digits.starts_with(|c: char| c.is_ascii_digit()) => match digits.parse() {
                Ok(version) if version > 0 => Ok(ModelSelector::Version(version)),
                Ok(_) | Err(_) => Err(format!("`{digits}` is no version of a model: they are numbered from 1")),
            },
            alias => FieldName::new(alias).map(ModelSelector::Alias).map_err(|error| error.to_string()),
        };
        let named = ModelName::new(name).map_err(|error| error.to_string());
        match (named, selected) {
            (Ok(name), Ok(version)) => Some(InputSource::Model { name, version }),
            (Err(problem), _) | (_, Err(problem)) => {
                let hint = "write `models.NAME`, `models.NAME@3` or `models.NAME@ALIAS`";
                self.findings.push(Finding::error(Code::InvalidName, span, problem).hint(hint));
                None
            }
        }
    }

    fn output_input(
        &mut self,
        step: Referrer<'_, 'a>,
        (maker, output): (&str, &str),
        reference: &Spanned<String>,
        edges: &mut Edges<'a>,
    ) -> Option<Found> {
        let span = &reference.span;
        let Some(peer) = step.scope.steps.get(maker) else {
            self.findings.push(no_reference(step.scope, &reference.value, span));
            return None;
        };
        if matches!(peer.sub, Sub::Broken) {
            self.wait_for(step, peer, span, edges);
            return None;
        }
        let Some(offer) = peer.offer(output) else {
            self.findings.push(no_output(peer, output, span));
            return None;
        };
        let waits = self.wait_for(step, peer, span, edges);
        let full = step.scope.full(&offer.step).filter(|_| waits)?;
        Some(Found::new(InputSource::Output { step: full, output: offer.output }, Some(offer.kind)))
    }
}

/// The finding for an output that a step does not have.
pub(super) fn no_output(peer: &Peer<'_>, output: &str, span: &Span) -> Finding {
    let name = peer.name;
    let names = peer.output_names();
    let message = format!("step {name} has no output `{output}`");
    let mut finding = Finding::error(Code::UnknownReference, span, message).related(peer.key, "the step is here");
    if let Some(meant) = closest(output, names.iter().copied()) {
        finding = finding.label(format!("did you mean `{name}.{meant}`?"));
    }
    match (names.as_slice(), &peer.sub) {
        ([], Sub::Known(_)) => finding.hint(format!(
            "the pipeline that it is declares no outputs; add `outputs: {{{output}: STEP.OUTPUT}}` to that"
        )),
        ([], Sub::None | Sub::Broken) => {
            finding.hint(format!("step {name} declares no outputs; add `outputs: {{{output}: PATH}}` to it"))
        }
        (known, _) => finding.hint(format!("outputs of {name}: {}", known.join(", "))),
    }
}

/// The digest of what is at a project path: over the blob ids, by path below it.
fn content(path: &str, files: &Files) -> Digest {
    let below = |full: &str| full.strip_prefix(path).unwrap_or(full).trim_start_matches('/').to_owned();
    let listed: Files = files.iter().map(|(full, file)| (below(full), file.clone())).collect();
    Digest::of_document(&listed)
}

pub(super) fn no_param(scope: &Scope<'_>, name: &str, span: &Span) -> Finding {
    let finding = Finding::error(Code::UnknownReference, span, format!("there is no parameter `{name}`"));
    let known = || scope.params.keys().map(|name| name.as_str());
    let finding = match closest(name, known()) {
        Some(meant) => finding.label(format!("did you mean `{meant}`?")),
        None => finding,
    };
    match known().collect::<Vec<_>>().as_slice() {
        [] => finding.hint(format!("declare it: `params: {{{name}: DEFAULT}}`")),
        known => finding.hint(format!("parameters: {}", known.join(", "))),
    }
}

pub(super) fn no_step(scope: &Scope<'_>, name: &str, span: &Span) -> Finding {
    let finding = Finding::error(Code::UnknownReference, span, format!("there is no step `{name}` in this pipeline"));
    let known = || scope.steps.keys().copied();
    let finding = match closest(name, known()) {
        Some(meant) => finding.label(format!("did you mean `{meant}`?")),
        None => finding,
    };
    finding.hint(format!("steps: {}", known().collect::<Vec<_>>().join(", ")))
}

/// The finding for a text that refers to nothing, with what it may have been meant to be.
pub(super) fn no_reference(scope: &Scope<'_>, text: &str, span: &Span) -> Finding {
    if let Some(bare) = text.trim().strip_prefix("{{").and_then(|text| text.strip_suffix("}}")) {
        let message = "an input is a reference, not a template";
        return Finding::error(Code::UnknownReference, span, message).label(format!("write `{}`", bare.trim()));
    }
    if let Some(peer) = scope.steps.get(text) {
        let message = format!("`{text}` is a step, and an input is one of its outputs");
        let finding = Finding::error(Code::UnknownReference, span, message);
        return match peer.output_names().first() {
            Some(output) => finding.label(format!("write `{text}.{output}`")),
            None => finding.hint(format!("to wait for {text} without data from it, write `after: [{text}]`")),
        };
    }
    if scope.params.keys().any(|name| name.as_str() == text) {
        let message = format!("`{text}` is a parameter, and an input names what it is");
        return Finding::error(Code::UnknownReference, span, message).label(format!("write `params.{text}`"));
    }
    let outputs = || -> Vec<String> {
        let of = |peer: &Peer<'_>| -> Vec<String> {
            peer.output_names().iter().map(|output| format!("{}.{output}", peer.name)).collect()
        };
        scope.steps.values().flat_map(of).collect()
    };
    match text.split_once('.') {
        Some((step, _)) if !text.contains(['/', ':']) && !RESERVED_STEP_NAMES.contains(&step) => {
            let outputs = outputs();
            match closest(text, outputs.iter().map(String::as_str)) {
                Some(meant) => no_step(scope, step, span).label(format!("did you mean `{meant}`?")),
                None => no_step(scope, step, span),
            }
        }
        Some(_) | None => {
            let finding = Finding::error(Code::UnknownReference, span, format!("`{text}` refers to nothing"));
            let finding = if text.contains("://") {
                finding.label("addresses can not be inputs in this version")
            } else if text.contains('/') {
                finding.label(format!("for a file of the project write `./{text}`"))
            } else {
                finding
            };
            finding.hint(
                "write `STEP.OUTPUT`, `params.NAME`, `models.NAME`, `models.NAME@ALIAS`, `trigger.object` or `./PATH`",
            )
        }
    }
}
