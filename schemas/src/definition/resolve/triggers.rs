//! Triggers: that their runs have all they need, and that none is set off by what its own runs leave.

use std::collections::BTreeMap;

use crate::aws::names;
use crate::definition::model::TriggerDefinition;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Span;
use crate::name::FieldName;
use crate::platform::PlatformSpec;
use crate::trigger::Trigger;
use crate::trigger::TriggerSource;
use crate::value::Value;

use super::Resolver;
use super::Scope;
use super::inputs::no_param;

/// How the keys of liminal's own objects end, where they have a dot: see [`crate::keys`].
const OWN_EXTENSIONS: [&str; 3] = ["json", "zip", "log"];

impl<'a> Resolver<'a> {
    /// The triggers of a pipeline, in an order of their own: that of the file means nothing.
    pub(super) fn triggers(&mut self, scope: &Scope<'a>) -> Vec<Trigger> {
        let needing = object_input(scope);
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
            }
            let trigger = Trigger { on: definition.on.value.clone(), params: self.trigger_params(scope, definition) };
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

    fn trigger_params(&mut self, scope: &Scope<'a>, trigger: &TriggerDefinition) -> BTreeMap<FieldName, Value> {
        let mut params = BTreeMap::new();
        for (name, entry) in &trigger.params {
            let Some(spec) = scope.params.get(name) else {
                self.findings.push(no_param(scope, name.as_str(), &entry.key));
                continue;
            };
            let value = &entry.value;
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
        params
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

/// An input of the pipeline that is the object which started the run.
fn object_input<'s>(scope: &'s Scope<'_>) -> Option<&'s Span> {
    let inputs = scope.steps.values().flat_map(|peer| peer.definition.inputs.values());
    inputs.map(|entry| &entry.value).find(|input| input.value == "trigger.object").map(|input| &input.span)
}
