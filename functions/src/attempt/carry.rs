//! One attempt from its beginning to its end: the same on every platform, over a [`Host`] that knows the machine.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use liminal_schemas::digest::Digest;
use liminal_schemas::map::ListedObject;
use liminal_schemas::name::FieldName;
use liminal_schemas::release::SecretRef;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::Failure;
use liminal_schemas::step::Action;
use liminal_schemas::step::FailureClass;
use liminal_schemas::step::InputSource;
use tokio::sync::oneshot;

use super::binding::Binding;
use super::capture::Capture;
use super::command::Code;
use super::command::CommandLine;
use super::command::Surroundings;
use super::failure;
use super::folder::AttemptFolder;
use super::limits::Limits;
use super::outputs;
use super::outputs::FoundOutput;
use super::process;
use super::process::Bounds;
use super::process::Ended;
use super::process::Process;
use super::redact::Redactor;
use crate::executor::AttemptJob;
use crate::executor::AttemptOutcome;
use crate::executor::GivenObjects;
use crate::python::call::PythonCall;

/// The machine that attempts are carried out on: where code, secrets and objects are, and how a process starts.
///
/// Its functions block, and are called from threads that may. What a [`Failure`] says is shown to people as it is.
pub trait Host: Send + Sync + 'static {
    /// Is held as long as the process of an attempt is watched, and dropped after it.
    type Watch: Send + 'static;

    /// The folder below which attempts have theirs.
    fn work_root(&self) -> &Path;

    /// The folder below which scripts of liminal's own are written.
    fn script_root(&self) -> &Path;

    /// How long a step has to end when it is asked to.
    fn grace(&self) -> Duration;

    /// What a package is on this machine.
    ///
    /// # Errors
    /// When it is not there, or not to be trusted.
    fn package(&self, digest: &Digest) -> Result<PackageHere, Failure>;

    /// What runs Python, and what it may import, for a step with this package or none.
    fn surroundings<'a>(&'a self, package: Option<&'a PackageHere>) -> Surroundings<'a>;

    /// The value of a secret, if it has one.
    ///
    /// # Errors
    /// When the service that keeps it fails.
    fn secret(&self, reference: &SecretRef) -> Result<Option<String>, Failure>;

    /// Puts artifacts where a step expects them, read-only, every byte checked against its digest.
    ///
    /// # Errors
    /// When one is missing, or is not what its name says.
    fn fetch(&self, inputs: &[(&Artifact, &Path)]) -> Result<(), Failure>;

    /// Puts an object of a bucket where a step expects it, read-only. False when it is gone, or another one by now.
    ///
    /// # Errors
    /// When it can not be read.
    fn fetch_object(&self, object: &ListedObject, to: &Path) -> Result<bool, Failure>;

    /// Puts what an attempt left into the store.
    ///
    /// # Errors
    /// When the store refuses.
    fn keep(&self, outputs: &[&FoundOutput]) -> Result<(), Failure>;

    /// Where what the step prints goes.
    fn capture(&self, job: &AttemptJob, redactor: Redactor) -> Capture;

    /// Starts the process of an attempt.
    ///
    /// # Errors
    /// When it can not be started.
    fn start(&self, launch: Launch<'_>) -> Result<Started<Self::Watch>, Failure>;

    /// What to do about a step that took too long.
    fn late_hint(&self) -> String;

    /// Whether the folder of an attempt that failed is left, for people to look at.
    fn keeps_folders(&self) -> bool;
}

/// A package on this machine.
#[derive(Clone, Debug)]
pub struct PackageHere {
    /// Its code.
    pub code: Arc<Code>,
    /// The Python environment that it needs, where it has one of its own.
    pub venv: Option<PathBuf>,
}

/// What is to be started.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// The attempt.
    pub job: &'a AttemptJob,
    /// The program, its arguments and its environment.
    pub line: &'a CommandLine,
    /// The call, where the program is Python and calls a function.
    pub call: Option<&'a PythonCall>,
    /// The attempt's folder.
    pub folder: &'a AttemptFolder,
}

/// A process that was started.
#[derive(Debug)]
pub struct Started<W> {
    /// The process.
    pub process: Process,
    /// What watches over it.
    pub watch: W,
    /// Whether it can write only to its own folder.
    pub confined: bool,
}

impl AttemptJob {
    /// The inputs that are brought to the attempt: those that are neither parameters nor files of the package.
    fn fetched(&self) -> Vec<&FieldName> {
        let fetched = self.spec.inputs.iter().filter(|(_, source)| match source {
            InputSource::Output { .. } | InputSource::Model { .. } | InputSource::Trigger => true,
            InputSource::Param { .. } | InputSource::File { .. } => false,
        });
        fetched.map(|(name, _)| name).collect()
    }
}

/// An attempt that runs.
struct Launched<W> {
    // Dropped in this order: the group is killed before whoever watches over it forgets it.
    process: Process,
    watch: W,
    capture: Capture,
    program: String,
    call: Option<PythonCall>,
    limits: Option<Limits>,
    confined: bool,
}

/// Carries out one attempt, to its end. Dropping the future kills what it started.
pub async fn carry<H: Host>(host: &Arc<H>, job: AttemptJob) -> AttemptOutcome {
    let job = Arc::new(job);
    let folder = AttemptFolder::new(host.work_root(), &job.run, &job.unit, job.attempt);
    match attempt(host, &job, &folder).await {
        Ok(outcome) => outcome,
        Err(failed) if host.keeps_folders() => AttemptOutcome::Failed(name_folder(failed, &folder)),
        Err(failed) => {
            remove(&folder).await;
            AttemptOutcome::Failed(failed)
        }
    }
}

async fn attempt<H: Host>(
    host: &Arc<H>,
    job: &Arc<AttemptJob>,
    folder: &AttemptFolder,
) -> Result<AttemptOutcome, Failure> {
    let deadline = process::deadline(job.timeout);
    let late = || {
        let message = format!("the step took longer than its timeout of {:?}", job.timeout);
        let late = Failure { class: FailureClass::Timeout, ..failure::user(message) };
        failure::with_hint(late, &host.late_hint())
    };
    let launched = tokio::time::timeout_at(deadline, launch(host.clone(), job.clone(), folder.clone())).await;
    let Launched { process, watch, mut capture, program, call, limits, confined } =
        launched.map_err(|_| failure::with_hint(late(), "that time was over before its process was started"))??;
    let probe = limits.clone().map(|limits| -> process::Probe { Box::new(move |group| limits.breach(group)) });
    let bounds = Bounds { deadline, grace: host.grace(), stop: job.stop.clone(), probe };
    let ended = process.supervise(bounds, folder.work(), &mut capture).await;
    drop(watch);
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
        Ended::TimedOut => Some(late()),
        Ended::OverLimit(breach) => Some(breach),
        Ended::Stopped => {
            // What is left of a stopped attempt is wiped by the next one at the latest.
            remove(folder).await;
            return Ok(AttemptOutcome::Stopped);
        }
    };
    if let Some(failed) = failed {
        return Err(with_output(failed, &capture, confined));
    }
    logged.map_err(|error| failure::infrastructure("writing the log", &error))?;
    let collected = if job.spec.outputs.is_empty() {
        // Only a small folder is removed then: handing that to another thread would cost more than it takes.
        Ok(collect(&**host, job, folder))
    } else {
        let (host, job, folder) = (host.clone(), job.clone(), folder.clone());
        tokio::task::spawn_blocking(move || collect(&*host, &job, &folder)).await
    };
    match collected {
        Ok(collected) => collected.map_err(|failed| with_output(failed, &capture, false)),
        Err(error) => Err(failure::infrastructure("collecting outputs", &error.into())),
    }
}

/// Starts an attempt, in a thread of its own: what confines the step confines the thread that starts it, for good.
async fn launch<H: Host>(
    host: Arc<H>,
    job: Arc<AttemptJob>,
    folder: AttemptFolder,
) -> Result<Launched<H::Watch>, Failure> {
    let (sender, receiver) = oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    let thread = std::thread::Builder::new().name("attempt".to_owned()).spawn(move || {
        let _entered = runtime.enter();
        // When nobody waits any more, what was started is dropped, and thereby killed.
        let _ = sender.send(launch_here(&*host, &job, &folder));
    });
    thread.map_err(|error| failure::infrastructure("starting a thread", &error))?;
    match receiver.await {
        Ok(launched) => launched,
        Err(_) => Err(failure::infrastructure("starting the step", &std::io::Error::other("its thread ended"))),
    }
}

fn launch_here<H: Host>(host: &H, job: &AttemptJob, folder: &AttemptFolder) -> Result<Launched<H::Watch>, Failure> {
    let fetched = job.fetched();
    let has_inputs = !fetched.is_empty() || !job.objects.is_empty();
    folder
        .create(has_inputs, !job.spec.outputs.is_empty())
        .map_err(|error| failure::infrastructure("making the work folder", &error))?;
    let package = job.package.as_ref().map(|digest| host.package(digest)).transpose()?;
    let code = package.as_ref().map(|package| &*package.code);
    let binding =
        Binding::new(job, folder, code.map(|code| code.folder.as_path()), &|reference| host.secret(reference))?;
    let inputs: Vec<_> = fetched
        .into_iter()
        .filter_map(|name| Some((job.inputs.get(name)?, binding.inputs.get(name)?.as_path())))
        .collect();
    if !inputs.is_empty() {
        host.fetch(&inputs)?;
    }
    for (name, objects) in &job.objects {
        fetch_objects(host, objects, &folder.input(name.as_str()))?;
    }
    make_parents(&binding, folder)?;
    let surroundings = host.surroundings(package.as_ref());
    let (line, call) = match &job.spec.action {
        Action::Run { argv } => (CommandLine::for_run(argv, job, folder, &binding, surroundings)?, None),
        Action::Call { module, function } => {
            let call = PythonCall::prepare((module, function), job, folder, &binding, code)?;
            let script = crate::python::call::install_script(host.script_root())
                .map_err(|error| failure::infrastructure("writing the script that calls functions", &error))?;
            let line = CommandLine::for_call(&script, call.file(), job, folder, &binding, surroundings)?;
            (line, Some(call))
        }
        Action::Gate { .. } | Action::Register { .. } => {
            let keyword = job.spec.action.keyword();
            return Err(failure::poison(format!("a `{keyword}:` step starts no process")));
        }
    };
    let redactor = Redactor::new(binding.secrets.values().map(String::as_str));
    let capture = host.capture(job, redactor);
    let started = host.start(Launch { job, line: &line, call: call.as_ref(), folder })?;
    let Started { process, watch, confined } = started;
    let limits = Limits::new(&job.spec.resources, folder.work());
    if let (Some(limits), Some(process)) = (&limits, process.id()) {
        limits.bound_files(process);
    }
    Ok(Launched { process, watch, capture, program: line.name, call, limits, confined })
}

fn fetch_objects<H: Host>(host: &H, given: &GivenObjects, to: &Path) -> Result<(), Failure> {
    let fetch = |object: &ListedObject, path: &Path| match host.fetch_object(object, path)? {
        true => Ok(()),
        false => Err(failure::with_hint(
            failure::user(format!("object {} is gone, or was replaced since the run listed it", object.uri())),
            "a new run lists the objects again",
        )),
    };
    match given {
        GivenObjects::One(object) => fetch(object, to),
        GivenObjects::Several(objects) => {
            fs::create_dir(to).map_err(|error| failure::infrastructure("making an input directory", &error))?;
            objects.iter().try_for_each(|(name, object)| fetch(object, &to.join(name)))
        }
    }
}

fn collect<H: Host>(host: &H, job: &AttemptJob, folder: &AttemptFolder) -> Result<AttemptOutcome, Failure> {
    let found = outputs::find(&job.spec.outputs, &folder.out())?;
    if !found.outputs.is_empty() {
        host.keep(&found.outputs.values().collect::<Vec<_>>())?;
    }
    folder.remove().map_err(|error| failure::infrastructure("removing the work folder", &error))?;
    let outputs = found.outputs.into_iter().map(|(name, output)| (name, output.artifact)).collect();
    Ok(AttemptOutcome::Succeeded { outputs, metrics: found.metrics })
}

async fn remove(folder: &AttemptFolder) {
    let folder = folder.clone();
    let _ = tokio::task::spawn_blocking(move || folder.remove()).await;
}

fn name_folder(mut failed: Failure, folder: &AttemptFolder) -> Failure {
    if folder.work().exists() {
        failure::add_line(&mut failed, &format!("its work folder is kept: {}", folder.work().display()));
    }
    failed
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

/// The failure of a program that can not be started.
pub fn not_started(program: &str, error: &std::io::Error) -> Failure {
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
