//! Before a step starts: its condition, its inputs, its cache key, and whether it needs a process at all.

use std::collections::BTreeMap;

use liminal_schemas::cache_key::CacheKeyParts;
use liminal_schemas::cache_key::KeyContext;
use liminal_schemas::digest::Digest;
use liminal_schemas::name::FieldName;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::Commit;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::run::Failure;
use liminal_schemas::run::SkipReason;
use liminal_schemas::step::Action;
use liminal_schemas::step::FailureClass;
use liminal_schemas::step::InputSource;
use liminal_schemas::step::METRICS_OUTPUT;
use liminal_schemas::time::UtcTime;
use liminal_schemas::unit::Unit;

use super::Runner;
use super::context::RunContext;
use super::error::RunnerError;
use super::gate::check_gate;
use super::gate::is_wanted;
use super::work::Work;
use crate::ports::Clock;
use crate::ports::Platform;
use crate::protocol::attempt::failure;
use crate::protocol::caching::CacheUse;
use crate::protocol::caching::cache_use;

/// What a step is given.
pub(super) struct Prepared {
    pub(super) inputs: BTreeMap<FieldName, Artifact>,
    /// What the item is known by, where it is a value or an object.
    pub(super) value: Option<(FieldName, Digest)>,
    pub(super) cache_key: Option<Digest>,
}

impl Prepared {
    pub(super) fn input_digests(&self) -> BTreeMap<FieldName, Digest> {
        let artifacts = self.inputs.iter().map(|(name, artifact)| (name.clone(), artifact.digest));
        artifacts.chain(self.value.clone()).collect()
    }
}

impl<P: Platform> Runner<P> {
    /// Settles what is ready and needs no process: its condition is false, its result is in the cache, or it is a gate or a
    /// registration. None when it is settled; otherwise what its process is to be given.
    pub(super) async fn settle_inline(
        &self,
        context: &RunContext,
        work: &Work<'_>,
    ) -> Result<Option<Prepared>, RunnerError> {
        let (unit, spec) = (&work.unit, &*work.spec);
        let step = &unit.step;
        let since = self.platform.clock().now();
        match is_wanted(context, spec) {
            Ok(true) => {}
            Ok(false) => {
                self.skip(context, unit, SkipReason::Condition).await?;
                return Ok(None);
            }
            Err((condition, problem)) => {
                let message = format!("its condition `{condition}` has no value: {problem}");
                self.fail(context, unit, since, failure(FailureClass::User, message)).await?;
                return Ok(None);
            }
        }
        let inputs = match gather_inputs(context, work) {
            Ok(inputs) => inputs,
            Err(failure) => {
                self.fail(context, unit, since, failure).await?;
                return Ok(None);
            }
        };
        let usage = cache_use(step, spec, &context.record.cache);
        let mut prepared = Prepared { inputs, value: work.item_digest(), cache_key: None };
        if usage != CacheUse::None {
            prepared.cache_key = Some(cache_key(context, work, &prepared.inputs));
        }
        if let Some(earlier) = self.taken_over(context, work, &prepared.input_digests()).await? {
            if let (Action::Register { aliases, .. }, Some(model)) = (&spec.action, &earlier.model) {
                self.move_aliases(model, aliases).await?;
            }
            let mut commit = self.blank(context, unit, CommitStatus::Cached, since);
            commit.cache_key = earlier.cache_key;
            commit.inputs = earlier.inputs;
            commit.outputs = earlier.outputs;
            commit.metrics = earlier.metrics;
            commit.model = earlier.model;
            commit.items = earlier.items;
            commit.cached_from = Some(earlier.run);
            self.settle(context, commit).await?;
            return Ok(None);
        }
        if usage == CacheUse::ReadAndWrite
            && let Some(key) = prepared.cache_key
            && let Some(entry) = self.usable_entry(step, spec, &key).await?
        {
            if let (Action::Register { aliases, .. }, Some(model)) = (&spec.action, &entry.model) {
                self.move_aliases(model, aliases).await?;
            }
            let mut commit = self.blank(context, unit, CommitStatus::Cached, since);
            self.give(&mut commit, &prepared);
            commit.outputs = entry.outputs;
            commit.metrics = entry.metrics;
            commit.checks = entry.checks;
            commit.model = entry.model;
            commit.cached_from = Some(entry.run);
            self.settle(context, commit).await?;
            return Ok(None);
        }
        let commit = match &spec.action {
            Action::Run { .. } | Action::Call { .. } => return Ok(Some(prepared)),
            Action::Gate { checks } => {
                let mut commit = self.blank(context, unit, CommitStatus::Succeeded, since);
                check_gate(context, spec, checks, &mut commit);
                commit
            }
            Action::Register { model, aliases } => {
                let mut commit = self.blank(context, unit, CommitStatus::Succeeded, since);
                match self.register(context, step, model, &prepared.inputs).await? {
                    Ok(version) => {
                        self.move_aliases(&version, aliases).await?;
                        commit.model = Some(version);
                    }
                    Err(failure) => {
                        commit.status = CommitStatus::Failed;
                        commit.failure = Some(failure);
                    }
                }
                commit
            }
        };
        let mut commit = commit;
        self.give(&mut commit, &prepared);
        commit.ended_at = self.platform.clock().now();
        self.settle_and_cache(context, commit).await?;
        Ok(None)
    }

    /// The digests of what a step is given, and the key of its result: as it was when it started, since neither ever changes.
    pub(super) fn given_to(
        &self,
        context: &RunContext,
        work: &Work<'_>,
    ) -> (BTreeMap<FieldName, Digest>, Option<Digest>) {
        let Ok(inputs) = gather_inputs(context, work) else { return (BTreeMap::new(), None) };
        let is_kept = cache_use(&work.unit.step, &work.spec, &context.record.cache) != CacheUse::None;
        let key = is_kept.then(|| cache_key(context, work, &inputs));
        (inputs.into_iter().map(|(name, artifact)| (name, artifact.digest)).collect(), key)
    }

    fn give(&self, commit: &mut Commit, prepared: &Prepared) {
        commit.inputs = prepared.input_digests();
        commit.cache_key = prepared.cache_key;
    }

    /// Ends a step or an item that can not be tried.
    pub(super) async fn fail(
        &self,
        context: &RunContext,
        unit: &Unit,
        since: UtcTime,
        failure: Failure,
    ) -> Result<(), RunnerError> {
        let mut commit = self.blank(context, unit, CommitStatus::Failed, since);
        commit.failure = Some(failure);
        self.settle(context, commit).await?;
        Ok(())
    }
}

/// Finds the content of the inputs that are outputs of other steps, or models.
fn gather_inputs(context: &RunContext, work: &Work<'_>) -> Result<BTreeMap<FieldName, Artifact>, Failure> {
    let (step, spec) = (&work.unit.step, &*work.spec);
    let mut inputs = BTreeMap::new();
    if let Some(map) = &spec.map
        && let Some((maker, output)) = map.made()
    {
        let artifact = context.commit(maker).and_then(|commit| commit.outputs.get(output).cloned());
        let (Some(artifact), Ok(name)) = (artifact, FieldName::new(map.input())) else {
            let message = format!("it maps over {maker}.{output}, of which the run holds no content");
            return Err(failure(FailureClass::Poison, message));
        };
        inputs.insert(name, artifact);
    }
    for (name, source) in &spec.inputs {
        if let Some((_, artifact)) = work.given.as_ref().filter(|(given, _)| given == name) {
            inputs.insert(name.clone(), artifact.clone());
            continue;
        }
        let artifact = match source {
            InputSource::Param { .. } | InputSource::File { .. } => continue,
            InputSource::Output { step: maker, output } => {
                context.commit(maker).and_then(|commit| commit.outputs.get(output).cloned())
            }
            InputSource::Trigger => context.record.object.as_ref().map(|object| object.artifact.clone()),
            InputSource::Model { .. } => {
                context.record.models.get(&format!("{step}.{name}")).map(|pinned| pinned.artifact.clone())
            }
        };
        let Some(artifact) = artifact else {
            let message = format!("its input {name} is {source}, of which the run holds no content");
            return Err(failure(FailureClass::Poison, message));
        };
        inputs.insert(name.clone(), artifact);
    }
    Ok(inputs)
}

/// The key under which other runs find the result of this step.
fn cache_key(context: &RunContext, work: &Work<'_>, inputs: &BTreeMap<FieldName, Artifact>) -> Digest {
    let spec = &*work.spec;
    // What `when:` reads decides whether the step runs, not what it makes.
    let reads_metrics = match spec.action {
        Action::Gate { .. } => true,
        Action::Run { .. } | Action::Call { .. } | Action::Register { .. } => false,
    };
    let metrics = spec.reads_metrics.iter().filter(|_| reads_metrics).filter_map(|step| {
        let commit = context.commit(step)?;
        Some((step.clone(), commit.outputs.get(METRICS_OUTPUT)?.digest))
    });
    let contents = inputs.iter().map(|(name, artifact)| (name.clone(), artifact.digest));
    let objects = work.objects.iter().map(|(name, objects)| (name.clone(), objects.content()));
    let used = spec.params_used();
    let params = work.params.iter().filter(|(name, _)| used.contains(name));
    let parts = CacheKeyParts::new(
        spec,
        KeyContext {
            params: params.map(|(name, value)| (name.clone(), value.clone())).collect(),
            inputs: contents.chain(objects).collect(),
            metrics: metrics.collect(),
            secrets: Some(&context.secrets),
            scheduled: Some(context.record.scheduled()),
        },
    );
    parts.key()
}
