//! The local executor: an attempt is a child process on this machine.

use std::fmt;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::map::ListedObject;
use liminal_schemas::name::RunId;
use liminal_schemas::release::SecretRef;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::Failure;

use super::artifacts::LocalArtifacts;
use super::buckets::FolderBuckets;
use super::packages::LocalPackages;
use super::sandbox;
use super::sandbox::SandboxStatus;
use super::warden::Warden;
use super::warden::Watched;
use crate::attempt::capture::Capture;
use crate::attempt::capture::DEFAULT_LOG_BYTES;
use crate::attempt::carry::Host;
use crate::attempt::carry::Launch;
use crate::attempt::carry::PackageHere;
use crate::attempt::carry::Started;
use crate::attempt::carry::carry;
use crate::attempt::carry::not_started;
use crate::attempt::command::Surroundings;
use crate::attempt::failure;
use crate::attempt::folder::remove_run;
use crate::attempt::outputs::FoundOutput;
use crate::attempt::process::Process;
use crate::attempt::redact::Redactor;
use crate::executor::AttemptJob;
use crate::executor::AttemptOutcome;
use crate::executor::Executor;
use crate::python::environment::Environments;

/// Finds the value of a secret, if there is one.
pub type SecretSource = Arc<dyn Fn(&SecretRef) -> Option<String> + Send + Sync>;

/// What a local executor needs to know.
#[derive(Clone)]
pub struct LocalExecutorConfig {
    /// The state folder of the environment: `.liminal/<env>`.
    pub root: PathBuf,
    /// Where Python environments are.
    pub cache_dir: PathBuf,
    /// How long a step has to end when it is asked to.
    pub grace: Duration,
    /// Whether steps are kept from writing outside their folders, where the kernel can.
    pub sandbox: bool,
    /// The program that serves as the warden: `liminal` itself.
    pub warden: Option<PathBuf>,
    /// Where steps look for programs.
    pub path: String,
    /// Where secrets are found.
    pub secrets: SecretSource,
    /// The folders that stand for buckets.
    pub buckets: FolderBuckets,
}

impl fmt::Debug for LocalExecutorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalExecutorConfig").field("root", &self.root).finish_non_exhaustive()
    }
}

/// Carries out attempts as child processes.
#[derive(Clone, Debug)]
pub struct LocalExecutor {
    machine: Arc<Machine>,
}

/// This machine, as attempts see it.
#[derive(Debug)]
struct Machine {
    config: LocalExecutorConfig,
    work: PathBuf,
    unpacked: PathBuf,
    objects: PathBuf,
    artifacts: LocalArtifacts,
    packages: LocalPackages,
    environments: Environments,
    warden: Arc<Warden>,
    /// Whether steps are confined: asked for, and possible.
    confines: bool,
}

impl LocalExecutor {
    /// An executor over a state folder.
    pub fn new(config: LocalExecutorConfig) -> Self {
        let objects = config.root.join("objects");
        let unpacked = config.root.join("unpacked");
        let machine = Machine {
            artifacts: LocalArtifacts::new(objects.clone()),
            packages: LocalPackages::new(objects.clone(), unpacked.clone()),
            environments: Environments {
                cache_dir: config.cache_dir.clone(),
                search_path: config.path.clone(),
                uv: None,
            },
            warden: Arc::new(Warden::new(config.warden.clone())),
            confines: config.sandbox && sandbox::status() != SandboxStatus::Unavailable,
            work: config.root.join("work"),
            unpacked,
            objects,
            config,
        };
        Self { machine: Arc::new(machine) }
    }
}

impl Executor for LocalExecutor {
    async fn execute(&self, job: AttemptJob) -> AttemptOutcome {
        carry(&self.machine, job).await
    }

    fn run_ended(&self, run: &RunId) {
        remove_run(&self.machine.work, run);
    }
}

impl Host for Machine {
    type Watch = Watched;

    fn work_root(&self) -> &Path {
        &self.work
    }

    fn script_root(&self) -> &Path {
        &self.unpacked
    }

    fn grace(&self) -> Duration {
        self.config.grace
    }

    fn package(&self, digest: &Digest) -> Result<PackageHere, Failure> {
        let package = self.packages.get(digest)?;
        let venv = match &package.python {
            Some(python) => Some(self.environments.find(python).map_err(|error| failure::poison(error.to_string()))?),
            None => None,
        };
        Ok(PackageHere { code: Arc::clone(&package.code), venv })
    }

    fn surroundings<'a>(&'a self, package: Option<&'a PackageHere>) -> Surroundings<'a> {
        Surroundings {
            search_path: &self.config.path,
            code: package.map(|package| &*package.code),
            venv: package.and_then(|package| package.venv.as_deref()),
            ..Surroundings::default()
        }
    }

    fn secret(&self, reference: &SecretRef) -> Result<Option<String>, Failure> {
        Ok((self.config.secrets)(reference))
    }

    fn fetch(&self, inputs: &[(&Artifact, &Path)]) -> Result<(), Failure> {
        inputs.iter().try_for_each(|(artifact, path)| self.artifacts.fetch(artifact, path))
    }

    fn fetch_object(&self, object: &ListedObject, to: &Path) -> Result<bool, Failure> {
        self.config
            .buckets
            .fetch(object, to)
            .map_err(|error| failure::infrastructure(&format!("reading {}", object.uri()), &error))
    }

    fn keep(&self, outputs: &[&FoundOutput]) -> Result<(), Failure> {
        outputs.iter().try_for_each(|output| self.artifacts.keep(output))
    }

    fn capture(&self, job: &AttemptJob, redactor: Redactor) -> Capture {
        let log = self.objects.join(keys::attempt_log(&job.pipeline, &job.run, &job.unit, job.attempt));
        Capture::new(log, redactor, DEFAULT_LOG_BYTES)
    }

    fn start(&self, launch: Launch<'_>) -> Result<Started<Watched>, Failure> {
        let work = launch.folder.work();
        self.warden.start();
        if self.confines {
            sandbox::confine_thread(work).map_err(|error| {
                failure::infrastructure("confining the step to its folder", &io::Error::other(error))
            })?;
        }
        let watch = self.warden.watch(work);
        let process = Process::spawn(launch.line).map_err(|error| not_started(&launch.line.name, &error))?;
        if let Some(group) = process.id() {
            watch.is_group(group);
        }
        Ok(Started { process, watch, confined: self.confines })
    }

    fn late_hint(&self) -> String {
        "raise `timeout:` of the step, if it needs that long".to_owned()
    }

    fn keeps_folders(&self) -> bool {
        true
    }
}
