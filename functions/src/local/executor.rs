//! The local executor: an attempt is a child process on this machine.

use std::fmt;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use liminal_schemas::keys;
use liminal_schemas::release::SecretRef;
use liminal_schemas::run::Failure;
use liminal_schemas::step::Action;
use liminal_schemas::step::FailureClass;
use liminal_schemas::step::InputSource;
use tokio::sync::oneshot;

use super::artifacts::LocalArtifacts;
use super::limits::Limits;
use super::packages::LocalPackages;
use super::sandbox;
use super::sandbox::SandboxStatus;
use super::warden::Warden;
use super::warden::Watched;
use crate::attempt::binding::Binding;
use crate::attempt::capture::Capture;
use crate::attempt::capture::DEFAULT_LOG_BYTES;
use crate::attempt::command::CommandLine;
use crate::attempt::command::Surroundings;
use crate::attempt::failure;
use crate::attempt::folder::AttemptFolder;
use crate::attempt::outputs;
use crate::attempt::process;
use crate::attempt::process::Bounds;
use crate::attempt::process::Ended;
use crate::attempt::process::Process;
use crate::attempt::redact::Redactor;
use crate::executor::AttemptJob;
use crate::executor::AttemptOutcome;
use crate::executor::Executor;
use crate::python::call::PythonCall;
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
}

impl fmt::Debug for LocalExecutorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalExecutorConfig").field("root", &self.root).finish_non_exhaustive()
    }
}

/// Carries out attempts as child processes.
#[derive(Clone, Debug)]
pub struct LocalExecutor {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: LocalExecutorConfig,
    objects: PathBuf,
    artifacts: LocalArtifacts,
    packages: LocalPackages,
    environments: Environments,
    warden: Arc<Warden>,
    /// Whether steps are confined: asked for, and possible.
    confines: bool,
}

/// An attempt that runs.
struct Launched {
    // Dropped in this order: the group is killed before the warden forgets it.
    process: Process,
    watched: Watched,
    capture: Capture,
    program: String,
    call: Option<PythonCall>,
    limits: Option<Limits>,
    confined: bool,
}

impl LocalExecutor {
    /// An executor over a state folder.
    pub fn new(config: LocalExecutorConfig) -> Self {
        let objects = config.root.join("objects");
        let shared = Shared {
            artifacts: LocalArtifacts::new(objects.clone()),
            packages: LocalPackages::new(objects.clone(), config.root.join("unpacked")),
            environments: Environments {
                cache_dir: config.cache_dir.clone(),
                search_path: config.path.clone(),
                uv: None,
            },
            warden: Arc::new(Warden::new(config.warden.clone())),
            confines: config.sandbox && sandbox::status() != SandboxStatus::Unavailable,
            objects,
            config,
        };
        Self { shared: Arc::new(shared) }
    }
}

impl Executor for LocalExecutor {
    async fn execute(&self, job: AttemptJob) -> AttemptOutcome {
        let job = Arc::new(job);
        let folder = AttemptFolder::new(&self.shared.config.root.join("work"), &job.run, &job.step, job.attempt);
        match self.shared.clone().attempt(&job, &folder).await {
            Ok(outcome) => outcome,
            Err(failure) => AttemptOutcome::Failed(self.shared.explain(failure, &folder)),
        }
    }
}

impl Shared {
    async fn attempt(
        self: Arc<Self>,
        job: &Arc<AttemptJob>,
        folder: &AttemptFolder,
    ) -> Result<AttemptOutcome, Failure> {
        let deadline = process::deadline(job.timeout);
        let Launched { process, watched, mut capture, program, call, limits, confined } =
            self.clone().launch(job.clone(), folder.clone()).await?;
        let probe = limits.clone().map(|limits| -> process::Probe { Box::new(move |group| limits.breach(group)) });
        let bounds = Bounds { deadline, grace: self.config.grace, stop: job.stop.clone(), probe };
        let ended = process.supervise(bounds, folder.work(), &mut capture).await;
        drop(watched);
        let logged = capture.finish();
        let failed = match ended.map_err(|error| failure::infrastructure("waiting for the step", &error))? {
            Ended::Exited(status) => {
                let tail = capture.tail();
                let failed = process::failure_of(&program, status);
                let breach = limits.as_ref().and_then(|limits| {
                    let at_file = failed.as_ref().and_then(|failure| limits.file_breach(failure, &tail));
                    at_file.or_else(|| limits.disk_breach())
                });
                let raised = call.as_ref().filter(|_| failed.is_some()).and_then(PythonCall::raised);
                match (breach, failed, raised) {
                    (Some(breach), _, _) => Some(breach),
                    (None, Some(failed), Some(message)) => Some(Failure { message, ..failed }),
                    (None, failed, _) => failed,
                }
            }
            Ended::TimedOut => {
                let message = format!("the step took longer than its timeout of {:?}", job.timeout);
                let late = Failure { class: FailureClass::Timeout, ..failure::user(message) };
                Some(failure::with_hint(late, "raise `timeout:` of the step, if it needs that long"))
            }
            Ended::OverLimit(breach) => Some(breach),
            Ended::Stopped => {
                let folder = folder.clone();
                // What is left of a stopped attempt is wiped by the next one at the latest.
                let _ = tokio::task::spawn_blocking(move || folder.remove()).await;
                return Ok(AttemptOutcome::Stopped);
            }
        };
        if let Some(failed) = failed {
            return Err(with_output(failed, &capture, confined));
        }
        logged.map_err(|error| failure::infrastructure("writing the log", &error))?;
        let shared = self.clone();
        let (job, folder) = (job.clone(), folder.clone());
        let collected = tokio::task::spawn_blocking(move || shared.collect(&job, &folder)).await;
        match collected {
            Ok(collected) => collected.map_err(|failed| with_output(failed, &capture, false)),
            Err(error) => Err(failure::infrastructure("collecting outputs", &error.into())),
        }
    }

    /// Starts an attempt, in a thread of its own: what confines the step confines the thread that starts it, for good.
    async fn launch(self: Arc<Self>, job: Arc<AttemptJob>, folder: AttemptFolder) -> Result<Launched, Failure> {
        let (sender, receiver) = oneshot::channel();
        let runtime = tokio::runtime::Handle::current();
        let thread = std::thread::Builder::new().name("attempt".to_owned()).spawn(move || {
            let _entered = runtime.enter();
            // When nobody waits any more, what was started is dropped, and thereby killed.
            let _ = sender.send(self.launch_here(&job, &folder));
        });
        thread.map_err(|error| failure::infrastructure("starting a thread", &error))?;
        match receiver.await {
            Ok(launched) => launched,
            Err(_) => Err(failure::infrastructure("starting the step", &std::io::Error::other("its thread ended"))),
        }
    }

    fn launch_here(&self, job: &AttemptJob, folder: &AttemptFolder) -> Result<Launched, Failure> {
        let fetched = job.spec.inputs.iter().filter(|(_, source)| match source {
            InputSource::Output { .. } | InputSource::Model { .. } | InputSource::Trigger => true,
            InputSource::Param { .. } | InputSource::File { .. } => false,
        });
        let fetched: Vec<_> = fetched.map(|(name, _)| name).collect();
        folder
            .create(!fetched.is_empty())
            .map_err(|error| failure::infrastructure("making the work folder", &error))?;
        let package = job.package.as_ref().map(|digest| self.packages.get(digest)).transpose()?;
        let venv = match package.as_ref().and_then(|package| package.python.as_ref()) {
            Some(python) => {
                let found = self.environments.find(python).map_err(|error| failure::poison(error.to_string()))?;
                Some(found)
            }
            None => None,
        };
        let code = package.as_ref().map(|package| &package.code);
        let binding = Binding::new(job, folder, code.map(|code| code.folder.as_path()), &*self.config.secrets)?;
        for name in fetched {
            if let (Some(artifact), Some(path)) = (job.inputs.get(name), binding.inputs.get(name)) {
                self.artifacts.fetch(artifact, path)?;
            }
        }
        make_parents(&binding, folder)?;
        let surroundings = Surroundings { search_path: &self.config.path, code, venv: venv.as_deref() };
        let (line, call) = match &job.spec.action {
            Action::Run { argv } => (CommandLine::for_run(argv, job, folder, &binding, surroundings)?, None),
            Action::Call { module, function } => {
                let call = PythonCall::prepare((module, function), job, folder, &binding, code)?;
                let script = self.python_script()?;
                let line = CommandLine::for_call(&script, call.file(), job, folder, &binding, surroundings)?;
                (line, Some(call))
            }
            Action::Gate { .. } | Action::Register { .. } => {
                let keyword = job.spec.action.keyword();
                return Err(failure::poison(format!("a `{keyword}:` step starts no process")));
            }
        };
        let log = self.objects.join(keys::attempt_log(&job.pipeline, &job.run, &job.step, job.attempt));
        let redactor = Redactor::new(binding.secrets.values().map(String::as_str));
        let capture = Capture::create(&log, redactor, DEFAULT_LOG_BYTES)
            .map_err(|error| failure::infrastructure("making the log", &error))?;
        self.warden.start();
        let confined = self.confines;
        if confined {
            sandbox::confine_thread(folder.work()).map_err(|error| {
                let error = std::io::Error::other(error);
                failure::infrastructure("confining the step to its folder", &error)
            })?;
        }
        let watched = self.warden.watch(folder.work());
        let process = Process::spawn(&line).map_err(|error| not_started(&line.name, &error))?;
        if let Some(group) = process.id() {
            watched.is_group(group);
        }
        let limits = Limits::new(&job.spec.resources, folder.work());
        if let (Some(limits), Some(process)) = (&limits, process.id()) {
            limits.bound_files(process);
        }
        Ok(Launched { process, watched, capture, program: line.name, call, limits, confined })
    }

    /// The script that calls Python functions, written once per version of it.
    fn python_script(&self) -> Result<PathBuf, Failure> {
        crate::python::call::install_script(&self.config.root.join("unpacked"))
            .map_err(|error| failure::infrastructure("writing the script that calls functions", &error))
    }

    fn collect(&self, job: &AttemptJob, folder: &AttemptFolder) -> Result<AttemptOutcome, Failure> {
        let found = outputs::find(&job.spec.outputs, &folder.out())?;
        for output in found.outputs.values() {
            self.artifacts.keep(output)?;
        }
        folder.remove().map_err(|error| failure::infrastructure("removing the work folder", &error))?;
        let outputs = found.outputs.into_iter().map(|(name, output)| (name, output.artifact)).collect();
        Ok(AttemptOutcome::Succeeded { outputs, metrics: found.metrics })
    }

    fn explain(&self, mut failed: Failure, folder: &AttemptFolder) -> Failure {
        if folder.work().exists() {
            failure::add_line(&mut failed, &format!("its work folder is kept: {}", folder.work().display()));
        }
        failed
    }
}

/// Adds what the step printed, before any advice that is there already.
fn with_output(mut failed: Failure, capture: &Capture, confined: bool) -> Failure {
    failed.message = capture.redact(&failed.message);
    let advice = std::mem::take(&mut failed.detail);
    failed.detail = capture.tail();
    if !advice.is_empty() {
        failure::add_line(&mut failed, &advice);
    }
    for hint in failure::hints_from_output(&capture.tail(), confined) {
        failed = failure::with_hint(failed, hint);
    }
    failed
}

fn not_started(program: &str, error: &std::io::Error) -> Failure {
    let failed = failure::user(format!("`{program}` can not be started: {error}"));
    match error.kind() {
        std::io::ErrorKind::ArgumentListTooLong => failure::with_hint(
            failed,
            "a parameter is too long for a command line or an environment variable: use a file",
        ),
        // Linux: ENOEXEC.
        _ if error.raw_os_error() == Some(8) => {
            failure::with_hint(failed, "give it a first line like `#!/bin/sh`, or name its interpreter first")
        }
        _ => failed,
    }
}

fn make_parents(binding: &Binding, folder: &AttemptFolder) -> Result<(), Failure> {
    let out = folder.out();
    let parents = binding.outputs.values().filter_map(|path| path.parent()).filter(|parent: &&Path| **parent != *out);
    for parent in parents {
        fs::create_dir_all(parent).map_err(|error| failure::infrastructure("making an output folder", &error))?;
    }
    Ok(())
}
