//! Settings that stand at several levels: python, environment variables, retries, timeout, resources, cache.

use super::Context;
use super::fields::Fields;
use super::keys;
use crate::definition::model::Entry;
use crate::definition::model::PythonSettings;
use crate::definition::model::ResourcesDefinition;
use crate::definition::model::RetriesDefinition;
use crate::definition::model::SpannedMap;
use crate::definition::model::StepSettings;
use crate::definition::yaml::Kind;
use crate::definition::yaml::Node;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Span;
use crate::finding::Spanned;
use crate::step::CachePolicy;
use crate::step::Compute;
use crate::step::FailureClass;
use crate::suggestion::closest;
use crate::template::Template;

/// The most retries of a step.
const MAX_RETRIES: u32 = 100;

/// The longest first pause, in seconds. It doubles with each retry.
const MAX_BACKOFF_SECONDS: f64 = 3600.0;

/// The most job slots that a step may take.
const MAX_CPU: u32 = 1024;

/// What names of environment variables begin with that liminal sets itself.
const OWN_PREFIX: &str = "LIMINAL_";

impl Context {
    /// `defaults:`.
    pub(super) fn defaults(&mut self, node: Node, place: &Span) -> StepSettings {
        let Some(mut fields) = Fields::open(node, place, &keys::DEFAULTS, self) else {
            return StepSettings::default();
        };
        let settings = self.step_settings(&mut fields);
        fields.finish(self);
        settings
    }

    /// The settings of a step, whether under `defaults:` or its own.
    pub(super) fn step_settings(&mut self, fields: &mut Fields) -> StepSettings {
        StepSettings {
            retries: fields.take("retries").map(|(key, node)| self.retries(node, &key.span)),
            timeout_seconds: fields.take("timeout").and_then(|(_, node)| self.whole_seconds(&node, "the timeout")),
            resources: fields.take("resources").map(|(key, node)| self.resources(node, &key.span)).unwrap_or_default(),
            compute: fields.take("compute").and_then(|(_, node)| self.compute(node)),
            cache: fields.take("cache").and_then(|(key, node)| self.cache(node, &key.span)),
            env: fields.take("env").map(|(_, node)| self.env(node)).unwrap_or_default(),
        }
    }

    fn retries(&mut self, node: Node, place: &Span) -> RetriesDefinition {
        if let Kind::Int(_) = node.kind {
            return RetriesDefinition {
                max: self.whole(&node, "the number of retries", 0..=MAX_RETRIES),
                ..RetriesDefinition::default()
            };
        }
        let Some(mut fields) = Fields::open(node, place, &keys::RETRIES, self) else {
            return RetriesDefinition::default();
        };
        let retries = RetriesDefinition {
            max: fields.take("max").and_then(|(_, node)| self.whole(&node, "the number of retries", 0..=MAX_RETRIES)),
            backoff_seconds: fields.take("backoff").and_then(|(_, node)| {
                let seconds = self.duration(&node, "the backoff")?;
                if seconds > MAX_BACKOFF_SECONDS {
                    self.invalid(&node.span, "the backoff is longer than an hour", "it doubles with each retry anyway");
                }
                Some(seconds)
            }),
            jitter: fields.take("jitter").and_then(|(_, node)| {
                let share = self.number(&node, "the jitter")?;
                if !(0.0..=1.0).contains(&share) {
                    self.invalid(&node.span, format!("the jitter is {share}"), "a share from 0 to 1 is allowed");
                }
                Some(share)
            }),
            on: fields.take("on").map(|(_, node)| self.list(node, "the classes of failure", Self::failure_class)),
        };
        fields.finish(self);
        retries
    }

    fn failure_class(&mut self, node: Node) -> Option<FailureClass> {
        const RETRIED: [FailureClass; 4] =
            [FailureClass::User, FailureClass::Timeout, FailureClass::Infrastructure, FailureClass::Throttled];
        let text = self.text(node, "a class of failure")?;
        let found = RETRIED.into_iter().find(|class| class.as_str() == text.value);
        if found.is_none() {
            let message = format!("`{}` is no class of failure that can be retried", text.value);
            let hint = format!("known classes: {}", RETRIED.map(FailureClass::as_str).join(", "));
            let mut finding = Finding::error(Code::InvalidValue, &text.span, message);
            if let Some(similar) = closest(&text.value, RETRIED.map(FailureClass::as_str)) {
                finding = finding.label(format!("did you mean `{similar}`?"));
            }
            self.push(finding.hint(hint));
        }
        found
    }

    fn resources(&mut self, node: Node, place: &Span) -> ResourcesDefinition {
        let Some(mut fields) = Fields::open(node, place, &keys::RESOURCES, self) else {
            return ResourcesDefinition::default();
        };
        let resources = ResourcesDefinition {
            memory_mib: fields.take("memory").and_then(|(_, node)| self.size_mib(&node, "the memory")),
            cpu: fields.take("cpu").and_then(|(_, node)| self.whole(&node, "the number of job slots", 1..=MAX_CPU)),
            disk_mib: fields.take("disk").and_then(|(_, node)| self.size_mib(&node, "the disk space")),
        };
        fields.finish(self);
        resources
    }

    fn compute(&mut self, node: Node) -> Option<Spanned<Compute>> {
        self.word(node, "`compute`", Compute::ALL.map(|compute| (compute.as_str(), compute)))
    }

    fn cache(&mut self, node: Node, place: &Span) -> Option<CachePolicy> {
        match node.kind {
            Kind::Bool(true) => return Some(CachePolicy::On),
            Kind::Bool(false) => return Some(CachePolicy::Off),
            Kind::Map(_) => {}
            Kind::Null | Kind::Int(_) | Kind::Float(_) | Kind::Text { .. } | Kind::List(_) | Kind::Refused => {
                let hint = "write true, false or {max_age: 7d}";
                self.wrong_type(&node, "the cache setting", "a boolean or a map", Some(hint));
                return None;
            }
        }
        let mut fields = Fields::open(node, place, &keys::CACHE, self)?;
        let age = fields.require("max_age", self).and_then(|(_, node)| self.whole_seconds(&node, "the greatest age"));
        fields.finish(self);
        age.map(CachePolicy::MaxAge)
    }

    /// `env:`.
    pub(super) fn env(&mut self, node: Node) -> SpannedMap<String, Spanned<Template>> {
        let mut env = SpannedMap::new();
        for (key, value) in self.map(node, "the environment").unwrap_or_default() {
            if self.is_full() {
                break;
            }
            if let Some(problem) = problem_with_variable(&key.text) {
                let message = format!("`{}` is no environment variable: {problem}", super::fields::shorten(&key.text));
                self.push(Finding::error(Code::InvalidName, &key.span, message));
            }
            if let Some(value) = self.template(value, "an environment variable") {
                env.insert(key.text, Entry { key: key.span, value });
            }
        }
        env
    }

    /// `python:`.
    pub(super) fn python(&mut self, node: Node, place: &Span) -> PythonSettings {
        let Some(mut fields) = Fields::open(node, place, &keys::PYTHON, self) else {
            return PythonSettings::default();
        };
        let python = PythonSettings {
            version: fields.take("version").and_then(|(_, node)| self.python_version(node)),
            requirements: fields
                .take("requirements")
                .and_then(|(_, node)| self.path(node, "the requirements file", "the project folder")),
            root: fields.take("root").and_then(|(_, node)| self.folder(node, "the import root", "the project folder")),
            code: fields.take("code").map(|(_, node)| self.code(node)),
        };
        fields.finish(self);
        python
    }

    /// `code:`.
    pub(super) fn code(&mut self, node: Node) -> Vec<Spanned<String>> {
        self.list(node, "the code", |cx, node| cx.folder(node, "a code path", "the project folder"))
    }

    fn python_version(&mut self, node: Node) -> Option<Spanned<String>> {
        if let Kind::Float(_) | Kind::Int(_) = node.kind {
            let hint = "put it into quotes: without them 3.10 is the number 3.1";
            self.wrong_type(&node, "the python version", "a text", Some(hint));
            return None;
        }
        let version = self.text(node, "the python version")?;
        let numbers = version.value.strip_prefix(">=").unwrap_or(&version.value).trim_start();
        let parts: Vec<&str> = numbers.split('.').collect();
        let number =
            |part: &&str| !part.is_empty() && part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
        if !(2..=3).contains(&parts.len()) || !parts.iter().all(number) {
            let message = format!("`{}` is no python version", super::fields::shorten(&version.value));
            self.invalid(&version.span, message, "write \"3.11\" for that one, or \">=3.10\" for that or a newer one");
            return None;
        }
        let at_least = if version.value.starts_with(">=") { ">=" } else { "" };
        Some(Spanned::new(format!("{at_least}{numbers}"), version.span))
    }
}

/// What is wrong with the name of an environment variable, if anything is.
pub(super) fn problem_with_variable(name: &str) -> Option<&'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() {
        Some("it is empty")
    } else if name.len() > 200 {
        Some("it has more than 200 characters")
    } else if !name.chars().all(allowed) || name.starts_with(|c: char| c.is_ascii_digit()) {
        Some("only letters, digits and `_` are allowed, and no digit first")
    } else if name.starts_with(OWN_PREFIX) {
        Some("names that begin with LIMINAL_ are set by liminal")
    } else {
        None
    }
}
