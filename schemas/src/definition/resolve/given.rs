//! What a step that is a pipeline gives to that pipeline: parameters and files, each held against what it declares.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::definition::model::PipelineDefinition;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Span;
use crate::finding::Spanned;
use crate::name::FieldName;
use crate::release::ParamSpec;
use crate::step::InputSource;
use crate::step::ParamBinding;
use crate::suggestion::closest;
use crate::value::Value;
use crate::value::ValueType;

use super::Edges;
use super::Resolver;
use super::Scope;
use super::inputs::Found;
use super::inputs::Referrer;
use super::inputs::no_param;
use super::nesting::KINDS;
use super::nesting::required;

impl<'a> Resolver<'a> {
    /// What the parameters of the pipeline stand for. `used` are those of the outer pipeline that are passed on.
    pub(super) fn bound_params(
        &mut self,
        step: Referrer<'_, 'a>,
        (inner, key): (&'a PipelineDefinition, &'a Span),
        used: &mut BTreeSet<FieldName>,
    ) -> BTreeMap<FieldName, ParamBinding> {
        let Referrer { scope, peer } = step;
        let known = super::params::effective(self.definition, inner);
        let mut bound = BTreeMap::new();
        for (name, entry) in &peer.definition.params {
            let Some(spec) = known.get(name) else {
                let finding = unknown("parameter", name, known.keys().copied(), &entry.key);
                self.findings.push(finding.related(key, "the pipeline is here"));
                continue;
            };
            let binding = match &entry.value.value {
                Value::Text(text) if text.starts_with("params.") => {
                    self.passed_on(scope, (name, spec), &entry.value, used)
                }
                _ => self.fixed((name, spec), &entry.value),
            };
            bound.extend(binding.map(|binding| (name.clone(), binding)));
        }
        for (name, spec) in &known {
            if peer.definition.params.contains_key(*name) {
                continue;
            }
            let binding = match inner.params.get(*name) {
                None => scope.nesting.param(name),
                Some(_) if spec.default.is_some() => spec.default.clone().map(ParamBinding::Value),
                Some(declared) => {
                    let message =
                        format!("step {} gives parameter `{name}` no value, and it has no default", peer.name);
                    self.findings.push(
                        Finding::error(Code::MissingKey, peer.key, message)
                            .related(&declared.key, "it is declared here")
                            .hint(format!("set it: `params: {{{name}: VALUE}}`")),
                    );
                    None
                }
            };
            bound.extend(binding.map(|binding| ((*name).clone(), binding)));
        }
        // A parameter that is passed on under its own name is that of the run.
        bound.retain(|name, binding| *binding != ParamBinding::Param(name.clone()));
        bound
    }

    /// A parameter of the outer pipeline that is passed on.
    fn passed_on(
        &mut self,
        scope: &Scope<'a>,
        (name, spec): (&FieldName, &ParamSpec),
        given: &Spanned<Value>,
        used: &mut BTreeSet<FieldName>,
    ) -> Option<ParamBinding> {
        let text = given.value.to_string();
        let outer = text.strip_prefix("params.").unwrap_or_default();
        let Some((outer, outer_spec)) = scope.params.iter().find(|(known, _)| known.as_str() == outer) else {
            self.findings.push(no_param(scope, outer, &given.span));
            return None;
        };
        used.insert((*outer).clone());
        let fits = match (outer_spec.value_type, spec.value_type) {
            (ValueType::Int, ValueType::Float) => true,
            (outer, inner) => outer == inner,
        };
        let default = outer_spec.default.clone();
        let problem = if fits {
            let coerced = default.map(|value| value.coerce(spec.value_type).unwrap_or_else(|value| value));
            coerced.and_then(|value| spec.problem_with(&value))
        } else {
            Some(format!("`params.{outer}` has the type {}, and {} is needed", outer_spec.value_type, spec.value_type))
        };
        if let Some(problem) = problem {
            let message = format!("the value of parameter `{name}` is not allowed: {problem}");
            self.findings.push(Finding::error(Code::ParamValue, &given.span, message));
            return None;
        }
        Some(scope.nesting.param(outer).unwrap_or_else(|| ParamBinding::Param((*outer).clone())))
    }

    fn fixed(&mut self, (name, spec): (&FieldName, &ParamSpec), given: &Spanned<Value>) -> Option<ParamBinding> {
        let value = given.value.clone().coerce(spec.value_type).unwrap_or_else(|given| given);
        if let Some(problem) = spec.problem_with(&value) {
            let message = format!("the value of parameter `{name}` is not allowed: {problem}");
            let finding = Finding::error(Code::ParamValue, &given.span, message);
            self.findings.push(finding.hint("a parameter of this pipeline is passed on by `params.NAME`"));
            return None;
        }
        Some(ParamBinding::Value(value))
    }

    /// What the pipeline is given.
    pub(super) fn bound_inputs(
        &mut self,
        step: Referrer<'_, 'a>,
        (inner, key): (&'a PipelineDefinition, &'a Span),
        edges: &mut Edges<'a>,
    ) -> BTreeMap<FieldName, Found> {
        let peer = step.peer;
        let mut bound = BTreeMap::new();
        for (name, entry) in &peer.definition.inputs {
            let found = self.reference(step, &entry.value, edges);
            let Some(declared) = inner.inputs.get(name) else {
                let finding = unknown("input", name, inner.inputs.keys(), &entry.key);
                self.findings.push(finding.related(key, "the pipeline is here"));
                continue;
            };
            let Some(found) = found else { continue };
            if let InputSource::Param { .. } = found.source {
                let message = format!("`{}` is a parameter, and the inputs of a pipeline are files", entry.value.value);
                let finding = Finding::error(Code::InvalidValue, &entry.value.span, message);
                self.findings
                    .push(finding.hint(format!("pass it on under `params:`: `{{{name}: {}}}`", entry.value.value)));
                continue;
            }
            let wanted = match required(&declared.value.value) {
                Some(kind) => Some(kind),
                None => self.default_input(&declared.value).and_then(|found| found.kind),
            };
            if let (Some(wanted), Some(given)) = (wanted, found.kind)
                && wanted != given
            {
                let word = |kind| KINDS.iter().find(|(_, known)| *known == kind).map_or("", |(word, _)| word);
                let message = format!("the input `{name}` is a {}, and this is a {}", word(wanted), word(given));
                self.findings.push(
                    Finding::error(Code::InvalidValue, &entry.value.span, message)
                        .related(&declared.key, "it is declared here"),
                );
            }
            bound.insert(name.clone(), found);
        }
        for (name, declared) in &inner.inputs {
            if peer.definition.inputs.contains_key(name) {
                continue;
            }
            if required(&declared.value.value).is_some() {
                let message = format!("step {} does not give the input `{name}`, which the pipeline needs", peer.name);
                self.findings.push(
                    Finding::error(Code::MissingKey, peer.key, message)
                        .related(&declared.key, "it is declared here")
                        .hint(format!("give it: `inputs: {{{name}: STEP.OUTPUT}}`")),
                );
            } else {
                bound.extend(self.default_input(&declared.value).map(|found| (name.clone(), found)));
            }
        }
        bound
    }
}

fn unknown<'n>(what: &str, name: &FieldName, known: impl Iterator<Item = &'n FieldName>, span: &Span) -> Finding {
    let known: Vec<&str> = known.map(FieldName::as_str).collect();
    let finding = Finding::error(Code::UnknownReference, span, format!("the pipeline has no {what} `{name}`"));
    let finding = match closest(name.as_str(), known.iter().copied()) {
        Some(meant) => finding.label(format!("did you mean `{meant}`?")),
        None => finding,
    };
    match known.as_slice() {
        [] => finding.hint(format!("it declares no {what}s")),
        known => finding.hint(format!("its {what}s: {}", known.join(", "))),
    }
}
