//! References in arguments and environment variables.

use crate::definition::model::ActionDefinition;
use crate::definition::model::SpannedMap;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Span;
use crate::finding::Spanned;
use crate::name::FieldName;
use crate::suggestion::closest;
use crate::template::Part;
use crate::template::Reference;
use crate::template::Template;

use super::Peer;
use super::Resolver;
use super::Scope;
use super::inputs::no_param;

/// Where a template stands.
#[derive(Clone, Copy)]
enum Place<'a> {
    /// In an argument of a step.
    Argument(&'a Peer<'a>),
    /// In an environment variable of a step.
    Variable(&'a Peer<'a>),
    /// In an environment variable of several steps.
    SharedVariable,
}

impl<'a> Resolver<'a> {
    /// Checks the environment variables that all steps of a pipeline share.
    pub(super) fn check_shared_env(&mut self, scope: &Scope<'a>) {
        let definition = self.definition;
        let pipeline = scope.definition;
        for env in [&definition.env, &definition.defaults.env, &pipeline.env, &pipeline.defaults.env] {
            self.check_env(scope, env, Place::SharedVariable);
        }
    }

    /// Checks the arguments and the environment variables of a step.
    pub(super) fn check_templates(&mut self, scope: &Scope<'a>, step: &Peer<'a>) {
        if let ActionDefinition::Run(argv) = &step.definition.action {
            for item in &argv.value {
                self.check_template(scope, item, Place::Argument(step));
            }
        }
        self.check_env(scope, &step.definition.settings.env, Place::Variable(step));
    }

    fn check_env(&mut self, scope: &Scope<'_>, env: &SpannedMap<String, Spanned<Template>>, place: Place<'_>) {
        for entry in env.values() {
            self.check_template(scope, &entry.value, place);
        }
    }

    fn check_template(&mut self, scope: &Scope<'_>, template: &Spanned<Template>, place: Place<'_>) {
        let span = &template.span;
        for reference in template.value.references() {
            let problem = match (reference, place) {
                (Reference::Param(name), _) if !scope.params.contains_key(name) => {
                    Some(no_param(scope, name.as_str(), span))
                }
                (Reference::Input(_) | Reference::Output(_), Place::SharedVariable) => {
                    let message = format!("`{reference}` stands in the environment of several steps");
                    let finding = Finding::error(Code::UnknownReference, span, message);
                    Some(finding.hint("inputs and outputs belong to one step: move this variable to its `env:`"))
                }
                (Reference::Input(name), Place::Argument(step) | Place::Variable(step)) => {
                    let known = &step.definition.inputs;
                    let is_item = step.definition.map.as_ref().is_some_and(|map| map.value.input() == name.as_str());
                    (!is_item && !known.contains_key(name)).then(|| no_field(step, "input", name, known.keys(), span))
                }
                (Reference::Output(name), Place::Argument(step) | Place::Variable(step)) => {
                    let known = || step.outputs.iter().map(|output| output.name);
                    (!known().any(|known| known == name)).then(|| no_field(step, "output", name, known(), span))
                }
                (Reference::Secret(name), _) => self.secret_problem(name, template, place),
                (
                    Reference::Param(_)
                    | Reference::RunId
                    | Reference::ScheduledTime
                    | Reference::Partition
                    | Reference::StepName,
                    _,
                ) => None,
            };
            self.findings.extend(problem);
        }
    }

    fn secret_problem(&self, name: &FieldName, template: &Spanned<Template>, place: Place<'_>) -> Option<Finding> {
        let span = &template.span;
        let Some(_) = self.definition.secrets.get(name) else {
            let finding = Finding::error(Code::UnknownReference, span, format!("there is no secret `{name}`"));
            let known: Vec<&str> = self.definition.secrets.keys().map(FieldName::as_str).collect();
            let finding = match closest(name.as_str(), known.iter().copied()) {
                Some(meant) => finding.label(format!("did you mean `{meant}`?")),
                None => finding,
            };
            return Some(match known.as_slice() {
                [] => finding.hint(format!("declare it: `secrets: {{{name}: env:{}}}`", name.as_str().to_uppercase())),
                known => finding.hint(format!("secrets: {}", known.join(", "))),
            });
        };
        let message = match place {
            Place::Argument(_) => format!("secret {name} stands in an argument, where every process can read it"),
            Place::Variable(_) | Place::SharedVariable => {
                if matches!(template.value.parts(), [Part::Reference(_)]) {
                    return None;
                }
                format!("secret {name} is only a part of this value, so that it could not be hidden in logs")
            }
        };
        let hint =
            format!("make it the whole of an environment variable: `env: {{NAME: \"{{{{ secrets.{name} }}}}\"}}`");
        Some(Finding::error(Code::SecretPlace, span, message).hint(hint))
    }
}

fn no_field<'f>(
    step: &Peer<'_>,
    what: &str,
    name: &FieldName,
    known: impl IntoIterator<Item = &'f FieldName>,
    span: &Span,
) -> Finding {
    let message = format!("step {} has no {what} `{name}`", step.name);
    let finding = Finding::error(Code::UnknownReference, span, message);
    let known: Vec<&str> = known.into_iter().map(FieldName::as_str).collect();
    let finding = match closest(name.as_str(), known.iter().copied()) {
        Some(meant) => finding.label(format!("did you mean `{what}s.{meant}`?")),
        None => finding,
    };
    match known.as_slice() {
        [] => finding.hint(format!("step {} declares no {what}s", step.name)),
        known => finding.hint(format!("{what}s of {}: {}", step.name, known.join(", "))),
    }
}
