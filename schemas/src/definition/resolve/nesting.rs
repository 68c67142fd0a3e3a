//! Pipelines in pipelines: a step that is a pipeline becomes the steps of that pipeline, whose names then begin with its own.
//! What they name is what the step gives them; all that runs, plans and permissions know of is one graph.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::definition::model::ActionDefinition;
use crate::definition::model::Entry;
use crate::definition::model::PipelineDefinition;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Span;
use crate::finding::Spanned;
use crate::name::FieldName;
use crate::name::StepName;
use crate::release::ParamSpec;
use crate::step::ArtifactKind;
use crate::step::Condition;
use crate::step::InputSource;
use crate::step::Names;
use crate::step::ParamBinding;
use crate::step::StepSpec;
use crate::suggestion::closest;
use crate::value::Value;
use crate::value::ValueType;

use super::Edges;
use super::Peer;
use super::Resolver;
use super::Scope;
use super::Sub;
use super::inputs::Found;
use super::inputs::Referrer;
use super::inputs::no_param;

/// What a required input of a pipeline is written as.
const KINDS: [(&str, ArtifactKind); 2] = [("file", ArtifactKind::File), ("directory", ArtifactKind::Directory)];

/// Where a pipeline stands: by itself, or as a step of another one.
#[derive(Clone, Default)]
pub(super) struct Nesting {
    /// The step that it is; none for a pipeline by itself.
    prefix: Option<StepName>,
    /// What its parameters stand for, where that is not the parameter of the run of that name.
    params: BTreeMap<FieldName, ParamBinding>,
    /// What it is given.
    pub(super) inputs: BTreeMap<FieldName, Found>,
    /// The conditions under which it runs.
    pub(super) conditions: Vec<Condition>,
    /// Whether it starts when all other steps of the run are settled.
    pub(super) finally: bool,
}

impl Nesting {
    /// What names in a step of the pipeline stand for, as far as the step uses them.
    pub(super) fn names(&self, params: BTreeSet<&FieldName>, metrics: BTreeMap<StepName, StepName>) -> Names {
        let bound = params.into_iter().filter_map(|name| Some((name.clone(), self.params.get(name)?.clone())));
        Names { params: bound.collect(), metrics }
    }

    /// What a parameter of the pipeline stands for; none for the one of the run that has its name.
    fn param(&self, name: &FieldName) -> Option<ParamBinding> {
        self.params.get(name).cloned()
    }
}

impl Scope<'_> {
    /// The full name of a step that is named as the pipeline sees it; none when it would be too long, which is told elsewhere.
    pub(super) fn full(&self, step: &StepName) -> Option<StepName> {
        match &self.nesting.prefix {
            None => Some(step.clone()),
            Some(prefix) => prefix.inner(step).ok(),
        }
    }
}

/// Whether a pipeline can not run without being given something, so that it runs only as a part of others.
pub(super) fn is_part_only(pipeline: &PipelineDefinition) -> bool {
    pipeline.inputs.values().any(|entry| required(&entry.value.value).is_some())
}

fn required(text: &str) -> Option<ArtifactKind> {
    KINDS.iter().find(|(word, _)| *word == text).map(|(_, kind)| *kind)
}

impl<'a> Resolver<'a> {
    /// A pipeline by itself, with what it takes when nothing is given to it.
    pub(super) fn alone(&mut self, pipeline: &'a PipelineDefinition) -> Nesting {
        let mut nesting = Nesting::default();
        for (name, entry) in &pipeline.inputs {
            let found = match required(&entry.value.value) {
                // It stands for what is not known yet: no release is made of such a pipeline.
                Some(kind) => StepName::plain("inputs")
                    .ok()
                    .map(|step| Found { source: InputSource::Output { step, output: name.clone() }, kind: Some(kind) }),
                None => self.default_input(&entry.value),
            };
            nesting.inputs.extend(found.map(|found| (name.clone(), found)));
        }
        nesting
    }

    /// The steps of the pipeline that a step is. `used` are the parameters of the outer pipeline that are used here.
    pub(super) fn nested(
        &mut self,
        step: Referrer<'_, 'a>,
        edges: &mut Edges<'a>,
        used: &mut BTreeSet<FieldName>,
    ) -> BTreeMap<StepName, StepSpec> {
        let Referrer { scope, peer } = step;
        let definition = peer.definition;
        self.after(step, edges);
        let reads = self.conditions(step, edges);
        let ActionDefinition::Pipeline(named) = &definition.action else { return BTreeMap::new() };
        let Some((inner_name, Entry { value: inner, key })) = self.definition.pipelines.get_key_value(&named.value)
        else {
            return BTreeMap::new();
        };
        used.extend(reads.params.iter().cloned());
        let params = self.bound_params(step, (inner, key), used);
        let inputs = self.bound_inputs(step, (inner, key), edges);
        let (Some(prefix), Sub::Known(_)) = (scope.full(peer.name), &peer.sub) else { return BTreeMap::new() };
        let mut conditions = scope.nesting.conditions.clone();
        conditions.extend(definition.when.as_ref().map(|when| Condition {
            step: prefix.clone(),
            when: when.value.clone(),
            names: scope.nesting.names(reads.params.iter().collect(), reads.names),
            reads_metrics: reads.metrics,
            reads_params: reads.params,
        }));
        let finally = scope.nesting.finally || peer.finally;
        let nesting = Nesting { prefix: Some(prefix), params, inputs, conditions, finally };
        let inner_scope = self.scope(inner_name, inner, nesting);
        let (specs, inside) = self.steps_of(&inner_scope);
        // Parameters of the project that it neither declares nor is given are those of the run.
        let open = |name: &FieldName| !inner.params.contains_key(name) && !definition.params.contains_key(name);
        used.extend(inside.into_iter().filter(open));
        specs
    }

    fn bound_params(
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

    fn bound_inputs(
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

/// Writes down what waits for what without data from it: a step that is a pipeline stands for its first steps where it waits,
/// and for its last ones where others wait for it.
pub(super) fn wire(scope: &Scope<'_>, specs: &mut BTreeMap<StepName, StepSpec>) {
    for peer in scope.steps.values() {
        let targets = peer.definition.after.iter().filter_map(|target| scope.steps.get(target.value.as_str()));
        let targets: BTreeSet<StepName> = targets.flat_map(|target| last_of(scope, target, specs)).collect();
        put_after(scope, peer, &targets, specs);
    }
    if !scope.nesting.finally {
        return;
    }
    // All of it comes last in the run, and what stands under `finally:` in it comes last of that.
    let body = scope.steps.values().filter(|peer| !peer.finally);
    let body: BTreeSet<StepName> = body.flat_map(|peer| last_of(scope, peer, specs)).collect();
    let followed: BTreeSet<StepName> =
        body.iter().filter_map(|step| specs.get(step)).flat_map(StepSpec::parents).cloned().collect();
    let last: BTreeSet<StepName> = body.difference(&followed).cloned().collect();
    for peer in scope.steps.values().filter(|peer| peer.finally) {
        put_after(scope, peer, &last, specs);
    }
}

fn put_after(
    scope: &Scope<'_>,
    peer: &Peer<'_>,
    targets: &BTreeSet<StepName>,
    specs: &mut BTreeMap<StepName, StepSpec>,
) {
    for step in first_of(scope, peer, specs) {
        if let Some(spec) = specs.get_mut(&step) {
            spec.after.extend(targets.iter().filter(|target| **target != step).cloned());
        }
    }
}

/// The steps that a step stands for, but for those that end the run.
fn steps_in<'s>(
    scope: &'s Scope<'_>,
    peer: &'s Peer<'_>,
    specs: &'s BTreeMap<StepName, StepSpec>,
) -> BTreeMap<&'s StepName, &'s StepSpec> {
    let Some(full) = scope.full(peer.name) else { return BTreeMap::new() };
    let last = scope.nesting.finally || peer.finally;
    let within = |step: &StepName| *step == full || step.is_within(&full);
    specs.iter().filter(|(step, spec)| within(step) && (last || !spec.finally)).collect()
}

fn first_of(scope: &Scope<'_>, peer: &Peer<'_>, specs: &BTreeMap<StepName, StepSpec>) -> Vec<StepName> {
    let within = steps_in(scope, peer, specs);
    let is_first = |spec: &StepSpec| !spec.parents().into_iter().any(|parent| within.contains_key(parent));
    within.iter().filter(|(_, spec)| is_first(spec)).map(|(step, _)| (*step).clone()).collect()
}

fn last_of(scope: &Scope<'_>, peer: &Peer<'_>, specs: &BTreeMap<StepName, StepSpec>) -> Vec<StepName> {
    let within = steps_in(scope, peer, specs);
    let followed: BTreeSet<&StepName> = within.values().flat_map(|spec| spec.parents()).collect();
    within.keys().filter(|step| !followed.contains(**step)).map(|step| (*step).clone()).collect()
}

/// What keeps the steps of pipelines in each other from having names of their own in the cloud.
pub(super) fn clash(scope: &Scope<'_>, specs: &BTreeMap<StepName, StepSpec>) -> Option<Finding> {
    let mut seen: BTreeMap<String, &StepName> = BTreeMap::new();
    for step in specs.keys() {
        if let Some(other) = seen.insert(step.as_str().replace('/', crate::aws::names::STEP_SEPARATOR), step) {
            let top = |step: &StepName| step.as_str().split('/').next().map(str::to_owned).unwrap_or_default();
            let (one, two) = (scope.steps.get(top(step).as_str())?, scope.steps.get(top(other).as_str())?);
            let message = format!("steps {other} and {step} would have the same name in the cloud");
            let finding = Finding::error(Code::DuplicateKey, one.key, message).related(two.key, "the other is here");
            return Some(finding.hint("give one of them another name"));
        }
    }
    None
}
