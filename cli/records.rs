//! Reads what runs leave in the object store, for commands that show it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_functions::ports::ObjectStore;
use liminal_infra::apply::window::all;
use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::map::BlockMarker;
use liminal_schemas::map::ItemCounts;
use liminal_schemas::map::MapRecord;
use liminal_schemas::name::ModelName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::release::Release;
use liminal_schemas::run::Commit;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::run::ModelAlias;
use liminal_schemas::run::ModelVersion;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunResult;
use liminal_schemas::unit::Unit;
use serde::de::DeserializeOwned;

use crate::error::CliError;
use crate::error::While as _;
use crate::exit_code::ExitCode;

/// The records of an environment.
pub(crate) struct Records<'a, S> {
    store: &'a S,
}

/// How many records are read at once.
pub(crate) const AT_ONCE: usize = 32;

/// How many runs are looked through for an artifact.
const LOOKBACK: usize = 50;

/// The name of a run: its pipeline and id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RunName {
    /// The id. First, so that names sort by time.
    pub(crate) run: RunId,
    /// The pipeline.
    pub(crate) pipeline: PipelineName,
}

/// How far a step is, as far as keys tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SeenStep {
    /// Its attempts, in order.
    pub(crate) attempts: Vec<SeenAttempt>,
    /// Whether it has ended.
    pub(crate) committed: bool,
    /// How many of its items are settled, for a step that maps and has begun.
    pub(crate) items: Option<u32>,
}

/// An attempt at a step, as far as keys tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SeenAttempt {
    /// Its number, from 1.
    pub(crate) number: u32,
    /// Whether it ended without a commit.
    pub(crate) failed: bool,
}

/// How the items of a step stand.
#[derive(Clone, Debug)]
pub(crate) struct SeenItems {
    /// How many there are.
    pub(crate) items: u32,
    /// How many have ended.
    pub(crate) settled: usize,
    /// How they ended, once all have.
    pub(crate) counts: Option<ItemCounts>,
    /// Those that failed, as many as were asked for.
    pub(crate) failed: Vec<Commit>,
}

/// A run with all that is known of it.
pub(crate) struct RunView {
    /// How it started.
    pub(crate) record: RunRecord,
    /// What it is pinned to.
    pub(crate) release: Release,
    /// The steps that have ended.
    pub(crate) commits: BTreeMap<StepName, Commit>,
    /// How it ended; none while it has not.
    pub(crate) result: Option<RunResult>,
}

impl<'a, S: ObjectStore> Records<'a, S> {
    /// Reads from a store.
    pub(crate) const fn new(store: &'a S) -> Self {
        Self { store }
    }

    /// A document, if there is one.
    pub(crate) async fn document<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, CliError> {
        let Some(object) = self.store.get(key).await.or_failed(|| format!("{key} can not be read"))? else {
            return Ok(None);
        };
        serde_json::from_slice(&object.bytes).map(Some).map_err(|error| {
            CliError::because(format!("{key} is damaged"), &error)
                .hint("nothing else depends on it: start a new run; what is cached stays cached")
        })
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>, CliError> {
        self.store.list(prefix).await.or_failed(|| format!("{prefix} can not be listed"))
    }

    /// All runs, oldest first; of one pipeline where that is given.
    pub(crate) async fn runs(&self, pipeline: Option<&PipelineName>) -> Result<Vec<RunName>, CliError> {
        let prefix = pipeline.map_or_else(|| keys::RUNS_PREFIX.to_owned(), keys::pipeline_runs_prefix);
        let mut runs: Vec<RunName> = self.keys(&prefix).await?.iter().filter_map(|key| run_of_key(key)).collect();
        runs.sort();
        Ok(runs)
    }

    /// The newest run, if there is any.
    pub(crate) async fn newest(&self, pipeline: Option<&PipelineName>) -> Result<Option<RunName>, CliError> {
        Ok(self.runs(pipeline).await?.pop())
    }

    /// The run with this id, or the only one whose id ends or begins so; the newest where nothing is asked for.
    pub(crate) async fn find(
        &self,
        wanted: Option<&str>,
        pipeline: Option<&PipelineName>,
    ) -> Result<RunName, CliError> {
        let Some(wanted) = wanted else {
            let newest = self.newest(pipeline).await?;
            return newest.ok_or_else(|| CliError::new("there is no run yet").hint("`liminal run` starts one"));
        };
        let runs = self.runs(pipeline).await?;
        let fits = |run: &RunName| run.run.as_str() == wanted;
        if let Some(exact) = runs.iter().find(|run| fits(run)) {
            return Ok(exact.clone());
        }
        let near: Vec<&RunName> = runs
            .iter()
            .filter(|run| {
                wanted.len() >= 3 && (run.run.as_str().ends_with(wanted) || run.run.as_str().starts_with(wanted))
            })
            .collect();
        match near.as_slice() {
            [only] => Ok((*only).clone()),
            [] => Err(CliError::new(format!("there is no run `{wanted}`"))
                .hint("`liminal runs` lists the runs")
                .exit(ExitCode::Error)),
            several => {
                let ids: Vec<&str> = several.iter().map(|run| run.run.as_str()).collect();
                Err(CliError::new(format!("`{wanted}` may be any of {}", ids.join(", "))))
            }
        }
    }

    /// The run that is named, or the newest one in which `step` left `output`; where there is none, the newest of all.
    pub(crate) async fn with_output(&self, wanted: Option<&str>, reference: &str) -> Result<RunView, CliError> {
        let newest = self.view(&self.find(wanted, None).await?).await?;
        let left = |view: &RunView| {
            reference.split_once('.').is_some_and(|(step, output)| {
                view.commits.get(step).is_some_and(|commit| commit.outputs.contains_key(output))
            })
        };
        if wanted.is_some() || left(&newest) {
            return Ok(newest);
        }
        for name in self.runs(None).await?.into_iter().rev().skip(1).take(LOOKBACK) {
            // A damaged run is no reason to find nothing: older ones may do.
            if let Ok(view) = self.view(&name).await
                && left(&view)
            {
                return Ok(view);
            }
        }
        Ok(newest)
    }

    /// The newest run that has not ended.
    pub(crate) async fn newest_open(&self) -> Result<Option<RunName>, CliError> {
        for name in self.runs(None).await?.into_iter().rev() {
            if self.result(&name).await?.is_none() {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// How a run started.
    pub(crate) async fn record(&self, name: &RunName) -> Result<RunRecord, CliError> {
        let key = keys::run(&name.pipeline, &name.run);
        self.document(&key).await?.ok_or_else(|| CliError::new(format!("there is no run {}", name.run)))
    }

    /// How far each step of a run is, as far as keys tell. Steps that nobody has begun with are left out.
    pub(crate) async fn steps(&self, name: &RunName) -> Result<BTreeMap<StepName, SeenStep>, CliError> {
        let prefix = keys::steps_prefix(&name.pipeline, &name.run);
        Ok(steps_among(&self.keys(&prefix).await?, &prefix))
    }

    /// How many items a step has, once that is known.
    pub(crate) async fn map(&self, name: &RunName, step: &StepName) -> Result<Option<MapRecord>, CliError> {
        self.document(&keys::map(&name.pipeline, &name.run, step)).await
    }

    /// The attempts at an item, in order, and whether it is settled.
    pub(crate) async fn item_attempts(
        &self,
        name: &RunName,
        unit: &Unit,
    ) -> Result<(Vec<SeenAttempt>, bool), CliError> {
        let prefix = keys::attempts_prefix(&name.pipeline, &name.run, unit);
        let listed = self.keys(&prefix).await?;
        let ends: BTreeSet<&str> = listed.iter().filter_map(|key| key.strip_prefix(&prefix)).collect();
        let numbers = ends.iter().filter_map(|end| end.strip_suffix(".json")?.parse::<u32>().ok());
        let mut attempts: Vec<SeenAttempt> = numbers
            .map(|number| SeenAttempt { number, failed: ends.contains(format!("{number}.failed.json").as_str()) })
            .collect();
        attempts.sort();
        let commit: Option<Commit> = self.document(&keys::commit(&name.pipeline, &name.run, unit)).await?;
        Ok((attempts, commit.is_some()))
    }

    /// How the items of a step stand: what is known of whole blocks, and the commits of those that did not succeed, up to `most`
    /// of them, in their order.
    pub(crate) async fn items(
        &self,
        name: &RunName,
        step: &StepName,
        most: usize,
    ) -> Result<Option<SeenItems>, CliError> {
        let Some(map) = self.map(name, step).await? else { return Ok(None) };
        let prefix = keys::all_settled_prefix(&name.pipeline, &name.run, step);
        let settled = self.keys(&prefix).await?;
        let mut seen = SeenItems { items: map.items, settled: settled.len(), failed: Vec::new(), counts: None };
        let mut counts = ItemCounts::default();
        for block in 0..map.blocks(1) {
            let key = keys::marker(&name.pipeline, &name.run, step, 1, block);
            let marker: Option<BlockMarker> = self.document(&key).await?;
            if let Some(marker) = &marker {
                counts.add(marker.counts);
            }
            if seen.failed.len() >= most || marker.is_some_and(|marker| marker.counts.failed == 0) {
                continue;
            }
            let below = keys::settled_prefix(&name.pipeline, &name.run, step, block);
            let reads = settled.iter().filter(|key| key.starts_with(&below)).map(|key| self.document::<Commit>(key));
            let commits: Result<Vec<Option<Commit>>, CliError> = all(reads, AT_ONCE).await.into_iter().collect();
            let failed = commits?.into_iter().flatten().filter(|commit| commit.status == CommitStatus::Failed);
            seen.failed.extend(failed);
        }
        seen.failed.truncate(most);
        seen.counts = (counts.items == map.items).then_some(counts);
        Ok(Some(seen))
    }

    /// How a run ended, if it has.
    pub(crate) async fn result(&self, name: &RunName) -> Result<Option<RunResult>, CliError> {
        self.document(&keys::result(&name.pipeline, &name.run)).await
    }

    /// A run with all that is known of it.
    pub(crate) async fn view(&self, name: &RunName) -> Result<RunView, CliError> {
        let record = self.record(name).await?;
        let release = self.release(&record.pipeline, &record.revision).await?;
        let reads = release.steps.keys().map(|step| async move {
            let commit = self.document(&keys::commit(&name.pipeline, &name.run, step)).await?;
            Ok(commit.map(|commit: Commit| (step.clone(), commit)))
        });
        let commits: Result<Vec<Option<_>>, CliError> = all(reads, AT_ONCE).await.into_iter().collect();
        let commits = commits?.into_iter().flatten().collect();
        let result = self.result(name).await?;
        Ok(RunView { record, release, commits, result })
    }

    /// A release.
    pub(crate) async fn release(&self, pipeline: &PipelineName, revision: &Digest) -> Result<Release, CliError> {
        let key = keys::release(pipeline, revision);
        self.document(&key)
            .await?
            .ok_or_else(|| CliError::new(format!("release {} of {pipeline} is gone", revision.short())))
    }

    /// The document of a package, if it is there.
    pub(crate) async fn package(&self, digest: &Digest) -> Result<Option<PackageSpec>, CliError> {
        self.document(&keys::package_spec(digest)).await
    }

    /// The names of all models.
    pub(crate) async fn models(&self) -> Result<Vec<ModelName>, CliError> {
        let mut names: Vec<ModelName> = self
            .keys(keys::MODELS_PREFIX)
            .await?
            .iter()
            .filter_map(|key| ModelName::new(key.strip_prefix(keys::MODELS_PREFIX)?.split('/').next()?).ok())
            .collect();
        names.dedup();
        Ok(names)
    }

    /// All versions of a model, oldest first.
    pub(crate) async fn model_versions(&self, model: &ModelName) -> Result<Vec<ModelVersion>, CliError> {
        let listed = self.keys(&keys::model_versions_prefix(model)).await?;
        let reads = listed.iter().map(|key| self.document::<ModelVersion>(key));
        let versions: Result<Vec<Option<ModelVersion>>, CliError> = all(reads, AT_ONCE).await.into_iter().collect();
        let mut versions: Vec<ModelVersion> = versions?.into_iter().flatten().collect();
        versions.sort_by_key(|version| version.version);
        Ok(versions)
    }

    /// The aliases of a model, with the versions that they name.
    pub(crate) async fn model_aliases(&self, model: &ModelName) -> Result<BTreeMap<String, u64>, CliError> {
        let prefix = format!("{}{model}/aliases/", keys::MODELS_PREFIX);
        let mut aliases = BTreeMap::new();
        for key in self.keys(&prefix).await? {
            let name = key.trim_start_matches(&prefix).trim_end_matches(".json").to_owned();
            if let Some(alias) = self.document::<ModelAlias>(&key).await? {
                aliases.insert(name, alias.version);
            }
        }
        Ok(aliases)
    }
}

/// The steps that keys below a prefix speak of: `<step>/commit.json` and `<step>/attempts/<n>.json`.
fn steps_among(listed: &[String], prefix: &str) -> BTreeMap<StepName, SeenStep> {
    let mut steps: BTreeMap<StepName, SeenStep> = BTreeMap::new();
    let mut failed: BTreeSet<(StepName, u32)> = BTreeSet::new();
    for key in listed {
        let Some((step, file)) = key.strip_prefix(prefix).and_then(|rest| rest.split_once('/')) else { continue };
        let Ok(name) = StepName::of_segment(step) else { continue };
        if file == "map.json" {
            steps.entry(name).or_default().items.get_or_insert(0);
            continue;
        }
        if file.starts_with("settled/") {
            *steps.entry(name).or_default().items.get_or_insert(0) += 1;
            continue;
        }
        if file == "commit.json" {
            steps.entry(name).or_default().committed = true;
            continue;
        }
        let Some(attempt) = file.strip_prefix("attempts/") else { continue };
        if let Some(number) = attempt.strip_suffix(".failed.json").and_then(|number| number.parse().ok()) {
            failed.insert((name, number));
        } else if let Some(number) = attempt.strip_suffix(".json").and_then(|number| number.parse().ok()) {
            steps.entry(name).or_default().attempts.push(SeenAttempt { number, failed: false });
        }
    }
    for (name, step) in &mut steps {
        step.attempts.sort();
        for attempt in &mut step.attempts {
            attempt.failed = failed.contains(&(name.clone(), attempt.number));
        }
    }
    steps
}

fn run_of_key(key: &str) -> Option<RunName> {
    let rest = key.strip_prefix(keys::RUNS_PREFIX)?.strip_suffix("/run.json")?;
    let (pipeline, run) = rest.split_once('/')?;
    Some(RunName { run: RunId::new(run).ok()?, pipeline: PipelineName::new(pipeline).ok()? })
}
