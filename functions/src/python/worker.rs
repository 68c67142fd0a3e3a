//! The worker: one warm Python that forks a process per call, so that libraries are imported once and not once per attempt.
//! It forks ahead: while the runner writes down how a call came out, the process of the next one gets ready.
//!
//! A process of a call differs from one that was started for it only in that the imports of its libraries are done. When the
//! worker is of no use, the caller starts a process instead.

use std::collections::BTreeMap;
use std::io;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::IoSlice;
use std::io::PipeWriter;
use std::io::Write as _;
use std::mem::MaybeUninit;
use std::os::fd::AsFd as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use rustix::net::SendAncillaryBuffer;
use rustix::net::SendAncillaryMessage;
use rustix::net::SendFlags;
use rustix::process::Pid;
use serde::Deserialize;
use serde::Serialize;
use tokio::sync::oneshot;

use super::call::PythonCall;
use super::call::worker_beside;
use crate::attempt::command::CommandLine;
use crate::attempt::process::Process;

/// Variables of an attempt that the worker has its own values of.
const OWN: [&str; 2] = ["HOME", "TMPDIR"];

/// A worker that is started with the first call, and again when it has ended.
#[derive(Clone, Debug)]
pub struct PythonWorker {
    /// Its working and home folder.
    folder: PathBuf,
    /// None while a call is made.
    idle: Arc<Mutex<Option<Worker>>>,
}

/// A worker that runs. Dropping it ends it.
#[derive(Debug)]
struct Worker {
    child: Child,
    control: BufReader<UnixStream>,
    made_for: Surroundings,
}

/// What a worker is made for: the module whose libraries it imports, and what these may look at meanwhile. Calls which differ
/// in it need a worker of their own.
#[derive(Debug, PartialEq, Eq)]
struct Surroundings {
    module: String,
    root: PathBuf,
    program: PathBuf,
    environment: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Request<'a> {
    call: &'a Path,
    folder: &'a Path,
    environment: &'a BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Forked {
    pid: i32,
}

#[derive(Deserialize)]
struct Exited {
    status: i32,
}

impl Drop for Worker {
    fn drop(&mut self) {
        // One that has ended already is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl PythonWorker {
    /// A worker with a folder of its own.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, idle: Arc::default() }
    }

    /// Makes a call in a process forked by the worker. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the worker does not start, or ends before it forks: nothing of the call has happened then.
    pub fn call(&self, line: &CommandLine, call: &PythonCall) -> io::Result<Process> {
        let made_for = surroundings(line, call);
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut worker = match idle.filter(|worker| worker.made_for == made_for) {
            Some(worker) => worker,
            None => self.start(made_for, line, call)?,
        };
        let (reader, writer) = io::pipe()?;
        let request = Request { call: call.file(), folder: &line.folder, environment: &line.environment };
        worker.send(&serde_json::to_vec(&request)?, &writer)?;
        // The worker has its own by now: as long as somebody holds it, what is printed has no end.
        drop(writer);
        let forked: Forked = worker.answer()?;
        let pid = Pid::from_raw(forked.pid).filter(|pid| pid.as_raw_nonzero().get() > 1);
        let pid = pid.ok_or_else(|| io::Error::other("the Python worker names no process"))?;
        let (ended, told) = oneshot::channel();
        let process = Process::adopt(pid, told, reader)?;
        let slot = self.idle.clone();
        std::thread::Builder::new().name("python worker".to_owned()).spawn(move || {
            let status = worker.answer::<Exited>().map(|exited| ExitStatus::from_raw(exited.status));
            if status.is_ok() {
                slot.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(worker);
            }
            // Nobody waits for a process whose attempt was given up.
            let _ = ended.send(status);
        })?;
        Ok(process)
    }

    fn start(&self, made_for: Surroundings, line: &CommandLine, call: &PythonCall) -> io::Result<Worker> {
        std::fs::create_dir_all(&self.folder)?;
        let script = line.arguments.first().map(Path::new).unwrap_or_else(|| call.file());
        let (control, theirs) = UnixStream::pair()?;
        let mut command = Command::new(&made_for.program);
        command
            .arg0(&line.name)
            .arg(worker_beside(script))
            .arg(&made_for.module)
            .arg(&made_for.root)
            .current_dir(&self.folder)
            .env_clear()
            .envs(&made_for.environment)
            .envs(OWN.map(|name| (name, &self.folder)))
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let child = command.spawn()?;
        Ok(Worker { child, control: BufReader::new(control), made_for })
    }
}

fn surroundings(line: &CommandLine, call: &PythonCall) -> Surroundings {
    let shared =
        line.environment.iter().filter(|(name, _)| !name.starts_with("LIMINAL_") && !OWN.contains(&name.as_str()));
    Surroundings {
        module: call.module().to_owned(),
        root: call.root().unwrap_or(Path::new("")).to_owned(),
        program: line.program.clone(),
        environment: shared.map(|(name, value)| (name.clone(), value.clone())).collect(),
    }
}

impl Worker {
    fn send(&mut self, request: &[u8], output: &PipeWriter) -> io::Result<()> {
        let length = u32::try_from(request.len()).map_err(io::Error::other)?.to_be_bytes();
        let descriptors = [output.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut attached = SendAncillaryBuffer::new(&mut space);
        attached.push(SendAncillaryMessage::ScmRights(&descriptors));
        let control = self.control.get_mut();
        // So few bytes are taken whole.
        rustix::net::sendmsg(&*control, &[IoSlice::new(&length)], &mut attached, SendFlags::NOSIGNAL)?;
        control.write_all(request)
    }

    fn answer<T: for<'de> Deserialize<'de>>(&mut self) -> io::Result<T> {
        let mut line = String::new();
        if self.control.read_line(&mut line)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the Python worker has ended"));
        }
        Ok(serde_json::from_str(&line)?)
    }
}
