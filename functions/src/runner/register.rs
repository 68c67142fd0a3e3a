//! Model versions: created once per run and step, with the metrics that speak for them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::keys;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::ModelName;
use liminal_schemas::name::StepName;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::Failure;
use liminal_schemas::run::ModelAlias;
use liminal_schemas::run::ModelVersion;
use liminal_schemas::run::ModelVersionRef;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::step::FailureClass;
use liminal_schemas::step::REGISTERED_INPUT;

use super::Runner;
use super::context::RunContext;
use super::error::RunnerError;
use crate::documents;
use crate::ports::Clock;
use crate::ports::ObjectStore;
use crate::ports::Platform;
use crate::ports::Put;
use crate::ports::Swap;
use crate::protocol::attempt::failure;

/// How far clocks of two machines may differ. A version that was registered longer than this before the run started is
/// none of the run's.
const CLOCK_SKEW_MILLIS: i64 = 24 * 60 * 60 * 1000;

impl<P: Platform> Runner<P> {
    /// Registers the next version of a model, or finds the one that this step of this run registered before.
    pub(super) async fn register(
        &self,
        context: &RunContext,
        step: &StepName,
        model: &ModelName,
        inputs: &BTreeMap<FieldName, Artifact>,
    ) -> Result<Result<ModelVersionRef, Failure>, RunnerError> {
        let Some(artifact) = inputs.get(REGISTERED_INPUT) else {
            let message = format!("it registers a version of {model}, but its input `{REGISTERED_INPUT}` is missing");
            return Ok(Err(failure(FailureClass::Poison, message)));
        };
        let store = self.platform.store();
        let prefix = keys::model_versions_prefix(model);
        let listed = store.list(&prefix).await?;
        let numbers: Vec<u64> =
            listed.iter().filter_map(|key| key.strip_prefix(&prefix)?.strip_suffix(".json")?.parse().ok()).collect();
        let earliest = context.record.started_at.plus_millis(-CLOCK_SKEW_MILLIS);
        for number in numbers.iter().rev() {
            let Some(there) = self.version(model, *number).await? else { continue };
            if there.run == *context.run() && there.pipeline == *context.pipeline() && there.step == *step {
                return Ok(Ok(ModelVersionRef { model: model.clone(), version: *number }));
            }
            if there.registered_at < earliest {
                break;
            }
        }
        let mut version = ModelVersion {
            schema: RUN_SCHEMA,
            model: model.clone(),
            version: numbers.last().map_or(1, |last| last.saturating_add(1)),
            artifact: artifact.clone(),
            run: context.run().clone(),
            pipeline: context.pipeline().clone(),
            step: step.clone(),
            revision: context.record.revision,
            source: context.record.source.clone(),
            metrics: self.metrics_before(context, step).await?,
            registered_at: self.platform.clock().now(),
        };
        loop {
            let key = keys::model_version(model, version.version);
            match store.put_if_absent(&key, &documents::encode(&key, &version)?).await? {
                Put::Created(_) => break,
                Put::Exists => {
                    let there = self.version(model, version.version).await?;
                    if there.is_some_and(|there| {
                        there.run == version.run && there.pipeline == version.pipeline && there.step == version.step
                    }) {
                        break;
                    }
                    version.version = version.version.saturating_add(1);
                }
            }
        }
        Ok(Ok(ModelVersionRef { model: model.clone(), version: version.version }))
    }

    async fn version(&self, model: &ModelName, number: u64) -> Result<Option<ModelVersion>, RunnerError> {
        let key = keys::model_version(model, number);
        let version: Option<documents::Versioned<ModelVersion>> =
            documents::read(self.platform.store(), &key, RUN_SCHEMA).await?;
        Ok(version.map(|version| version.document))
    }

    /// All metrics of the steps that a step depends on, however far, as `step.metric`. Who registers may have seen few of
    /// their commits.
    async fn metrics_before(
        &self,
        context: &RunContext,
        step: &StepName,
    ) -> Result<BTreeMap<String, f64>, RunnerError> {
        let mut metrics = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut open: Vec<&StepName> = context.graph.parents(step).collect();
        while let Some(ancestor) = open.pop() {
            if !seen.insert(ancestor) {
                continue;
            }
            if let Some(commit) = self.commit_of(context, ancestor).await? {
                metrics.extend(commit.metrics.iter().map(|(name, value)| (format!("{ancestor}.{name}"), *value)));
            }
            open.extend(context.graph.parents(ancestor));
        }
        Ok(metrics)
    }

    /// Lets aliases name a version. An alias that names it already is left alone.
    pub(super) async fn move_aliases(
        &self,
        version: &ModelVersionRef,
        aliases: &BTreeSet<FieldName>,
    ) -> Result<(), RunnerError> {
        let store = self.platform.store();
        for alias in aliases {
            let key = keys::model_alias(&version.model, alias);
            let wanted =
                ModelAlias { schema: RUN_SCHEMA, version: version.version, moved_at: self.platform.clock().now() };
            let bytes = documents::encode(&key, &wanted)?;
            loop {
                let there: Option<documents::Versioned<ModelAlias>> = documents::read(store, &key, RUN_SCHEMA).await?;
                match there {
                    Some(there) if there.document.version == version.version => break,
                    Some(there) => {
                        if let Swap::Swapped(_) = store.put_if_match(&key, &bytes, &there.etag).await? {
                            break;
                        }
                    }
                    None => {
                        if let Put::Created(_) = store.put_if_absent(&key, &bytes).await? {
                            break;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
