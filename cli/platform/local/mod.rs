//! The `local` platform as commands use it: one folder below the project holds all that an environment is.

mod dev;
mod drive;
mod publish;
mod python;

use std::path::PathBuf;
use std::sync::Arc;

use liminal_functions::local::artifacts::LocalArtifacts;
use liminal_functions::local::drive::is_driven;
use liminal_functions::local::lock::DriverInfo;
use liminal_functions::local::store::DirectoryStore;
use liminal_functions::python::environment::Environments;
use liminal_infra::plan::forecast::CacheView;
use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::name::RunId;
use liminal_schemas::run::CacheEntry;

pub(super) use self::python::MachinePython;
use super::effects::EffectStore;
use super::effects::Effects;
use super::effects::plain;
use crate::app::Context;
use crate::error::CliError;
use crate::error::While as _;
use crate::settings::Settings;

/// What an environment is on this machine.
pub(super) struct Local {
    root: PathBuf,
    store: Arc<EffectStore<DirectoryStore>>,
    effects: Effects,
    artifacts: LocalArtifacts,
    settings: Settings,
}

impl Local {
    /// Opens what is below a folder.
    pub(super) fn open(context: &Context, root: PathBuf) -> Result<Self, CliError> {
        let objects = root.join("objects");
        let store = DirectoryStore::open(&objects)
            .or_failed(|| format!("the store in {} can not be opened", root.display()))?;
        let effects = Effects::new();
        Ok(Self {
            root,
            store: Arc::new(effects.of(store)),
            effects,
            artifacts: LocalArtifacts::new(objects),
            settings: context.settings.clone(),
        })
    }

    /// Its objects.
    pub(super) fn store(&self) -> Arc<EffectStore<DirectoryStore>> {
        Arc::clone(&self.store)
    }

    /// Its artifacts.
    pub(super) const fn artifacts(&self) -> &LocalArtifacts {
        &self.artifacts
    }

    /// The process that drives a run, if one does.
    pub(super) fn driver(&self, run: &RunId) -> Option<DriverInfo> {
        is_driven(&self.locks(), run).ok().flatten()
    }

    fn locks(&self) -> PathBuf {
        self.root.join("locks")
    }

    /// Python environments of this machine.
    pub(super) fn environments(&self) -> Environments {
        Environments {
            cache_dir: self.settings.cache_dir.clone(),
            search_path: self.settings.path.clone(),
            uv: find_program("uv", &self.settings.path),
        }
    }
}

impl CacheView for Local {
    fn entry(&self, key: &Digest) -> Option<CacheEntry> {
        let path = plain(&self.store).path_of(&keys::cache(key)).ok()?;
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    fn has_artifact(&self, digest: &Digest) -> bool {
        plain(&self.store).path_of(&keys::artifact(digest)).is_ok_and(|path| path.exists())
    }
}

/// The first program of that name on the search path.
pub(crate) fn find_program(name: &str, path: &str) -> Option<PathBuf> {
    std::env::split_paths(path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}
