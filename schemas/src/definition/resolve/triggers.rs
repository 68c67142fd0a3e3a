//! Triggers: that their runs have all they need, and that none is set off by its own runs.

use std::collections::BTreeMap;

use crate::aws::names;
use crate::definition::model::TriggerDefinition;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Span;
use crate::map::ObjectFilter;
use crate::name::FieldName;
use crate::name::PipelineName;
use crate::name::StepName;
use crate::platform::PlatformSpec;
use crate::step::InputSource;
use crate::step::StepSpec;
use crate::trigger::EndFact;
use crate::trigger::Trigger;
use crate::trigger::TriggerSource;
use crate::value::Value;
use crate::value::ValueType;

use super::Resolver;
use super::Scope;
use super::containment::Link;
use super::containment::circles;
use super::containment::no_pipeline;
use super::inputs::no_param;
use super::nesting::is_part_only;

/// How the keys of liminal's own objects end, where they have a dot: see [`crate::keys`].
const OWN_EXTENSIONS: [&str; 3] = ["json", "zip", "log"];

impl<'a> Resolver<'a> {
    /// The triggers of a pipeline, in an order of their own: that of the file means nothing.
    pub(super) fn triggers(&mut self, scope: &Scope<'a>, specs: &BTreeMap<StepName, StepSpec>) -> Vec<Trigger> {
        let needing = object_input(scope, specs);
        let mut triggers: Vec<(Trigger, &Span)> = Vec::new();
        for definition in &scope.definition.triggers {
            let span = &definition.on.span;
            match &definition.on.value {
                TriggerSource::Schedule { .. } => {
                    if let Some(input) = needing {
                        let message = "runs that this schedule starts have no `trigger.object`, and a step needs it";
                        self.findings.push(
                            Finding::error(Code::TriggerFails, span, message)
                                .related(input, "this input")
                                .hint("put the steps that need an object into a pipeline of their own"),
                        );
                    }
                }
                TriggerSource::Object { bucket, prefix, suffix } => {
                    let waits = Waits { bucket: bucket.as_deref(), prefix, suffix };
                    self.findings.extend(self.own_objects(waits, span));
                }
                TriggerSource::Finished { pipeline, .. } => {
                    if let Some(input) = needing {
                        let message =
                            "runs that start when another has ended have no `trigger.object`, and a step needs it";
                        self.findings.push(
                            Finding::error(Code::TriggerFails, span, message)
                                .related(input, "this input")
                                .hint("put the steps that need an object into a pipeline of their own"),
                        );
                    }
                    self.findings.extend(self.never_ends(pipeline, span));
                }
            }
            if is_part_only(scope.definition) {
                let message =
                    format!("pipeline {} runs only as a part of others, since it must be given its inputs", scope.name);
                self.findings.push(
                    Finding::error(Code::TriggerFails, span, message)
                        .hint("give its inputs a default, or put the trigger into the pipeline that contains it"),
                );
            }
            let (params, facts) = self.trigger_params(scope, definition);
            let mut on = definition.on.value.clone();
            if let TriggerSource::Finished { params, .. } = &mut on {
                *params = facts;
            }
            let trigger = Trigger { on, params };
            match triggers.iter().find(|(other, _)| *other == trigger) {
                Some((_, first)) => {
                    let message = "this trigger is written twice, and would start every run twice";
                    self.findings.push(
                        Finding::error(Code::TriggerTwice, span, message)
                            .label("again here")
                            .related(first, "first here")
                            .hint("leave one of them out, or give it other `params:`"),
                    );
                }
                None => triggers.push((trigger, span)),
            }
        }
        let mut triggers: Vec<Trigger> = triggers.into_iter().map(|(trigger, _)| trigger).collect();
        triggers.sort_by_cached_key(|trigger| (trigger.on.clone(), trigger.digest()));
        triggers
    }

    /// The finding for a pipeline whose runs can not be waited for.
    fn never_ends(&self, pipeline: &PipelineName, span: &Span) -> Option<Finding> {
        let Some(entry) = self.definition.pipelines.get(pipeline) else {
            return Some(no_pipeline(self.definition, pipeline.as_str(), span));
        };
        is_part_only(&entry.value).then(|| {
            let message = format!("pipeline {pipeline} runs only as a part of others, so that no run of it ever ends");
            Finding::error(Code::TriggerFails, span, message)
                .related(&entry.key, "the pipeline is here")
                .hint("wait for a pipeline that contains it")
        })
    }

    /// Reports pipelines whose ends start each other.
    pub(super) fn check_trigger_circles(&mut self) {
        let definition = self.definition;
        let mut links = Vec::new();
        for (name, entry) in &definition.pipelines {
            for trigger in &entry.value.triggers {
                let TriggerSource::Finished { pipeline, .. } = &trigger.on.value else { continue };
                if let Some((ended, _)) = definition.pipelines.get_key_value(pipeline) {
                    links.push(Link { from: name, to: ended, step: None, span: &trigger.on.span });
                }
            }
        }
        for circle in circles(definition, &mut links) {
            let (Some(first), Some(last)) = (circle.first(), circle.last()) else { continue };
            // What ends comes first in words.
            let mut names: Vec<&str> = circle.iter().map(|link| link.from.as_str()).collect();
            names.push(last.to.as_str());
            names.reverse();
            let message = format!("pipelines start each other without end: {}", names.join(" → "));
            let finding = Finding::error(Code::TriggerCycle, last.span, message)
                .label(format!("the end of {} starts {} here", last.to, last.from));
            let finding = match circle.len() {
                1 => finding,
                _ => finding.related(first.span, format!("the end of {} starts {} here", first.to, first.from)),
            };
            self.findings.push(finding.hint("take one of these triggers out"));
        }
    }

    fn trigger_params(
        &mut self,
        scope: &Scope<'a>,
        trigger: &TriggerDefinition,
    ) -> (BTreeMap<FieldName, Value>, BTreeMap<FieldName, EndFact>) {
        let (mut params, mut facts) = (BTreeMap::new(), BTreeMap::new());
        let follows = matches!(trigger.on.value, TriggerSource::Finished { .. });
        for (name, entry) in &trigger.params {
            let Some(spec) = scope.params.get(name) else {
                self.findings.push(no_param(scope, name.as_str(), &entry.key));
                continue;
            };
            let value = &entry.value;
            let fact = match &value.value {
                Value::Text(text) if follows => EndFact::ALL.into_iter().find(|(word, _)| word == text),
                _ => None,
            };
            if let Some((word, fact)) = fact {
                if spec.value_type != ValueType::String {
                    let message =
                        format!("`{word}` is a text, and parameter `{name}` has the type {}", spec.value_type);
                    self.findings.push(Finding::error(Code::ParamValue, &value.span, message));
                }
                facts.insert(name.clone(), fact);
                continue;
            }
            let given = value.value.clone().coerce(spec.value_type).unwrap_or_else(|given| given);
            if let Some(problem) = spec.problem_with(&given) {
                let message = format!("the value of parameter `{name}` is not allowed: {problem}");
                self.findings.push(Finding::error(Code::ParamValue, &value.span, message));
                continue;
            }
            params.insert(name.clone(), given);
        }
        let missing: Vec<&str> = scope
            .params
            .iter()
            .filter(|(name, spec)| spec.default.is_none() && !trigger.params.contains_key(**name))
            .map(|(name, _)| name.as_str())
            .collect();
        if let [first, ..] = missing.as_slice() {
            let names = missing.join(", ");
            let message = format!("runs that this trigger starts have no value for {names}, and need one");
            self.findings.push(
                Finding::error(Code::TriggerFails, &trigger.on.span, message)
                    .hint(format!("set it here, `params: {{{first}: VALUE}}`, or give the parameter a default")),
            );
        }
        (params, facts)
    }

    /// The finding for a trigger that liminal's own objects would set off: its runs would start runs without end.
    fn own_objects(&self, waits: Waits<'_>, span: &Span) -> Option<Finding> {
        let project = &self.definition.project.value;
        if !self.is_own_bucket(waits.bucket) {
            return None;
        }
        let own = format!("{project}/");
        let message = if waits.prefix.starts_with(&own) {
            format!("objects below `{own}` are those that liminal keeps for this project")
        } else if own.starts_with(waits.prefix) && may_end_own_key(waits.suffix) {
            format!("this also waits for the objects below `{own}`, which liminal keeps for this project")
        } else {
            return None;
        };
        let finding = Finding::error(Code::TriggerLoop, span, message);
        Some(finding.hint("wait for objects with a prefix of their own, as in `prefix: in/`, or in another bucket"))
    }

    /// Reports objects that are liminal's own, or may be: what its runs leave is nothing to map over.
    pub(super) fn check_objects(&mut self, objects: &ObjectFilter, span: &Span) {
        let waits = Waits { bucket: objects.bucket.as_deref(), prefix: &objects.prefix, suffix: &objects.suffix };
        if self.own_objects(waits, span).is_some() {
            let message =
                format!("among these are the objects that liminal keeps below `{}/`", self.definition.project.value);
            self.findings.push(
                Finding::error(Code::InvalidValue, span, message)
                    .hint("name objects with a prefix of their own, as in `prefix: in/`, or another bucket"),
            );
        }
    }

    /// Whether a bucket is that of the environment, as far as the definition alone can tell.
    fn is_own_bucket(&self, bucket: Option<&str>) -> bool {
        let Some(bucket) = bucket else { return true };
        match &self.definition.platform {
            PlatformSpec::Local => false,
            PlatformSpec::Aws(aws) => match (&aws.bucket, &aws.account) {
                (Some(own), _) => own == bucket,
                (None, Some(account)) => names::default_bucket(account, &aws.region) == bucket,
                (None, None) => false,
            },
        }
    }
}

/// What a trigger waits for.
#[derive(Clone, Copy)]
struct Waits<'w> {
    bucket: Option<&'w str>,
    prefix: &'w str,
    suffix: &'w str,
}

/// Whether the key of an object that liminal keeps may end like this. Those without a dot end with a digest or an id.
fn may_end_own_key(suffix: &str) -> bool {
    suffix.rsplit_once('.').is_none_or(|(_, extension)| OWN_EXTENSIONS.contains(&extension))
}

/// An input of the pipeline that is the object which started the run, or the pipeline in it that has one.
fn object_input<'s>(scope: &'s Scope<'_>, specs: &BTreeMap<StepName, StepSpec>) -> Option<&'s Span> {
    let inputs = scope.steps.values().flat_map(|peer| peer.definition.inputs.values());
    let written =
        inputs.map(|entry| &entry.value).find(|input| input.value == "trigger.object").map(|input| &input.span);
    written.or_else(|| {
        let takes = |spec: &StepSpec| spec.inputs.values().any(|source| *source == InputSource::Trigger);
        let (step, _) = specs.iter().find(|(_, spec)| takes(spec))?;
        scope.steps.values().find(|peer| step.is_within(peer.name)).map(|peer| peer.key)
    })
}
