//! What the next run of a pipeline will do: which steps come from the cache, which run and why, which depend on these.

use std::collections::BTreeMap;

use liminal_schemas::cache_key::CacheKeyParts;
use liminal_schemas::cache_key::KeyContext;
use liminal_schemas::digest::Digest;
use liminal_schemas::graph::Graph;
use liminal_schemas::map::MapSource;
use liminal_schemas::map::MapSpec;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::StepName;
use liminal_schemas::plan::RerunReason;
use liminal_schemas::plan::StepForecast;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::release::Release;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::CacheEntry;
use liminal_schemas::run::Scheduled;
use liminal_schemas::step::CachePolicy;
use liminal_schemas::step::InputSource;
use liminal_schemas::step::METRICS_OUTPUT;
use liminal_schemas::step::StepSpec;
use liminal_schemas::time::UtcTime;
use liminal_schemas::value::Value;

use super::key_facts::KeyFacts;
use super::key_facts::first_difference;
use super::key_facts::metrics_sources;

/// The results of earlier runs.
pub trait CacheView {
    /// The result under a key.
    fn entry(&self, key: &Digest) -> Option<CacheEntry>;

    /// Whether an artifact is still there.
    fn has_artifact(&self, digest: &Digest) -> bool;
}

/// What a forecast is made from.
pub struct ForecastInput<'a> {
    /// The release that the next run will be pinned to.
    pub release: &'a Release,
    /// Its packages.
    pub packages: &'a BTreeMap<Digest, PackageSpec>,
    /// The values of its parameters: the defaults, and what a run sets.
    pub params: &'a BTreeMap<FieldName, Value>,
    /// The models that its inputs refer to, by `step.input`, as they stand now.
    pub models: &'a BTreeMap<String, Artifact>,
    /// The facts of each step in the last run that has any.
    pub last: &'a BTreeMap<StepName, KeyFacts>,
    /// When the run would start: results may be too old.
    pub now: UtcTime,
    /// The time that it would be for, where that is another.
    pub scheduled: Option<&'a Scheduled>,
}

/// The values that parameters have in a run that sets none.
pub fn default_params(release: &Release) -> BTreeMap<FieldName, Value> {
    let defaults = release.params.iter().filter_map(|(name, spec)| Some((name.clone(), spec.default.clone()?)));
    defaults.collect()
}

/// Forecasts every step of a release. Conditions and gates are not evaluated: a step that is skipped is forecast as if
/// it were not.
pub fn forecast(input: &ForecastInput<'_>, cache: &impl CacheView) -> BTreeMap<StepName, StepForecast> {
    // A release whose steps form no graph never gets this far; without an order there is nothing to foresee.
    let Ok(graph) = Graph::new(&input.release.steps) else { return BTreeMap::new() };
    let mut outputs: BTreeMap<&StepName, BTreeMap<FieldName, Artifact>> = BTreeMap::new();
    let mut forecasts = BTreeMap::new();
    for name in graph.order() {
        let Some(step) = input.release.steps.get(name) else { continue };
        let (forecast, entry) = one(input, cache, name, step, &outputs);
        if let Some(entry) = entry {
            outputs.insert(name, entry.outputs);
        }
        forecasts.insert(name.clone(), forecast);
    }
    forecasts
}

type Outputs<'a> = BTreeMap<&'a StepName, BTreeMap<FieldName, Artifact>>;

fn one(
    input: &ForecastInput<'_>,
    cache: &impl CacheView,
    name: &StepName,
    step: &StepSpec,
    outputs: &Outputs<'_>,
) -> (StepForecast, Option<CacheEntry>) {
    // What such a step does depends on how the run came out, which is no part of a key.
    if step.finally {
        return (StepForecast::Runs(RerunReason::Finally), None);
    }
    let max_age = match step.cache {
        CachePolicy::Off => return (StepForecast::Runs(RerunReason::CacheOff), None),
        CachePolicy::On => None,
        CachePolicy::MaxAge(seconds) => Some(seconds),
    };
    if matches!(step.map, Some(MapSpec { over: MapSource::Objects(_), .. })) {
        return (StepForecast::Runs(RerunReason::Listing), None);
    }
    let facts = match facts(input, name, step, outputs) {
        Ok(facts) => facts,
        Err(Unknown::Maker(maker)) => return (own_change_or(input, name, step, StepForecast::Depends(maker)), None),
        Err(Unknown::Model) => return (StepForecast::Runs(RerunReason::NeverRan), None),
        Err(Unknown::Object) => {
            let reason = if input.last.contains_key(name) { RerunReason::Object } else { RerunReason::NeverRan };
            return (own_change_or(input, name, step, StepForecast::Runs(reason)), None);
        }
    };
    let entry = cache.entry(&facts.parts.key());
    let expired = |entry: &CacheEntry| {
        // An age in seconds is far below 2^52.
        #[expect(clippy::cast_precision_loss, reason = "an age in seconds is far below 2^52")]
        let too_old = max_age.is_some_and(|seconds| input.now.seconds_since(entry.made_at) > seconds as f64);
        too_old || !entry.outputs.values().all(|artifact| cache.has_artifact(&artifact.digest))
    };
    match entry {
        Some(entry) if expired(&entry) => (StepForecast::Runs(RerunReason::Expired), None),
        Some(entry) => (StepForecast::Cached, Some(entry)),
        None => {
            let reason = match input.last.get(name) {
                // Equal keys without an entry: the result was removed, or its run did not succeed.
                Some(last) => first_difference(last, &facts).unwrap_or(RerunReason::Expired),
                None => RerunReason::NeverRan,
            };
            (StepForecast::Runs(reason), None)
        }
    }
}

/// Why the key of a step can not be known yet.
enum Unknown {
    /// This step comes first, and runs.
    Maker(StepName),
    /// A model that does not exist yet.
    Model,
    /// The object that will start the run.
    Object,
}

fn facts(
    input: &ForecastInput<'_>,
    name: &StepName,
    step: &StepSpec,
    outputs: &Outputs<'_>,
) -> Result<KeyFacts, Unknown> {
    let made = |maker: &StepName, output: &str| {
        let artifact = outputs.get(maker).and_then(|made| made.get(output));
        artifact.map(|artifact| artifact.digest).ok_or_else(|| Unknown::Maker(maker.clone()))
    };
    let mut inputs = BTreeMap::new();
    if let Some(map) = &step.map
        && let Some((maker, output)) = map.made()
        && let Ok(field) = FieldName::new(map.input())
    {
        inputs.insert(field, made(maker, output.as_str())?);
    }
    for (field, source) in &step.inputs {
        match source {
            InputSource::Output { step: maker, output } => {
                inputs.insert(field.clone(), made(maker, output.as_str())?);
            }
            InputSource::Model { .. } => {
                let model = input.models.get(&format!("{name}.{field}")).ok_or(Unknown::Model)?;
                inputs.insert(field.clone(), model.digest);
            }
            // Which object starts the next run is not known before it does.
            InputSource::Trigger => return Err(Unknown::Object),
            InputSource::Param { .. } | InputSource::File { .. } => {}
        }
    }
    let mut metrics = BTreeMap::new();
    for source in metrics_sources(&step.action, &step.reads_metrics) {
        metrics.insert(source.clone(), made(source, METRICS_OUTPUT)?);
    }
    Ok(with_context(input, step, inputs, metrics))
}

fn with_context(
    input: &ForecastInput<'_>,
    step: &StepSpec,
    inputs: BTreeMap<FieldName, Digest>,
    metrics: BTreeMap<StepName, Digest>,
) -> KeyFacts {
    let secrets = Some(&input.release.secrets);
    let scheduled = input.scheduled.cloned().unwrap_or_else(|| Scheduled::in_utc(input.now));
    let params = step.names.params(input.params).into_owned();
    let context = KeyContext { params, inputs, metrics, secrets, scheduled: Some(scheduled) };
    let package = step.package.and_then(|digest| input.packages.get(&digest).cloned());
    KeyFacts { parts: CacheKeyParts::new(step, context), package }
}

/// A step that waits for others runs in any case when something else about it changed, which is the better reason.
fn own_change_or(input: &ForecastInput<'_>, name: &StepName, step: &StepSpec, otherwise: StepForecast) -> StepForecast {
    let Some(last) = input.last.get(name) else { return otherwise };
    let same = (last.parts.inputs.clone(), last.parts.metrics.clone());
    let facts = with_context(input, step, same.0, same.1);
    first_difference(last, &facts).map_or(otherwise, StepForecast::Runs)
}
