//! The program in a Fargate task: fetches the code of the step, carries out the attempt that it was started for, and goes on
//! from there. See [`crate::task_command`] for what it is started with.

use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use liminal_schemas::aws::variables;
use liminal_schemas::digest::Digest;
use liminal_schemas::digest::DigestError;
use liminal_schemas::keys;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::watch;

use super::artifacts::S3Artifacts;
use super::clients::Clients;
use super::console;
use super::environment::Served;
use super::environment::VariableError;
use super::environment::Variables;
use super::executor::AwsExecutor;
use super::executor::Machine;
use super::foreign::S3Source;
use super::platform::AwsPlatform;
use super::queue::SqsQueue;
use super::scratch::Scratch;
use super::secrets::Secrets;
use super::store::S3Store;
use crate::executor::Stop;
use crate::runner::AttemptName;
use crate::runner::Carried;
use crate::runner::Runner;
use crate::runner::RunnerError;
use crate::starter::ForeignObject;
use crate::starter::SourceError;
use crate::task_command;
use crate::task_command::TaskCommandError;
use crate::unpack::UnpackError;
use crate::unpack::ZipLimits;
use crate::unpack::unpack;

/// Where a task keeps files.
const SCRATCH_ROOT: &str = "/tmp";

/// What a bundle may hold: dependencies of Python as large as a task's disk takes, in as many files as that is.
const LIMITS: ZipLimits = ZipLimits { entries: 1_000_000, bytes: 100 << 30, ratio: 200, always: 1 << 30 };

/// How often it is asked whether the run is to stop.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// Why a task can not carry out its attempt. The task then ends with a status that says so, and the attempt counts as lost.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// Its arguments name no attempt.
    #[error(transparent)]
    Command(#[from] TaskCommandError),
    /// A variable is not as it should be.
    #[error(transparent)]
    Variable(#[from] VariableError),
    /// The bundle's name is none.
    #[error("the variable {} is refused", variables::BUNDLE)]
    Bundle(#[from] DigestError),
    /// The bundle is not in the bucket.
    #[error("{0} is not there; `liminal apply` makes it again")]
    NoBundle(String),
    /// The bundle could not be fetched.
    #[error(transparent)]
    Fetch(#[from] SourceError),
    /// The bundle is not to be trusted.
    #[error("bundle {bundle} is refused")]
    Unpack {
        /// The bundle.
        bundle: String,
        /// Why.
        source: UnpackError,
    },
    /// The run could not be brought forward.
    #[error(transparent)]
    Runner(#[from] RunnerError),
    /// The machine refused.
    #[error("the file system refused")]
    Io(#[from] std::io::Error),
}

/// Carries out the attempt that the arguments name.
///
/// # Errors
/// When it could not: see [`TaskError`].
pub async fn run(clients: &Clients, given: &Variables, arguments: &[String]) -> Result<(), TaskError> {
    let name = task_command::parse(arguments)?;
    let served = Served::from_variables(given)?;
    let scratch = Scratch::claim(Path::new(SCRATCH_ROOT))?;
    let code = match given.get(variables::BUNDLE) {
        Some(bundle) => fetch(clients, &served, bundle.parse()?, scratch.folder()).await?,
        None => scratch.folder().join("code"),
    };
    let store = S3Store::new(clients, served.place.clone());
    let artifacts = S3Artifacts::new(clients, served.place.clone());
    let machine = Machine {
        code,
        scratch,
        python: given.get("LIMINAL_PYTHON").map(PathBuf::from),
        search_path: given.get("PATH").map(str::to_owned),
        variables: given.clone(),
        warm: false,
    };
    let executor = AwsExecutor::new(store.clone(), artifacts, Secrets::new(clients, given.clone()), machine)?;
    let platform = AwsPlatform::new(&served, store, Arc::new(SqsQueue::new(clients)), executor);
    let runner = Runner::new(platform, console::events());
    let (stop, stopped) = watch::channel(Stop::No);
    let carried = {
        let carrying = runner.run_attempt(&name, stopped);
        let asked = stops(&runner, &name, &stop);
        tokio::pin!(carrying, asked);
        tokio::select! {
            carried = &mut carrying => carried?,
            asked = &mut asked => {
                asked?;
                carrying.await?
            }
        }
    };
    match carried {
        Carried::Out => {}
        Carried::Needless(why) => console::say(&format!("nothing is to be done: {why}")),
    }
    Ok(())
}

/// Waits until the task is told to stop, by Fargate (SIGTERM) or since the run is to stop, and passes it on.
async fn stops<P: crate::ports::Platform>(
    runner: &Runner<P>,
    name: &AttemptName,
    stop: &watch::Sender<Stop>,
) -> Result<(), std::io::Error> {
    let mut terminated = signal(SignalKind::terminate())?;
    loop {
        tokio::select! {
            _ = terminated.recv() => break,
            () = tokio::time::sleep(ASK_EVERY) => {
                // A question that is not answered is asked again.
                if matches!(runner.is_to_stop(&name.pipeline, &name.run, &name.unit.step).await, Ok(true)) {
                    break;
                }
            }
        }
    }
    stop.send_replace(Stop::Gracefully);
    Ok(())
}

/// Fetches a bundle and unpacks it.
async fn fetch(clients: &Clients, served: &Served, bundle: Digest, folder: &Path) -> Result<PathBuf, TaskError> {
    let key = keys::bundle(&bundle);
    let uri = served.place.uri(&key);
    let zip = folder.join("bundle.zip");
    let object = ForeignObject {
        bucket: served.place.bucket().to_owned(),
        key: format!("{}{key}", served.place.prefix()),
        version: None,
        etag: None,
    };
    let source = S3Source::new(clients, served.place.clone(), folder.to_owned());
    if !source.fetch(&object, &zip).await? {
        return Err(TaskError::NoBundle(uri));
    }
    let code = folder.join("code");
    let unpacked = tokio::task::spawn_blocking({
        let code = code.clone();
        move || {
            std::fs::create_dir(&code)?;
            unpack(File::open(&zip)?, &code, LIMITS).map(drop)?;
            std::fs::remove_file(&zip).map_err(UnpackError::from)
        }
    });
    match unpacked.await {
        Ok(unpacked) => unpacked.map_err(|source| TaskError::Unpack { bundle: uri, source })?,
        Err(error) => return Err(std::io::Error::other(error).into()),
    }
    Ok(code)
}
