//! The `local` platform as commands use it: one folder below the project holds all that an environment is.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use liminal_functions::local::LocalEnvironment;
use liminal_functions::local::artifacts::LocalArtifacts;
use liminal_functions::local::clock::SystemClock;
use liminal_functions::local::clock::SystemNonces;
use liminal_functions::local::drive;
use liminal_functions::local::drive::Drive;
use liminal_functions::local::drive::DriveError;
use liminal_functions::local::drive::DriveOptions;
use liminal_functions::local::drive::Driven;
use liminal_functions::local::executor::LocalExecutor;
use liminal_functions::local::executor::LocalExecutorConfig;
use liminal_functions::local::lock::DriverInfo;
use liminal_functions::local::queue::SqliteQueue;
use liminal_functions::local::store::DirectoryStore;
use liminal_functions::ports::Clock as _;
use liminal_functions::ports::Nonces as _;
use liminal_functions::ports::ObjectStore as _;
use liminal_functions::python::environment::Environments;
use liminal_functions::runner::Events;
use liminal_infra::plan::forecast;
use liminal_infra::plan::forecast::CacheView;
use liminal_infra::plan::forecast::ForecastInput;
use liminal_infra::ports::Resources as _;
use liminal_infra::resources::LocalResources;
use liminal_schemas::digest::Digest;
use liminal_schemas::graph::Graph;
use liminal_schemas::keys;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::plan::StepForecast;
use liminal_schemas::release::Release;
use liminal_schemas::release::SecretRef;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::CacheEntry;
use liminal_schemas::run::PinnedModel;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunStatus;
use liminal_schemas::state::LivePointer;
use liminal_schemas::state::ResourceAddress;
use liminal_schemas::state::ResourceKind;
use liminal_schemas::step::ArtifactKind;
use liminal_schemas::step::InputSource;
use liminal_schemas::step::ModelSelector;
use liminal_schemas::step::OutputRole;
use liminal_schemas::template::Reference;
use liminal_schemas::template::Template;
use liminal_schemas::time::UtcTime;
use liminal_schemas::value::Value;
use tokio::sync::mpsc;
use tokio::sync::watch;

use super::effects;
use super::effects::EffectQueue;
use super::effects::EffectStore;
use super::effects::Effects;
use super::objects::ControlObjects;
use super::python::MachinePython;
use crate::app::Context;
use crate::args::Format;
use crate::env_vars;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::error::While as _;
use crate::exit_code::ExitCode;
use crate::past_keys;
use crate::progress::Progress;
use crate::project;
use crate::project::Project;
use crate::records::Records;
use crate::records::RunName;
use crate::records::RunView;
use crate::settings::Settings;

/// How long a step has to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);

/// An environment on this machine.
pub(crate) struct Local {
    root: PathBuf,
    store: Arc<EffectStore>,
    effects: Effects,
    artifacts: LocalArtifacts,
    settings: Settings,
}

/// How a run is carried out.
pub(crate) struct Carry {
    /// How many steps may run at once; the number of cores where that is not said.
    pub(crate) jobs: Option<std::num::NonZeroU32>,
    /// The form of the summary.
    pub(crate) output: Format,
    /// What Ctrl-C asks for.
    pub(crate) interrupt: watch::Receiver<liminal_functions::executor::Stop>,
}

impl Local {
    /// The environment of the project that the settings point to. The definition is not read.
    pub(crate) fn of_project(context: &Context) -> Result<Self, CliError> {
        Self::at(context, &project::locate(&context.settings.directory)?)
    }

    /// The environment of a project.
    pub(crate) fn at(context: &Context, directory: &Path) -> Result<Self, CliError> {
        let root = directory.join(".liminal").join(context.settings.environment.as_str());
        let objects = root.join("objects");
        let store = DirectoryStore::open(&objects)
            .or_failed(|| format!("the store in {} can not be opened", root.display()))?;
        let effects = Effects::new();
        Ok(Self {
            root,
            store: Arc::new(effects.store(store)),
            effects,
            artifacts: LocalArtifacts::new(objects),
            settings: context.settings.clone(),
        })
    }

    /// Its objects.
    pub(crate) fn store(&self) -> &DirectoryStore {
        effects::plain(&self.store)
    }

    /// Its artifacts.
    pub(crate) const fn artifacts(&self) -> &LocalArtifacts {
        &self.artifacts
    }

    /// The store that effects go through.
    pub(super) fn effect_store(&self) -> &EffectStore {
        &self.store
    }

    /// Flags and environment.
    pub(super) const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The folder that holds it all.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What time it is.
    pub(crate) fn now(&self) -> UtcTime {
        SystemClock.now()
    }

    /// The process that drives a run, if one does.
    pub(crate) fn driver(&self, run: &RunId) -> Option<DriverInfo> {
        drive::is_driven(&self.locks(), run).ok().flatten()
    }

    fn locks(&self) -> PathBuf {
        self.root.join("locks")
    }

    /// A run id that sorts by time, to the millisecond: `20261124-230239-q7x7k2`.
    pub(crate) fn new_run_id(&self) -> Result<RunId, CliError> {
        const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let now = self.now();
        let time: String = now.to_string().chars().filter(char::is_ascii_digit).take(14).collect();
        let (day, clock) = time.split_at(time.len().min(8));
        let millis = usize::try_from(now.millis().rem_euclid(1000)).unwrap_or(0);
        let fraction: String = [DIGITS[millis / 36], DIGITS[millis % 36]].map(char::from).iter().collect();
        let random: String = SystemNonces.nonce().chars().take(4).collect();
        RunId::new(format!("{day}-{clock}-{fraction}{random}")).or_failed(|| "the clock gives no run id".to_owned())
    }

    /// The graph of a release.
    pub(crate) fn graph(&self, release: &Release) -> Result<Graph, CliError> {
        Graph::new(&release.steps).or_failed(|| format!("the release of {} can not be used", release.pipeline))
    }

    /// The release that is live.
    pub(crate) async fn live_release(&self, pipeline: &PipelineName) -> Result<Release, CliError> {
        let key = keys::live(pipeline);
        let object = self.store.get(&key).await.or_failed(|| format!("{key} can not be read"))?;
        let Some(object) = object else {
            return Err(CliError::new(format!("pipeline {pipeline} is not live in {}", self.settings.environment))
                .hint("`liminal apply` makes it live"));
        };
        let pointer: LivePointer = serde_json::from_slice(&object.bytes).or_failed(|| format!("{key} is damaged"))?;
        Records::new(self.store()).release(pipeline, &pointer.revision).await
    }

    /// Python environments of this machine.
    pub(crate) fn environments(&self) -> Environments {
        Environments {
            cache_dir: self.settings.cache_dir.clone(),
            search_path: self.settings.path.clone(),
            uv: find_program("uv", &self.settings.path),
        }
    }

    /// Checks that the Python environments of a release are still there: the cache folder may have been emptied.
    pub(crate) async fn check_environments(&self, release: &Release) -> Result<(), CliError> {
        let records = Records::new(self.store());
        let environments = self.environments();
        for digest in release.steps.values().filter_map(|step| step.package).collect::<BTreeSet<_>>() {
            let package = records.package(&digest).await?;
            let python = package.and_then(|package| package.python);
            if python.is_some_and(|python| !environments.has(&python.digest())) {
                return Err(CliError::new("the Python environment of this run is gone from the cache folder")
                    .hint("`liminal run` builds it again and takes from the cache what is done")
                    .hint(format!("the cache folder is {}", self.settings.cache_dir.display())));
            }
        }
        Ok(())
    }

    /// Puts all in place that a run of a release needs: packages, Python environments and the release itself.
    pub(crate) async fn publish(
        &self,
        context: &Context,
        project: &Project,
        release: &Release,
        starts_python: bool,
    ) -> Result<(), CliError> {
        let progress = Progress::new(&context.printer);
        let packages = &project.loaded.resolved.packages;
        let objects = ControlObjects(self.effect_store());
        let python = MachinePython { environments: self.environments(), progress: &progress };
        let resources = LocalResources { objects: &objects, python: &python, files: &project.snapshot, packages };
        let used: BTreeSet<Digest> = release.steps.values().filter_map(|step| step.package).collect();
        let mut addresses = BTreeSet::new();
        for digest in used {
            addresses.insert(ResourceAddress { kind: ResourceKind::Package, digest });
            let spec = packages.get(&digest).and_then(|package| package.python.as_ref()).filter(|_| starts_python);
            addresses.extend(spec.map(|spec| ResourceAddress { kind: ResourceKind::Python, digest: spec.digest() }));
        }
        for address in &addresses {
            resources.create(address).await.map_err(|error| {
                let what = match address.kind {
                    ResourceKind::Package => "the package of a step can not be made",
                    ResourceKind::Python => "the Python environment can not be made",
                };
                CliError::because(what, error.as_ref())
            })?;
        }
        let key = keys::release(&release.pipeline, &release.revision());
        let bytes = serde_json::to_vec(release).or_failed(|| format!("{key} can not be written"))?;
        self.store.put_if_absent(&key, &bytes).await.or_failed(|| format!("{key} can not be written"))?;
        Ok(())
    }

    /// Whether a run may start a Python step whose environment is not there yet. Where the cache holds all results, the
    /// minutes that an environment takes to build are spared.
    pub(crate) async fn starts_python(
        &self,
        project: &Project,
        record: &RunRecord,
        release: &Release,
    ) -> Result<bool, CliError> {
        let packages = &project.loaded.resolved.packages;
        let environments = self.environments();
        let python_of = |digest: &Digest| packages.get(digest).and_then(|package| package.python.as_ref());
        let missing = release.steps.iter().filter(|(_, step)| {
            step.package.as_ref().and_then(python_of).is_some_and(|python| !environments.has(&python.digest()))
        });
        let missing: Vec<&StepName> = missing.map(|(name, _)| name).collect();
        if missing.is_empty() || record.cache.off || !record.cache.fresh.is_empty() {
            return Ok(true);
        }
        let forecast = self.forecast(project, release, &record.params).await?;
        Ok(missing.iter().any(|step| forecast.get(*step) != Some(&StepForecast::Cached)))
    }

    /// The models that a release's inputs refer to, as they stand now.
    pub(crate) async fn pin_models(&self, release: &Release) -> Result<BTreeMap<String, PinnedModel>, CliError> {
        let records = Records::new(self.store());
        let mut pinned = BTreeMap::new();
        for (step, spec) in &release.steps {
            for (input, source) in &spec.inputs {
                let InputSource::Model { name, version } = source else { continue };
                let versions = records.model_versions(name).await?;
                let aliases = records.model_aliases(name).await?;
                let wanted = match version {
                    ModelSelector::Latest => versions.last().map(|version| version.version),
                    ModelSelector::Version(number) => Some(*number),
                    ModelSelector::Alias(alias) => aliases.get(alias.as_str()).copied(),
                };
                let found = versions.into_iter().find(|version| Some(version.version) == wanted).ok_or_else(|| {
                    CliError::new(format!("input {input} of step {step} needs {source}, which does not exist"))
                        .hint("run the pipeline that registers it first")
                        .hint(format!("`liminal models {name}` lists its versions"))
                })?;
                let pin = PinnedModel { model: name.clone(), version: found.version, artifact: found.artifact };
                pinned.insert(format!("{step}.{input}"), pin);
            }
        }
        Ok(pinned)
    }

    /// What the next run of a pipeline will do.
    pub(crate) async fn forecast(
        &self,
        project: &Project,
        release: &Release,
        params: &BTreeMap<FieldName, Value>,
    ) -> Result<BTreeMap<StepName, StepForecast>, CliError> {
        let records = Records::new(self.store());
        let last = past_keys::latest(&records, &release.pipeline, None).await?;
        let last = last.into_iter().map(|(step, (_, key))| (step, key)).collect();
        let pinned = self.pin_models(release).await.unwrap_or_default();
        let models = pinned.into_iter().map(|(input, pin)| (input, pin.artifact)).collect();
        let input = ForecastInput {
            release,
            packages: &project.loaded.resolved.packages,
            params,
            models: &models,
            last: &last,
            now: self.now(),
        };
        Ok(forecast::forecast(&input, self))
    }

    /// Drives a run to its end and shows how it came out. A record starts a new run, without one an old run goes on.
    pub(crate) async fn carry_out(
        &self,
        context: &Context,
        name: &RunName,
        release: &Release,
        start: Option<RunRecord>,
        carry: Carry,
    ) -> CommandResult {
        self.check_secrets(release)?;
        let environment = self.environment(context)?;
        let executor = Arc::new(self.executor());
        let (sender, events) = mpsc::unbounded_channel();
        let options = DriveOptions {
            jobs: carry.jobs.map_or_else(cores, std::num::NonZero::get),
            stop: carry.interrupt,
            events: Events::to(sender),
        };
        let what = match start {
            Some(record) => Drive::Start(Box::new(record)),
            None => Drive::Resume { pipeline: name.pipeline.clone(), run: name.run.clone() },
        };
        let progress = Progress::new(&context.printer);
        let title = format!("run {}", name.run);
        let driving = drive::drive(&environment, executor, what, options);
        let (driven, ()) = tokio::join!(driving, progress.follow_run(title, release.steps.len(), events));
        let driven = driven.map_err(|error| explain_drive(name, &error))?;
        let view = Records::new(self.store()).view(name).await?;
        self.show_run(context, &view, carry.output);
        match driven {
            Driven::Interrupted => {
                context.printer.complain(&format!(
                    "Run {run} is stopped, and nothing that is done is lost. Go on with: liminal resume {run}\n",
                    run = name.run
                ));
                Ok(ExitCode::Interrupted)
            }
            Driven::Finished(result) => Ok(exit_of(result.status)),
        }
    }

    /// Ends a run that nobody drives as cancelled.
    pub(crate) async fn cancel_idle(&self, context: &Context, name: &RunName) -> Result<(), CliError> {
        let environment = self.environment(context)?;
        drive::cancel_idle(&environment, &name.pipeline, &name.run)
            .await
            .map_err(|error| explain_drive(name, &error))?;
        Ok(())
    }

    /// Opens the queue beside the store. A damaged one is set aside, since runs derive their messages again.
    fn environment(&self, context: &Context) -> Result<LocalEnvironment<EffectStore, EffectQueue>, CliError> {
        let opened = SqliteQueue::open(self.root.join("queue.sqlite"), SystemClock)
            .or_failed(|| "the queue can not be opened".to_owned())?;
        if let Some(aside) = opened.set_aside {
            context.printer.warn(&format!(
                "the queue's file was corrupt and is set aside as {}; nothing is lost, since runs derive their messages again",
                aside.display()
            ));
        }
        Ok(LocalEnvironment {
            store: Arc::clone(&self.store),
            queue: Arc::new(self.effects.queue(opened.queue)),
            locks: self.locks(),
        })
    }

    fn executor(&self) -> LocalExecutor {
        LocalExecutor::new(LocalExecutorConfig {
            root: self.root.clone(),
            cache_dir: self.settings.cache_dir.clone(),
            grace: GRACE,
            sandbox: self.settings.sandbox,
            warden: std::env::current_exe().ok(),
            path: self.settings.path.clone(),
            secrets: Arc::new(secret_value),
        })
    }

    /// A secret without a value would fail its step in the middle of the run: better to say so before it starts.
    fn check_secrets(&self, release: &Release) -> Result<(), CliError> {
        for (step, spec) in &release.steps {
            for reference in spec.templates().flat_map(Template::references) {
                let Reference::Secret(name) = reference else { continue };
                let missing = release.secrets.get(name).filter(|secret| secret_value(secret).is_none());
                if let Some(SecretRef::Env(variable)) = missing {
                    return Err(CliError::new(format!(
                        "step {step} needs the secret {name}, and {variable} is not set"
                    ))
                    .hint(format!("set the environment variable {variable} and run again")));
                }
            }
        }
        Ok(())
    }

    /// Where a person finds an artifact: plots on this machine, everything else by a command.
    pub(super) fn locate(
        &self,
        view: &RunView,
        step: &StepName,
        output: &FieldName,
        artifact: &Artifact,
    ) -> Option<String> {
        let spec = view.release.steps.get(step)?.outputs.get(output)?;
        match (spec.role, artifact.kind) {
            (OutputRole::Plot, ArtifactKind::File) => self.plot_path(&view.record.run, step, &spec.path, artifact),
            (OutputRole::Plot | OutputRole::Data | OutputRole::Metrics, _) => {
                Some(format!("liminal artifacts get {step}.{output}"))
            }
        }
    }

    /// A plot under its own name, which programs that show pictures go by: a copy below the environment's folder.
    fn plot_path(&self, run: &RunId, step: &StepName, path: &str, artifact: &Artifact) -> Option<String> {
        let target = self.root.join("plots").join(run.as_str()).join(step.as_str()).join(path);
        if !target.exists() {
            std::fs::create_dir_all(target.parent()?).ok()?;
            self.artifacts.copy_out(artifact, &target).ok()?;
        }
        let here = std::env::current_dir().ok().and_then(|here| here.canonicalize().ok());
        let shown = here.and_then(|here| target.strip_prefix(here).ok().map(Path::to_owned)).unwrap_or(target);
        Some(shown.display().to_string())
    }
}

impl CacheView for Local {
    fn entry(&self, key: &Digest) -> Option<CacheEntry> {
        let path = self.store().path_of(&keys::cache(key)).ok()?;
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    fn has_artifact(&self, digest: &Digest) -> bool {
        self.store().path_of(&keys::artifact(digest)).is_ok_and(|path| path.exists())
    }
}

fn secret_value(secret: &SecretRef) -> Option<String> {
    match secret {
        SecretRef::Env(name) => env_vars::read(name),
    }
}

fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX))
}

/// The first program of that name on the search path.
pub(crate) fn find_program(name: &str, path: &str) -> Option<PathBuf> {
    std::env::split_paths(path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}

const fn exit_of(status: RunStatus) -> ExitCode {
    match status {
        RunStatus::Succeeded => ExitCode::Ok,
        RunStatus::Rejected => ExitCode::Refused,
        RunStatus::Failed | RunStatus::Cancelled => ExitCode::RunFailed,
    }
}

fn explain_drive(name: &RunName, error: &DriveError) -> CliError {
    let run = &name.run;
    let explained = CliError::because(format!("run {run} did not get to its end"), error);
    match error {
        DriveError::Lock(_) => {
            explained.hint(format!("`liminal status {run}` shows how far it is")).exit(ExitCode::LockHeld)
        }
        DriveError::Runner(_)
        | DriveError::Queue(_)
        | DriveError::Store(_)
        | DriveError::Panicked(_)
        | DriveError::Stuck(_) => explained.hint(format!("once the cause is gone, `liminal resume {run}` goes on")),
    }
}
