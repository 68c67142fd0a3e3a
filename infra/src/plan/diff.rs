//! What differs between two releases, field by field, and whether it makes a step run again.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Display;

use liminal_schemas::digest::Digest;
use liminal_schemas::name::FieldName;
use liminal_schemas::plan::ChangeAction;
use liminal_schemas::plan::FieldChange;
use liminal_schemas::plan::StepChange;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::release::ParamSpec;
use liminal_schemas::release::PythonSpec;
use liminal_schemas::release::Release;
use liminal_schemas::release::SecretRef;
use liminal_schemas::step::Action;
use liminal_schemas::step::ArtifactKind;
use liminal_schemas::step::InputSource;
use liminal_schemas::step::OutputRole;
use liminal_schemas::step::OutputSpec;
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

fn pipeline_fields(before: &Release, after: &Release) -> Vec<FieldChange> {
    let mut fields = Fields::default();
    fields.add("owner", before.owner.clone(), after.owner.clone(), false);
    let used: BTreeSet<&FieldName> = after.steps.values().flat_map(StepSpec::params_used).collect();
    for name in before.params.keys().chain(after.params.keys()).collect::<BTreeSet<_>>() {
        let (old, new) = (before.params.get(name), after.params.get(name));
        let default =
            |param: Option<&ParamSpec>| param.and_then(|param| param.default.as_ref()).map(ToString::to_string);
        fields.add(format!("params.{name}"), default(old), default(new), used.contains(name));
        let rule = |of: fn(&ParamSpec) -> Option<String>| (old.and_then(of), new.and_then(of));
        let rules: [(&str, fn(&ParamSpec) -> Option<String>); 4] = [
            ("type", |param| Some(param.value_type.to_string())),
            ("min", |param| param.min.map(|min| min.to_string())),
            ("max", |param| param.max.map(|max| max.to_string())),
            ("choices", |param| (!param.choices.is_empty()).then(|| values(&param.choices))),
        ];
        for (rule_name, of) in rules {
            let (before, after) = rule(of);
            // The type of a parameter that comes or goes is told by its value, if it has one.
            let told = rule_name == "type" && default(old.or(new)).is_some() && (old.is_none() || new.is_none());
            if !told {
                fields.add(format!("params.{name}.{rule_name}"), before, after, false);
            }
        }
    }
    let secrets = secrets_used(after.steps.values().flat_map(StepSpec::templates));
    fields.maps("secrets.", &before.secrets, &after.secrets, secret, |name, _, _| secrets.contains(name));
    fields.0
}

fn values(values: &[Value]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

pub(super) fn secret(reference: &SecretRef) -> String {
    match reference {
        SecretRef::Env(name) => format!("env:{name}"),
    }
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
            | Reference::StepName => None,
        })
        .collect()
}

fn steps(before: &StepSpec, after: &StepSpec, packages: Packages<'_>) -> Vec<FieldChange> {
    let mut fields = Fields::default();
    let text = |value: &dyn Display| Some(value.to_string());
    fields.add(
        "phase",
        before.phase.as_ref().and_then(|it| text(it)),
        after.phase.as_ref().and_then(|it| text(it)),
        false,
    );
    fields.0.extend(actions(&before.action, &after.action));
    fields.maps("inputs.", &before.inputs, &after.inputs, input, |_, old, new| input_is_in_key(old, new));
    fields.maps("outputs.", &before.outputs, &after.outputs, output, |_, _, _| true);
    fields.maps("env.", &before.env, &after.env, ToString::to_string, |_, _, _| true);
    let names = |names: &BTreeSet<_>| (!names.is_empty()).then(|| joined(names));
    fields.add("after", names(&before.after), names(&after.after), false);
    fields.add("when", before.when.clone(), after.when.clone(), false);
    fields.add("finally", before.finally.then(|| "true".to_owned()), after.finally.then(|| "true".to_owned()), false);
    if before.package != after.package {
        fields.0.extend(package_ids(before.package, after.package, packages));
    }
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

/// Compares two actions: item by item where they are of one kind. All of an action is part of the cache key.
pub(super) fn actions(before: &Action, after: &Action) -> Vec<FieldChange> {
    let mut fields = Fields::default();
    match (before, after) {
        (Action::Run { argv: old }, Action::Run { argv: new }) => {
            items(&mut fields, "run", old, new);
        }
        (Action::Gate { checks: old }, Action::Gate { checks: new }) => items(&mut fields, "gate", old, new),
        (Action::Register { model: old, aliases: before }, Action::Register { model: new, aliases: after }) => {
            fields.add("register.model", Some(old.to_string()), Some(new.to_string()), true);
            fields.add("register.aliases", Some(joined(before)), Some(joined(after)), true);
        }
        (old, new) => {
            if old.keyword() == new.keyword() {
                fields.add(old.keyword(), Some(action(old)), Some(action(new)), true);
            } else {
                fields.add(old.keyword(), Some(action(old)), None, true);
                fields.add(new.keyword(), None, Some(action(new)), true);
            }
        }
    }
    fields.0
}

/// Compares two lists. Equal lengths are compared place by place; else what is equal at both ends is left out, and the
/// rest shown as one change, since places no longer correspond.
fn items<T: Display + PartialEq>(fields: &mut Fields, field: &str, before: &[T], after: &[T]) {
    if before.len() == after.len() {
        for (place, (old, new)) in before.iter().zip(after).enumerate() {
            fields.add(format!("{field}[{place}]"), Some(old.to_string()), Some(new.to_string()), true);
        }
        return;
    }
    let start = before.iter().zip(after).take_while(|(old, new)| old == new).count();
    let (old, new) = (&before[start..], &after[start..]);
    let end = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let shown = |items: &[T]| {
        let shown: Vec<String> = items.iter().map(ToString::to_string).collect();
        (!shown.is_empty()).then(|| shown.join(" "))
    };
    fields.add(format!("{field}[{start}]"), shown(&old[..old.len() - end]), shown(&new[..new.len() - end]), true);
}

fn action(action: &Action) -> String {
    match action {
        Action::Run { argv } => argv.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        Action::Call { module, function } => format!("{module}:{function}"),
        Action::Gate { checks } => checks.join("; "),
        Action::Register { model, .. } => model.to_string(),
    }
}

/// Whether an input's source is itself part of the key. The maker of an artifact is not: its content is.
fn input_is_in_key(before: Option<&InputSource>, after: Option<&InputSource>) -> bool {
    let by_content = |source: &InputSource| matches!(source, InputSource::Output { .. } | InputSource::Model { .. });
    match (before, after) {
        (Some(before), Some(after)) => !(by_content(before) && by_content(after)),
        (None, _) | (_, None) => true,
    }
}

pub(super) fn input(source: &InputSource) -> String {
    match source {
        InputSource::File { content, .. } => format!("{source} ({})", words::digest(content)),
        InputSource::Output { .. } | InputSource::Param { .. } | InputSource::Model { .. } => source.to_string(),
    }
}

pub(super) fn output(spec: &OutputSpec) -> String {
    let slash = match spec.kind {
        ArtifactKind::File => "",
        ArtifactKind::Directory => "/",
    };
    let role = match spec.role {
        OutputRole::Data => "",
        OutputRole::Metrics => " (metrics)",
        OutputRole::Plot => " (plot)",
    };
    format!("{}{slash}{role}", spec.path.trim_end_matches('/'))
}

fn package_ids(before: Option<Digest>, after: Option<Digest>, packages: Packages<'_>) -> Vec<FieldChange> {
    let find = |digest: Option<Digest>, known: &BTreeMap<Digest, PackageSpec>| known.get(&digest?).cloned();
    let changes = match (find(before, packages.before), find(after, packages.after)) {
        (Some(old), Some(new)) => package_specs(Some(&old), Some(&new)),
        (Some(_) | None, None) | (None, Some(_)) => Vec::new(),
    };
    if !changes.is_empty() {
        return changes;
    }
    let (before, after) = (before.as_ref().map(words::digest), after.as_ref().map(words::digest));
    vec![FieldChange { field: "package".to_owned(), before, after, reruns: true }]
}

/// Compares two packages, file by file. All of a package is part of the cache key.
pub fn package_specs(before: Option<&PackageSpec>, after: Option<&PackageSpec>) -> Vec<FieldChange> {
    let mut fields = Fields::default();
    let nothing = BTreeMap::new();
    let files = |spec: Option<&'_ PackageSpec>| spec.map(|spec| spec.files.clone()).unwrap_or(nothing.clone());
    fields.maps(
        "code/",
        &files(before),
        &files(after),
        |file| format!("{}{}", words::blob(&file.blob), if file.executable { " (executable)" } else { "" }),
        |_, _, _| true,
    );
    let root = |spec: Option<&PackageSpec>| spec.map(|spec| spec.root.clone()).filter(|root| !root.is_empty());
    fields.add("python.root", root(before), root(after), true);
    let python = |of: fn(&PythonSpec) -> Option<String>| {
        let python = |spec: Option<&PackageSpec>| spec.and_then(|spec| spec.python.as_ref()).and_then(of);
        (python(before), python(after))
    };
    let (old, new) = python(|python| python.version.clone());
    fields.add("python.version", old, new, true);
    let (old, new) = python(|python| {
        let file = python.requirements.as_ref()?;
        Some(format!("{} ({})", file.path, words::blob(&file.blob)))
    });
    fields.add("python.requirements", old, new, true);
    let packer = |spec: Option<&PackageSpec>| spec.map(|spec| spec.packer.to_string());
    if before.is_some() && after.is_some() {
        fields.add("packer", packer(before), packer(after), true);
    }
    fields.0
}
