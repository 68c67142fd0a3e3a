//! Triggers: what starts a run without anybody calling.

use std::collections::BTreeMap;

use super::Context;
use super::fields::Fields;
use super::fields::shorten;
use super::keys;
use super::scalars::Problem;
use super::schedule;
use crate::definition::model::Entry;
use crate::definition::model::SpannedMap;
use crate::definition::model::TriggerDefinition;
use crate::definition::yaml::Key;
use crate::definition::yaml::Kind;
use crate::definition::yaml::Node;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Spanned;
use crate::name::FieldName;
use crate::name::PipelineName;
use crate::suggestion::closest;
use crate::trigger::RunEnd;
use crate::trigger::TriggerSource;
use crate::value::Value;

/// What a trigger can wait for.
const CAUSES: &[&str] = &["schedule", "object", "finished"];

/// The longest key of an object, in bytes: "Naming Amazon S3 objects" of the S3 user guide, 2026-11.
const MAX_KEY_BYTES: usize = 1024;

/// The time zone of a schedule that names none.
const DEFAULT_TIMEZONE: &str = "UTC";

impl Context {
    /// `triggers:`.
    pub(super) fn triggers(&mut self, node: Node) -> Vec<TriggerDefinition> {
        if let Kind::Map(_) = node.kind {
            let hint = "put it into a list: `triggers: [{schedule: \"rate(1 hour)\"}]`";
            self.wrong_type(&node, "the triggers", "a list", Some(hint));
            return Vec::new();
        }
        self.list(node, "the triggers", Self::trigger)
    }

    fn trigger(&mut self, node: Node) -> Option<TriggerDefinition> {
        let place = node.span.clone();
        let mut fields = Fields::open(node, &place, &keys::TRIGGER, self)?;
        let causes = fields.present(CAUSES);
        let (schedule, object, finished) = (fields.take("schedule"), fields.take("object"), fields.take("finished"));
        let (timezone, result) = (fields.take("timezone"), fields.take("result"));
        let params = fields
            .take("params")
            .map(|(_, node)| self.given_params(node, "the parameters of a trigger"))
            .unwrap_or_default();
        let known = self.findings.len();
        fields.finish(self);
        // A key that is not known may be one of those that are missing.
        let misspelt = self.findings.len() > known;
        match causes.as_slice() {
            [cause] => {
                self.refuse_setting(&timezone, cause, "schedule");
                self.refuse_setting(&result, cause, "finished");
            }
            [first, second, ..] => {
                let message = format!("a trigger waits for one thing, not for `{}` and `{}`", first.text, second.text);
                self.push(
                    Finding::error(Code::KeyNotApplicable, &second.span, message)
                        .related(&first.span, "the other one")
                        .hint("make two triggers of it: each item of the list starts runs of its own"),
                );
                return None;
            }
            [] if misspelt => return None,
            [] => {
                let message = "a trigger needs one of the keys `schedule`, `object` and `finished`";
                self.push(
                    Finding::error(Code::MissingKey, &place, message).hint(
                        "write `{schedule: \"rate(1 hour)\"}`, `{object: {prefix: in/}}` or `{finished: PIPELINE}`",
                    ),
                );
                return None;
            }
        }
        let on = match (schedule, object, finished) {
            (Some((_, schedule)), _, _) => self.schedule(schedule, timezone),
            (None, Some((key, object)), _) => self.object(&key, object),
            (None, None, Some((_, finished))) => self.finished(finished, result),
            (None, None, None) => None,
        };
        on.map(|on| TriggerDefinition { on, params })
    }

    /// Reports a key that means something to another kind of trigger alone.
    fn refuse_setting(&mut self, setting: &Option<(Key, Node)>, cause: &Key, of: &str) {
        if let Some((key, _)) = setting
            && cause.text != of
        {
            let message = format!("`{}` means nothing to a trigger with `{}`", key.text, cause.text);
            self.push(
                Finding::error(Code::KeyNotApplicable, &key.span, message)
                    .related(&cause.span, "because of this")
                    .hint("leave it out"),
            );
        }
    }

    /// `finished:`, with its `result:`.
    fn finished(&mut self, node: Node, result: Option<(Key, Node)>) -> Option<Spanned<TriggerSource>> {
        let pipeline = self.name(node, "the pipeline", PipelineName::new);
        let result = match result {
            Some((_, node)) => {
                let text = self.text(node, "the result")?;
                let Some(result) = RunEnd::ALL.into_iter().find(|known| known.as_str() == text.value) else {
                    let known = RunEnd::ALL.map(RunEnd::as_str);
                    let message = format!("no run ends as `{}`", shorten(&text.value));
                    let mut finding = Finding::error(Code::InvalidValue, &text.span, message);
                    if let Some(meant) = closest(&text.value, known) {
                        finding = finding.label(format!("did you mean `{meant}`?"));
                    }
                    self.push(finding.hint(format!("known are {}", known.join(", "))));
                    return None;
                };
                result
            }
            None => RunEnd::default(),
        };
        let Spanned { value: pipeline, span } = pipeline?;
        Some(Spanned::new(TriggerSource::Finished { pipeline, result, params: BTreeMap::new() }, span))
    }

    fn schedule(&mut self, node: Node, timezone: Option<(Key, Node)>) -> Option<Spanned<TriggerSource>> {
        let text = self.text(node, "the schedule");
        let zone = match timezone {
            Some((key, node)) => {
                self.checked(node, "a time zone", schedule::problem_with_timezone).map(|zone| (key, zone))
            }
            None => None,
        };
        let Spanned { value, span } = text?;
        let expression = match schedule::read(&value) {
            Ok(expression) => expression,
            Err(Problem { message, hint }) => {
                let message = format!("`{}` can not be a schedule: {message}", shorten(&value));
                self.invalid(&span, message, &hint);
                return None;
            }
        };
        if let Some((key, _)) = &zone
            && expression.starts_with("rate")
        {
            let message = "`timezone` has no effect on a rate, which counts from when it was deployed";
            self.push(
                Finding::warning(Code::KeyNotApplicable, &key.span, message)
                    .related(&span, "because of this")
                    .hint("leave it out, or name the time of day: `cron(0 6 * * ? *)`"),
            );
        }
        let timezone = zone.map_or_else(|| DEFAULT_TIMEZONE.to_owned(), |(_, zone)| zone.value);
        Some(Spanned::new(TriggerSource::Schedule { expression, timezone }, span))
    }

    fn object(&mut self, key: &Key, node: Node) -> Option<Spanned<TriggerSource>> {
        if let Kind::Text { text, .. } = &node.kind {
            let hint = format!("write `object: {{prefix: {}}}`", shorten(text));
            self.wrong_type(&node, "the object of a trigger", "a map", Some(&hint));
            return None;
        }
        let mut fields = Fields::open(node, &key.span, &keys::OBJECT, self)?;
        let bucket = fields.take("bucket").map(|(_, node)| self.bucket(node));
        let prefix =
            fields.take("prefix").map(|(_, node)| self.checked(node, "the beginning of a key", problem_with_prefix));
        let suffix = fields.take("suffix").map(|(_, node)| self.checked(node, "the end of a key", problem_with_part));
        let known = self.findings.len();
        fields.finish(self);
        // What is written but wrong was told of.
        if self.findings.len() > known
            || matches!(bucket, Some(None))
            || matches!(prefix, Some(None))
            || matches!(suffix, Some(None))
        {
            return None;
        }
        let (bucket, prefix, suffix) = (bucket.flatten(), prefix.flatten(), suffix.flatten());
        let place = prefix.as_ref().or(suffix.as_ref()).map_or_else(|| key.span.clone(), |text| text.span.clone());
        let text = |text: Option<Spanned<String>>| text.map(|text| text.value).unwrap_or_default();
        let (prefix, suffix) = (text(prefix), text(suffix));
        if bucket.is_none() && prefix.is_empty() && suffix.is_empty() {
            let message = "this trigger waits for every object in the bucket that liminal keeps its own objects in";
            self.push(
                Finding::error(Code::TriggerLoop, &key.span, message)
                    .hint("write what keys begin with, as in `object: {prefix: in/}`, or another `bucket:`"),
            );
            return None;
        }
        Some(Spanned::new(TriggerSource::Object { bucket, prefix, suffix }, place))
    }

    /// Parameters that a trigger, or a step that is a pipeline, gives values.
    pub(super) fn given_params(&mut self, node: Node, what: &str) -> SpannedMap<FieldName, Spanned<Value>> {
        let mut params = SpannedMap::new();
        for (key, node) in self.map(node, what).unwrap_or_default() {
            let span = node.span.clone();
            // A name that can be none is told of where parameters are looked up, along with those that there are.
            let Ok(name) = FieldName::new(&*key.text) else {
                let message = format!("there is no parameter `{}`", shorten(&key.text));
                self.push(Finding::error(Code::UnknownReference, &key.span, message));
                continue;
            };
            if let Some(value) = self.value(node) {
                params.insert(name, Entry { key: key.span, value: Spanned::new(value, span) });
            }
        }
        params
    }
}

pub(super) fn problem_with_prefix(text: &str) -> Option<Problem> {
    let hint = |better: &str| format!("write `{better}`");
    if let Some(rest) = text.strip_prefix("s3://") {
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        return Some(Problem::new("it is an address", format!("write `{{bucket: {bucket}, prefix: {key}}}`")));
    }
    match text.strip_prefix('/') {
        Some(rest) => Some(Problem::new("keys of objects begin with no `/`", hint(rest))),
        None => problem_with_part(text),
    }
}

/// What keeps a text from being a part of the key of an object, if anything does.
pub(super) fn problem_with_part(text: &str) -> Option<Problem> {
    if text.len() > MAX_KEY_BYTES {
        Some(Problem::new("a key has no more than 1024 bytes", "write less of it"))
    } else if text.contains('*') {
        let better = text.replace('*', "");
        Some(Problem::new(
            "S3 knows no `*` here",
            format!("write `{better}`: what comes before or behind it is free anyway"),
        ))
    } else if text.contains(char::is_control) {
        Some(Problem::new("it has control characters", "write it without"))
    } else {
        None
    }
}
