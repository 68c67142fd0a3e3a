//! The parts of a cache key with what they stand for, and the first part by which two keys differ: what a plan shows as
//! the reason for a run, and what `liminal why` answers.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Display;

use liminal_schemas::cache_key::CacheKeyParts;
use liminal_schemas::cache_key::KeyContext;
use liminal_schemas::digest::Digest;
use liminal_schemas::name::StepName;
use liminal_schemas::plan::FieldChange;
use liminal_schemas::plan::RerunReason;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::release::Release;
use liminal_schemas::run::Commit;
use liminal_schemas::run::RunRecord;
use liminal_schemas::step::Action;
use liminal_schemas::step::METRICS_OUTPUT;

use super::diff;
use super::words;

/// The parts of a cache key, and the package that one of them names.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyFacts {
    /// The parts.
    pub parts: CacheKeyParts,
    /// The package, as far as its document is known.
    pub package: Option<PackageSpec>,
}

/// The facts of a step in a run, from the records that the run left. None when the step was not started there, or its
/// release has no such step.
pub fn facts_of_run(
    run: &RunRecord,
    release: &Release,
    commits: &BTreeMap<StepName, Commit>,
    step: &StepName,
    package: Option<PackageSpec>,
) -> Option<KeyFacts> {
    let spec = release.steps.get(step)?;
    let commit = commits.get(step)?;
    // Only a commit with a key was ever compared with the cache.
    commit.cache_key?;
    let metrics = metrics_sources(&spec.action, &spec.reads_metrics).filter_map(|source| {
        let metrics = commits.get(source)?.outputs.get(METRICS_OUTPUT)?;
        Some((source.clone(), metrics.digest))
    });
    let context = KeyContext {
        params: run.params.clone(),
        inputs: commit.inputs.clone(),
        metrics: metrics.collect(),
        secrets: Some(&release.secrets),
    };
    Some(KeyFacts { parts: CacheKeyParts::new(spec, context), package })
}

/// The steps whose metrics are part of a step's key: those that a gate reads. Those that a condition reads decide
/// whether the step runs, not what it makes.
pub(super) fn metrics_sources<'a>(
    action: &Action,
    reads: &'a BTreeSet<StepName>,
) -> impl Iterator<Item = &'a StepName> + use<'a> {
    let is_gate = matches!(action, Action::Gate { .. });
    reads.iter().filter(move |_| is_gate)
}

/// The first part by which two keys differ, in the order of [`CacheKeyParts`], as the reason for a run. None when they
/// are equal. A package is followed down to the file.
pub fn first_difference(before: &KeyFacts, after: &KeyFacts) -> Option<RerunReason> {
    differences(before, after).into_iter().next().map(|change| RerunReason::Changed {
        what: change.field,
        before: change.before,
        after: change.after,
    })
}

/// All parts by which two keys differ, in the order of [`CacheKeyParts`].
pub fn differences(before: &KeyFacts, after: &KeyFacts) -> Vec<FieldChange> {
    let (old, new) = (&before.parts, &after.parts);
    let mut found = diff::actions(&old.action, &new.action);
    if old.package != new.package {
        let changes = match (&before.package, &after.package) {
            (Some(old), Some(new)) => diff::package_specs(Some(old), Some(new)),
            (Some(_) | None, None) | (None, Some(_)) => Vec::new(),
        };
        if changes.is_empty() {
            found.push(change(
                "package",
                old.package.as_ref().map(words::digest),
                new.package.as_ref().map(words::digest),
            ));
        }
        found.extend(changes);
    }
    found.extend(maps("env", &old.env, &new.env, ToString::to_string));
    found.extend(maps("outputs", &old.outputs, &new.outputs, diff::output));
    found.extend(maps("params", &old.params, &new.params, ToString::to_string));
    found.extend(maps("inputs", &old.bindings, &new.bindings, diff::input));
    found.extend(maps("inputs", &old.inputs, &new.inputs, words::digest));
    found.extend(maps("metrics", &old.metrics, &new.metrics, words::digest));
    found.extend(maps("secrets", &old.secrets, &new.secrets, diff::secret));
    if old.schema != new.schema {
        found.push(change("the format of cache keys", Some(old.schema.to_string()), Some(new.schema.to_string())));
    }
    found
}

fn change(field: impl Into<String>, before: Option<String>, after: Option<String>) -> FieldChange {
    FieldChange { field: field.into(), before, after, reruns: true }
}

fn maps<K: Ord + Display, V: PartialEq>(
    prefix: &str,
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
    describe: impl Fn(&V) -> String,
) -> Vec<FieldChange> {
    let names: BTreeSet<&K> = before.keys().chain(after.keys()).collect();
    let differing = names.into_iter().filter(|name| before.get(name) != after.get(name));
    differing
        .map(|name| change(format!("{prefix}.{name}"), before.get(name).map(&describe), after.get(name).map(&describe)))
        .collect()
}

/// The digests by which documents of packages are asked for: those that the steps of a release name.
pub fn packages_named(release: &Release) -> BTreeSet<Digest> {
    super::packages_of(release)
}
