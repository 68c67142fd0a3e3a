//! The `local` platform as commands use it: one folder below the project holds all that an environment is.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use liminal_functions::local::artifacts::LocalArtifacts;
use liminal_functions::local::clock::SystemClock;
use liminal_functions::local::clock::SystemNonces;
use liminal_functions::local::drive;
use liminal_functions::local::lock::DriverInfo;
use liminal_functions::local::store::DirectoryStore;
use liminal_functions::ports::Clock as _;
use liminal_functions::ports::Nonces as _;
use liminal_functions::ports::ObjectStore as _;
use liminal_functions::python::environment::Environments;
use liminal_schemas::graph::Graph;
use liminal_schemas::keys;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::release::Release;
use liminal_schemas::state::LivePointer;
use liminal_schemas::time::UtcTime;

use super::effects;
use super::effects::EffectStore;
use super::effects::Effects;
use crate::app::Context;
use crate::error::CliError;
use crate::error::While as _;
use crate::project;
use crate::records::Records;
use crate::settings::Settings;

/// An environment on this machine.
pub(crate) struct Local {
    root: PathBuf,
    store: Arc<EffectStore>,
    effects: Effects,
    artifacts: LocalArtifacts,
    settings: Settings,
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
    pub(super) const fn effect_store(&self) -> &Arc<EffectStore> {
        &self.store
    }

    /// The counter of effects.
    pub(super) const fn effects(&self) -> &Effects {
        &self.effects
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

    pub(super) fn locks(&self) -> PathBuf {
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
}

/// The first program of that name on the search path.
pub(crate) fn find_program(name: &str, path: &str) -> Option<PathBuf> {
    std::env::split_paths(path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}
