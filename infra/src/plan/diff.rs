//! What differs between two releases, field by field, and whether it makes a step run again.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Display;

use liminal_schemas::cache_key::CacheKeyParts;
use liminal_schemas::cache_key::KeyContext;
use liminal_schemas::compare;
use liminal_schemas::compare::Difference;
use liminal_schemas::compare::KeyParts;
use liminal_schemas::digest::Digest;
use liminal_schemas::name::FieldName;
use liminal_schemas::plan::ChangeAction;
use liminal_schemas::plan::FieldChange;
use liminal_schemas::plan::StepChange;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::release::ParamSpec;
use liminal_schemas::release::Release;
use liminal_schemas::release::SecretRef;
use liminal_schemas::run_policy::RunPolicy;
use liminal_schemas::step::InputSource;
use liminal_schemas::step::ParamBinding;
use liminal_schemas::step::StepSpec;
use liminal_schemas::template::Reference;
use liminal_schemas::template::Template;
use liminal_schemas::value::Value;

use super::words;

/// The packages that steps name, before and after.
#[derive(Clone, Copy)]
pub struct Packages<'a> {
    /// Those that the earlier release names.
    pub before: &'a BTreeMap<Digest, PackageSpec>,
    /// Those that the later release names.
    pub after: &'a BTreeMap<Digest, PackageSpec>,
}

/// What differs between two releases.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReleaseDifference {
    /// About the pipeline itself.
    pub fields: Vec<FieldChange>,
    /// Step by step.
    pub steps: Vec<StepChange>,
    /// How many steps are the same.
    pub unchanged_steps: usize,
}

/// Compares two releases; none stands for one that does not exist, or is not known.
pub fn releases(before: Option<&Release>, after: Option<&Release>, packages: Packages<'_>) -> ReleaseDifference {
    let mut difference = ReleaseDifference::default();
    if let (Some(before), Some(after)) = (before, after) {
        difference.fields = pipeline_fields(before, after);
    }
    let nothing = BTreeMap::new();
    let old = before.map_or(&nothing, |release| &release.steps);
    let new = after.map_or(&nothing, |release| &release.steps);
    for name in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        let (action, fields) = match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) if old == new => {
                difference.unchanged_steps += 1;
                continue;
            }
            (Some(old), Some(new)) => (ChangeAction::Update, steps(old, new, packages)),
            (Some(_), None) => (ChangeAction::Delete, Vec::new()),
            (None, _) => (ChangeAction::Create, Vec::new()),
        };
        difference.steps.push(StepChange { step: name.clone(), action, fields });
    }
    difference
}

/// Collects changes of fields; fields that are equal leave nothing.
#[derive(Default)]
struct Fields(Vec<FieldChange>);

impl Fields {
    fn add(&mut self, field: impl Into<String>, before: Option<String>, after: Option<String>, reruns: bool) {
        if before != after {
            self.0.push(FieldChange { field: field.into(), before, after, reruns });
        }
    }

    /// Compares two maps, name by name.
    fn maps<K: Ord + Display, V: PartialEq>(
        &mut self,
        prefix: &str,
        before: &BTreeMap<K, V>,
        after: &BTreeMap<K, V>,
        describe: impl Fn(&V) -> String,
        reruns: impl Fn(&K, Option<&V>, Option<&V>) -> bool,
    ) {
        for name in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
            let (old, new) = (before.get(name), after.get(name));
            if old != new {
                let (before, after) = (old.map(&describe), new.map(&describe));
                let reruns = reruns(name, old, new);
                self.0.push(FieldChange { field: format!("{prefix}{name}"), before, after, reruns });
            }
        }
    }
}

/// Says a rule that a parameter's values must keep to.
type Rule = fn(&ParamSpec) -> Option<String>;

fn pipeline_fields(before: &Release, after: &Release) -> Vec<FieldChange> {
    let mut fields = Fields::default();
    fields.add("owner", before.owner.clone(), after.owner.clone(), false);
    let used: BTreeSet<&FieldName> = after.steps.values().flat_map(StepSpec::run_params_used).collect();
    for name in before.params.keys().chain(after.params.keys()).collect::<BTreeSet<_>>() {
        let (old, new) = (before.params.get(name), after.params.get(name));
        let default =
            |param: Option<&ParamSpec>| param.and_then(|param| param.default.as_ref()).map(ToString::to_string);
        fields.add(format!("params.{name}"), default(old), default(new), used.contains(name));
        let rules: [(&str, Rule); 4] = [
            ("type", |param| Some(param.value_type.to_string())),
            ("min", |param| param.min.map(|min| min.to_string())),
            ("max", |param| param.max.map(|max| max.to_string())),
            ("choices", |param| (!param.choices.is_empty()).then(|| values(&param.choices))),
        ];
        for (rule_name, of) in rules {
            let (before, after) = (old.and_then(of), new.and_then(of));
            // The type of a parameter that comes or goes is told by its value, if it has one.
            let told = rule_name == "type" && default(old.or(new)).is_some() && (old.is_none() || new.is_none());
            if !told {
                fields.add(format!("params.{name}.{rule_name}"), before, after, false);
            }
        }
    }
    let (old, new) = (&before.runs, &after.runs);
    fields.add("deadline", old.deadline_seconds.map(words::seconds), new.deadline_seconds.map(words::seconds), false);
    fields.add("overlap", Some(old.overlap.to_string()), Some(new.overlap.to_string()), false);
    let most = |policy: &RunPolicy| policy.max_concurrent_runs.map(|most| most.to_string());
    fields.add("max_concurrent_runs", most(old), most(new), false);
    let secrets = secrets_used(after.steps.values().flat_map(StepSpec::templates));
    fields.maps("secrets.", &before.secrets, &after.secrets, SecretRef::to_string, |name, _, _| secrets.contains(name));
    fields.0
}

fn values(values: &[Value]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn secrets_used<'a>(templates: impl Iterator<Item = &'a Template>) -> BTreeSet<&'a FieldName> {
    let references = templates.flat_map(Template::references);
    references
        .filter_map(|reference| match reference {
            Reference::Secret(name) => Some(name),
            Reference::Input(_)
            | Reference::Output(_)
            | Reference::Param(_)
            | Reference::RunId
            | Reference::ScheduledTime
            | Reference::Partition
            | Reference::StepName => None,
        })
        .collect()
}

fn steps(before: &StepSpec, after: &StepSpec, packages: Packages<'_>) -> Vec<FieldChange> {
    let mut fields = Fields::default();
    let phase = |step: &StepSpec| step.phase.map(|phase| phase.to_string());
    fields.add("phase", phase(before), phase(after), false);
    fields.0.extend(in_key(before, after, packages));
    fields.maps("inputs.", &before.inputs, &after.inputs, input, |_, old, new| input_is_in_key(old, new));
    let names = |names: &BTreeSet<_>| (!names.is_empty()).then(|| joined(names));
    fields.add("after", names(&before.after), names(&after.after), false);
    let when = |step: &StepSpec| {
        let all: Vec<&str> =
            step.within.iter().map(|outer| &outer.when).chain(&step.when).map(String::as_str).collect();
        (!all.is_empty()).then(|| all.join(" and "))
    };
    fields.add("when", when(before), when(after), false);
    fields.maps("params.", &before.names.params, &after.names.params, bound, |_, _, _| true);
    fields.add("finally", before.finally.then(|| "true".to_owned()), after.finally.then(|| "true".to_owned()), false);
    retries(&mut fields, before, after);
    let timeout = |step: &StepSpec| Some(words::seconds(step.timeout_seconds));
    fields.add("timeout", timeout(before), timeout(after), false);
    let memory = |step: &StepSpec| step.resources.memory_mib.map(words::mebibytes);
    fields.add("resources.memory", memory(before), memory(after), false);
    let cpu = |step: &StepSpec| Some(step.resources.cpu.to_string());
    fields.add("resources.cpu", cpu(before), cpu(after), false);
    let disk = |step: &StepSpec| step.resources.disk_mib.map(words::mebibytes);
    fields.add("resources.disk", disk(before), disk(after), false);
    let cache = |step: &StepSpec| Some(words::cache(&step.cache));
    fields.add("cache", cache(before), cache(after), false);
    fields.0
}

/// What is part of the cache key, as the comparison of keys tells it: action, package, environment, outputs. Inputs are
/// left to the caller, since a definition can change where one comes from while its content stays.
fn in_key(before: &StepSpec, after: &StepSpec, packages: Packages<'_>) -> Vec<FieldChange> {
    let parts = |step: &StepSpec| {
        let mut parts = CacheKeyParts::new(step, KeyContext::default());
        parts.bindings.clear();
        parts
    };
    let package = |step: &StepSpec, known: &'_ BTreeMap<Digest, PackageSpec>| known.get(&step.package?).cloned();
    let (old, new) = (parts(before), parts(after));
    let (old_package, new_package) = (package(before, packages.before), package(after, packages.after));
    let differences = compare::differences(
        KeyParts { parts: &old, package: old_package.as_ref() },
        KeyParts { parts: &new, package: new_package.as_ref() },
    );
    differences.into_iter().map(field_in_key).collect()
}

pub(super) fn field_in_key(difference: Difference) -> FieldChange {
    let Difference { what, before, after } = difference;
    FieldChange { field: what, before, after, reruns: true }
}

/// What a parameter of a sub-pipeline stands for.
fn bound(binding: &ParamBinding) -> String {
    match binding {
        ParamBinding::Value(value) => value.to_string(),
        ParamBinding::Param(name) => format!("params.{name}"),
    }
}

fn joined<T: Display>(names: &BTreeSet<T>) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn retries(fields: &mut Fields, before: &StepSpec, after: &StepSpec) {
    let (old, new) = (&before.retries, &after.retries);
    fields.add("retries.max", Some(old.max.to_string()), Some(new.max.to_string()), false);
    let (backoff, later) = (old.backoff_seconds, new.backoff_seconds);
    fields.add("retries.backoff", Some(format!("{backoff}s")), Some(format!("{later}s")), false);
    fields.add("retries.jitter", Some(old.jitter.to_string()), Some(new.jitter.to_string()), false);
    fields.add("retries.on", Some(joined(&old.on)), Some(joined(&new.on)), false);
}

/// Whether an input's source is itself part of the key. The maker of an artifact is not: its content is.
fn input_is_in_key(before: Option<&InputSource>, after: Option<&InputSource>) -> bool {
    let by_content = |source: &InputSource| {
        matches!(source, InputSource::Output { .. } | InputSource::Model { .. } | InputSource::Trigger)
    };
    match (before, after) {
        (Some(before), Some(after)) => !(by_content(before) && by_content(after)),
        (None, _) | (_, None) => true,
    }
}

fn input(source: &InputSource) -> String {
    match source {
        InputSource::File { content, .. } => format!("{source} ({})", content.short()),
        InputSource::Output { .. } | InputSource::Param { .. } | InputSource::Model { .. } | InputSource::Trigger => {
            source.to_string()
        }
    }
}
