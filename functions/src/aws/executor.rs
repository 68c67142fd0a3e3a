//! The executor of functions and tasks: an attempt is a child process of the runner, its inputs and outputs are in S3.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::map::ListedObject;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::release::SecretRef;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::Failure;
use liminal_schemas::step::FailureClass;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::artifacts::S3Artifacts;
use super::attempt_log::FollowedLog;
use super::console;
use super::environment::Variables;
use super::scratch::Scratch;
use super::secrets::Secrets;
use super::store::S3Store;
use crate::attempt::capture::Capture;
use crate::attempt::capture::DEFAULT_LOG_BYTES;
use crate::attempt::carry::Host;
use crate::attempt::carry::Launch;
use crate::attempt::carry::PackageHere;
use crate::attempt::carry::Started;
use crate::attempt::carry::carry;
use crate::attempt::carry::not_started;
use crate::attempt::command::Code;
use crate::attempt::command::Surroundings;
use crate::attempt::failure;
use crate::attempt::folder::remove_run;
use crate::attempt::folder::remove_tree;
use crate::attempt::outputs::FoundOutput;
use crate::attempt::process::Process;
use crate::attempt::redact::Redactor;
use crate::causes::in_full;
use crate::executor::AttemptJob;
use crate::executor::AttemptOutcome;
use crate::executor::Executor;
use crate::ports::ObjectStore as _;
use crate::python::worker::PythonWorker;

/// How long before a function's deadline its step is ended: time to write down how it ended. Lambda kills without a word.
pub const MARGIN: Duration = Duration::from_secs(5);

/// How much of [`MARGIN`] stays when outputs take long to be sent: time for the last records.
const LAST_WORDS: Duration = Duration::from_millis(1500);

/// How long sending the rest of a log may take at least, within [`LAST_WORDS`].
const LOG_TIME: Duration = Duration::from_millis(500);

/// How long a step has to end when it is asked to; less than [`MARGIN`] less [`LAST_WORDS`].
const GRACE: Duration = Duration::from_secs(2);

/// Where programs are looked for when the machine does not say.
const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The folder of a bundle with the dependencies of Python, and that with the programs they bring.
const DEPENDENCIES_FOLDER: &str = "site-packages";
const PROGRAMS_FOLDER: &str = "site-packages/bin";

/// Variables of the machine that its programs may need to start: where shared libraries and certificates are. No others are
/// passed on, so that a step sees neither the credentials of its role nor anything that it would not see elsewhere.
const PASSED_ON: [&str; 2] = ["LD_LIBRARY_PATH", "SSL_CERT_FILE"];

/// What an executor needs to know of the machine.
#[derive(Debug)]
pub struct Machine {
    /// The folder with the step's code: what its bundle unpacks to.
    pub code: PathBuf,
    /// Where files are kept meanwhile.
    pub scratch: Scratch,
    /// What runs Python; none for `python3`.
    pub python: Option<PathBuf>,
    /// Where programs are looked for.
    pub search_path: Option<String>,
    /// The variables of the machine, of which a step gets those without which programs do not start.
    pub variables: Variables,
    /// Whether several attempts are to be expected, so that Python is kept warm for them.
    pub warm: bool,
}

/// Carries out attempts in a function or a task.
#[derive(Clone)]
pub struct AwsExecutor {
    shared: Arc<Shared>,
    deadline: Option<Instant>,
}

struct Shared {
    store: S3Store,
    artifacts: S3Artifacts,
    secrets: Secrets,
    work: PathBuf,
    logs: PathBuf,
    code: PathBuf,
    scratch: Scratch,
    python: Option<PathBuf>,
    search_path: String,
    libraries: Vec<PathBuf>,
    passed_on: Vec<(String, String)>,
    worker: Option<PythonWorker>,
    packages: Mutex<BTreeMap<Digest, PackageHere>>,
    runtime: Handle,
}

/// One attempt's view of the machine.
struct Here {
    shared: Arc<Shared>,
    /// Whether the function's own limit leaves less time than the step may take.
    is_cut: bool,
}

impl AwsExecutor {
    /// An executor on a machine. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn new(store: S3Store, artifacts: S3Artifacts, secrets: Secrets, machine: Machine) -> io::Result<Self> {
        let Machine { code, scratch, python, search_path, variables, warm } = machine;
        let folder = |name: &str| scratch.folder().join(name);
        let (work, logs) = (folder("work"), folder("logs"));
        std::fs::create_dir_all(&logs)?;
        let programs = code.join(PROGRAMS_FOLDER);
        let mut places: Vec<String> = Vec::new();
        if programs.is_dir() {
            places.push(programs.to_string_lossy().into_owned());
        }
        places.push(search_path.unwrap_or_else(|| SEARCH_PATH.to_owned()));
        places.extend(python.as_deref().and_then(Path::parent).map(|folder| folder.to_string_lossy().into_owned()));
        let passed_on = PASSED_ON.iter().filter_map(|name| Some(((*name).to_owned(), variables.get(name)?.to_owned())));
        let libraries = Some(code.join(DEPENDENCIES_FOLDER)).filter(|folder| folder.is_dir());
        let shared = Shared {
            work,
            logs,
            worker: warm.then(|| PythonWorker::new(folder("python"))),
            libraries: libraries.into_iter().collect(),
            search_path: places.join(":"),
            passed_on: passed_on.collect(),
            packages: Mutex::default(),
            runtime: Handle::current(),
            store,
            artifacts,
            secrets,
            code,
            scratch,
            python,
        };
        Ok(Self { shared: Arc::new(shared), deadline: None })
    }

    /// The same, on a machine that is there only until `deadline`.
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Self {
        Self { shared: self.shared.clone(), deadline: Some(deadline) }
    }
}

impl fmt::Debug for AwsExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsExecutor").field("code", &self.shared.code).finish_non_exhaustive()
    }
}

impl Executor for AwsExecutor {
    async fn execute(&self, mut job: AttemptJob) -> AttemptOutcome {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let is_cut = left.is_some_and(|left| left.saturating_sub(MARGIN) < job.timeout);
        if let Some(left) = left {
            job.timeout = job.timeout.min(left.saturating_sub(MARGIN));
        }
        let (file, run) = (self.shared.log_file(&job), job.run.clone());
        let log = FollowedLog::start(self.shared.store.clone(), file.clone(), &job);
        let here = Arc::new(Here { shared: self.shared.clone(), is_cut });
        let carried = carry(&here, job);
        let outcome = match self.deadline {
            None => carried.await,
            Some(deadline) => match tokio::time::timeout_at(deadline - LAST_WORDS, carried).await {
                Ok(outcome) => outcome,
                Err(_) => AttemptOutcome::Failed(unsent()),
            },
        };
        // A machine that stays warm serves many runs.
        remove_run(here.work_root(), &run);
        let told = match self.deadline {
            None => Ok(log.finish().await),
            Some(deadline) => {
                let until = (deadline - LAST_WORDS).max(Instant::now() + LOG_TIME);
                tokio::time::timeout_at(until, log.finish()).await
            }
        };
        match told {
            Ok(Ok(())) => {}
            Ok(Err(error)) => console::say(&format!("the log of the attempt is not whole: {}", in_full(&error))),
            Err(_) => console::say("the log of the attempt is not whole: there was no time left to send it"),
        }
        // It is in the store; and what is left of it here goes with the folder at the latest.
        let _ = tokio::fs::remove_file(&file).await;
        outcome
    }
}

fn unsent() -> Failure {
    let message = "the function's time was over before the outputs were sent".to_owned();
    let late = Failure { class: FailureClass::Timeout, ..failure::user(message) };
    failure::with_hint(late, "write smaller outputs, or let the step run as a task: `compute: fargate`")
}

impl Shared {
    fn log_file(&self, job: &AttemptJob) -> PathBuf {
        self.logs.join(format!("{}-{}-{}.log", job.run, job.unit, job.attempt))
    }

    fn read_package(&self, digest: &Digest) -> Result<PackageHere, Failure> {
        let key = keys::package_spec(digest);
        let object = self
            .runtime
            .block_on(self.store.get(&key))
            .map_err(|error| failure::infrastructure(&format!("reading object {key}"), &io::Error::other(error)))?;
        let Some(object) = object else {
            let lost = failure::poison(format!("object {key} is not in the store"));
            return Err(failure::with_hint(lost, "`liminal apply` builds it again"));
        };
        let spec: PackageSpec = serde_json::from_slice(&object.bytes)
            .map_err(|error| failure::poison(format!("object {key} is no package document: {error}")))?;
        let actual = spec.digest();
        if actual != *digest {
            return Err(failure::poison(format!("object {key} is corrupt: expected {digest}, found {actual}")));
        }
        let code = Code { folder: self.code.clone(), root: spec.root, files: spec.files.into_keys().collect() };
        Ok(PackageHere { code: Arc::new(code), venv: None })
    }
}

impl Host for Here {
    type Watch = ();

    fn work_root(&self) -> &Path {
        &self.shared.work
    }

    fn script_root(&self) -> &Path {
        self.shared.scratch.folder()
    }

    fn grace(&self) -> Duration {
        GRACE
    }

    fn package(&self, digest: &Digest) -> Result<PackageHere, Failure> {
        let known =
            |shared: &Shared| shared.packages.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned();
        if let Some(package) = known(&self.shared) {
            return Ok(package);
        }
        let package = self.shared.read_package(digest)?;
        let mut packages = self.shared.packages.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(packages.entry(*digest).or_insert(package).clone())
    }

    fn surroundings<'a>(&'a self, package: Option<&'a PackageHere>) -> Surroundings<'a> {
        Surroundings {
            search_path: &self.shared.search_path,
            code: package.map(|package| &*package.code),
            venv: None,
            python: self.shared.python.as_deref(),
            libraries: &self.shared.libraries,
            variables: &self.shared.passed_on,
        }
    }

    fn secret(&self, reference: &SecretRef) -> Result<Option<String>, Failure> {
        self.shared.runtime.block_on(self.shared.secrets.find(reference))
    }

    fn fetch(&self, inputs: &[(&Artifact, &Path)]) -> Result<(), Failure> {
        self.shared.runtime.block_on(async {
            for (artifact, path) in inputs {
                self.shared.artifacts.fetch(artifact, path).await?;
            }
            Ok(())
        })
    }

    fn fetch_object(&self, object: &ListedObject, to: &Path) -> Result<bool, Failure> {
        self.shared.runtime.block_on(self.shared.artifacts.fetch_object(object, to))
    }

    fn keep(&self, outputs: &[&FoundOutput]) -> Result<(), Failure> {
        self.shared.runtime.block_on(async {
            for output in outputs {
                self.shared.artifacts.keep(output).await?;
            }
            Ok(())
        })
    }

    fn capture(&self, job: &AttemptJob, redactor: Redactor) -> Capture {
        let capture = Capture::new(self.shared.log_file(job), redactor, DEFAULT_LOG_BYTES);
        capture.echoing(Box::new(io::stderr()))
    }

    fn start(&self, launch: Launch<'_>) -> Result<Started<()>, Failure> {
        if let (Some(worker), Some(call)) = (&self.shared.worker, launch.call) {
            match worker.call(launch.line, call) {
                Ok(process) => return Ok(Started { process, watch: (), confined: false }),
                Err(error) => {
                    console::say(&format!("the Python worker is of no use, so the call starts anew: {error}"));
                }
            }
        }
        let process = Process::spawn(launch.line).map_err(|error| not_started(&launch.line.name, &error))?;
        Ok(Started { process, watch: (), confined: false })
    }

    fn late_hint(&self) -> String {
        if self.is_cut {
            "the function had no more time than that: let the step run as a task, `compute: fargate`".to_owned()
        } else {
            "raise `timeout:` of the step, if it needs that long".to_owned()
        }
    }

    fn keeps_folders(&self) -> bool {
        false
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // A machine may outlive the runner, as it does where several share one.
        let _ = remove_tree(&self.work);
    }
}
