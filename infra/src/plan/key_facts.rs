//! The parts of a cache key with what they stand for, and the first part by which two keys differ: what a plan shows as
//! the reason for a run, and what `liminal why` answers.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::cache_key::CacheKeyParts;
use liminal_schemas::cache_key::KeyContext;
use liminal_schemas::compare;
use liminal_schemas::compare::KeyParts;
use liminal_schemas::name::StepName;
use liminal_schemas::plan::FieldChange;
use liminal_schemas::plan::RerunReason;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::release::Release;
use liminal_schemas::run::Commit;
use liminal_schemas::run::RunRecord;
use liminal_schemas::step::Action;
use liminal_schemas::step::METRICS_OUTPUT;

use super::diff::field_in_key;

/// The parts of a cache key, and the package that one of them names.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyFacts {
    /// The parts.
    pub parts: CacheKeyParts,
    /// The package, as far as its document is known.
    pub package: Option<PackageSpec>,
}

impl KeyFacts {
    fn parts(&self) -> KeyParts<'_> {
        KeyParts { parts: &self.parts, package: self.package.as_ref() }
    }
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
        params: spec.names.params(&run.params).into_owned(),
        inputs: commit.inputs.clone(),
        metrics: metrics.collect(),
        secrets: Some(&release.secrets),
        scheduled: Some(run.scheduled()),
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
    compare::difference(before.parts(), after.parts()).map(RerunReason::from)
}

/// All parts by which two keys differ, in the order of [`CacheKeyParts`].
pub fn differences(before: &KeyFacts, after: &KeyFacts) -> Vec<FieldChange> {
    compare::differences(before.parts(), after.parts()).into_iter().map(field_in_key).collect()
}
