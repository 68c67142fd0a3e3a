//! The process of an attempt: started in a group of its own, watched until it ends, ended when it must.

use std::ffi::OsStr;
use std::io;
use std::io::PipeReader;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::process::Stdio;
use std::time::Duration;

use liminal_schemas::run::Failure;
use rustix::process::Pid;
use rustix::process::Signal;
use tokio::io::AsyncReadExt as _;
use tokio::process::Child;
use tokio::process::ChildStdout;
use tokio::process::Command;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio::time::Instant;

use super::capture::Capture;
use super::command::CommandLine;
use super::failure;
use crate::executor::Stop;

/// How long output is still read when the program has ended: long enough for what is under way, no longer, because a
/// process that left the group may hold the pipe open for ever.
const DRAIN: Duration = Duration::from_secs(1);

/// How often limits are looked at, for steps that have any.
const PROBE_EVERY: Duration = Duration::from_millis(100);

/// A pipe holds 64 KiB.
const READ_BYTES: usize = 64 << 10;

/// How often a program is tried that some other thread's child has open for writing until it executes its own.
const BUSY_TRIES: u32 = 20;

/// Longer than any timeout that is meant.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Looks whether a process group is over a limit, and says so in a failure.
pub type Probe = Box<dyn FnMut(Pid) -> Option<Failure> + Send>;

/// A process that runs. Dropping it kills its group.
#[derive(Debug)]
pub struct Process {
    group: Group,
    leader: Leader,
    output: ChildStdout,
}

/// The process that was started, by us or by somebody who tells us how it ended.
#[derive(Debug)]
enum Leader {
    Child(Child),
    Told(oneshot::Receiver<io::Result<ExitStatus>>),
}

impl Leader {
    /// How it ended. May be called again when it was given up before its end.
    async fn wait(&mut self) -> io::Result<ExitStatus> {
        match self {
            Self::Child(child) => child.wait().await,
            Self::Told(ended) => ended.await.unwrap_or_else(|_| Err(io::Error::other("nobody said how it ended"))),
        }
    }
}

#[derive(Debug)]
struct Group(Option<Pid>);

impl Group {
    /// Whether there was anybody to get the signal.
    fn signal(&self, signal: Signal) -> bool {
        self.0.is_some_and(|group| rustix::process::kill_process_group(group, signal).is_ok())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// How long a process may go on.
pub struct Bounds {
    /// When its time is over.
    pub deadline: Instant,
    /// How long it has to end when it is asked to.
    pub grace: Duration,
    /// Whether it is to stop.
    pub stop: watch::Receiver<Stop>,
    /// Looks at its limits, if it has any.
    pub probe: Option<Probe>,
}

/// Why a process ended.
#[derive(Debug)]
pub enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// Its time was over.
    TimedOut,
    /// It was to stop.
    Stopped,
    /// It was over a limit.
    OverLimit(Failure),
}

/// The moment so much later.
pub fn deadline(timeout: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(timeout).unwrap_or_else(|| now + FOREVER)
}

impl Process {
    /// Starts a program, with one pipe for all it prints. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When it can not be started.
    pub fn spawn(line: &CommandLine) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let mut command = Command::new(&line.program);
        command
            .arg0(&line.name)
            .args(&line.arguments)
            .current_dir(&line.folder)
            .env_clear()
            .envs(&line.environment)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0)
            .kill_on_drop(true);
        let mut tries = 0;
        let child = loop {
            tries += 1;
            match command.spawn() {
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                other => break other?,
            }
        };
        let group = Group(child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())));
        Ok(Self { group, leader: Leader::Child(child), output: readable(reader)? })
    }

    /// Takes over a process that somebody else started as the leader of a group of its own. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// When the pipe with what it prints can not be waited for: its group is killed then.
    pub fn adopt(
        leader: Pid,
        ended: oneshot::Receiver<io::Result<ExitStatus>>,
        output: PipeReader,
    ) -> io::Result<Self> {
        let group = Group(Some(leader));
        Ok(Self { group, leader: Leader::Told(ended), output: readable(output)? })
    }

    /// The id of the process and of its group.
    pub fn id(&self) -> Option<Pid> {
        self.group.0
    }

    /// Watches until the process and its group have ended.
    ///
    /// # Errors
    /// When the system does not say how it ended.
    pub async fn supervise(mut self, mut bounds: Bounds, work: &Path, capture: &mut Capture) -> io::Result<Ended> {
        let mut buffer = vec![0; READ_BYTES];
        let mut open = true;
        let mut asked: Option<Ended> = None;
        let mut wake = bounds.deadline;
        let mut stop_open = true;
        let mut next_probe = Instant::now() + PROBE_EVERY;
        let status = loop {
            tokio::select! {
                read = self.output.read(&mut buffer), if open => match read {
                    Ok(count) if count > 0 => capture.push(&buffer[..count]),
                    Ok(_) | Err(_) => open = false,
                },
                status = self.leader.wait() => break status?,
                changed = bounds.stop.wait_for(|stop| match stop {
                    Stop::No => false,
                    Stop::Gracefully => asked.is_none(),
                    Stop::Now => true,
                }), if stop_open => match changed.map(|stop| *stop) {
                    Ok(Stop::No) | Err(_) => stop_open = false,
                    Ok(Stop::Gracefully) => {
                        self.group.signal(Signal::TERM);
                        asked = Some(Ended::Stopped);
                        wake = Instant::now() + bounds.grace;
                    }
                    Ok(Stop::Now) => {
                        self.group.signal(Signal::KILL);
                        asked = Some(Ended::Stopped);
                        stop_open = false;
                    }
                },
                () = tokio::time::sleep_until(wake) => if asked.is_none() {
                    self.group.signal(Signal::TERM);
                    asked = Some(Ended::TimedOut);
                    wake = Instant::now() + bounds.grace;
                } else {
                    self.group.signal(Signal::KILL);
                    wake = Instant::now() + FOREVER;
                },
                () = tokio::time::sleep_until(next_probe), if bounds.probe.is_some() && asked.is_none() => {
                    next_probe = Instant::now() + PROBE_EVERY;
                    let breach = bounds.probe.as_mut().zip(self.group.0).and_then(|(probe, group)| probe(group));
                    if let Some(breach) = breach {
                        self.group.signal(Signal::KILL);
                        asked = Some(Ended::OverLimit(breach));
                    }
                },
            }
        };
        // The group's number is free now only if the group is empty, and numbers are not given out again this soon.
        let left_over = self.group.signal(Signal::KILL);
        self.group.0 = None;
        let drained = tokio::time::timeout(DRAIN, async {
            while let Ok(count) = self.output.read(&mut buffer).await {
                if count == 0 {
                    break;
                }
                capture.push(&buffer[..count]);
            }
        });
        let escaped = open && drained.await.is_err() && kill_marked(work);
        if (left_over || escaped) && asked.is_none() {
            capture.note("processes that the step had left running were ended");
        }
        Ok(asked.unwrap_or(Ended::Exited(status)))
    }
}

fn readable(pipe: PipeReader) -> io::Result<ChildStdout> {
    ChildStdout::from_std(std::process::ChildStdout::from(OwnedFd::from(pipe)))
}

/// Kills the processes of an attempt wherever they are, known by its folder in their environment. Says whether there
/// were any.
pub(crate) fn kill_marked(work: &Path) -> bool {
    kill_where(|marked| marked == work)
}

/// Kills the processes of all attempts whose folders are below one.
#[cfg(feature = "aws")]
pub(crate) fn kill_marked_below(folder: &Path) -> bool {
    kill_where(|marked| marked.starts_with(folder))
}

fn kill_where(is_meant: impl Fn(&Path) -> bool) -> bool {
    let mut found = false;
    for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = process.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        let Some(pid) = pid else { continue };
        let marked = std::fs::read(process.path().join("environ")).is_ok_and(|environment| {
            let mut folders =
                environment.split(|byte| *byte == 0).filter_map(|line| line.strip_prefix(b"LIMINAL_WORK="));
            folders.any(|folder| is_meant(Path::new(OsStr::from_bytes(folder))))
        });
        found |= marked && rustix::process::kill_process(pid, Signal::KILL).is_ok();
    }
    found
}

/// What an exit status says against a program, if anything.
pub fn failure_of(program: &str, status: ExitStatus) -> Option<Failure> {
    if status.success() {
        return None;
    }
    let program = Path::new(program).file_name().map_or_else(|| program.into(), |name| name.to_string_lossy());
    let memory = "most often because memory ran out";
    let message = match (status.signal(), status.code()) {
        (Some(9), _) => format!("`{program}` was ended by SIGKILL, {memory}"),
        (Some(signal), _) => format!("`{program}` was ended by {}", failure::signal_name(signal)),
        (None, Some(137)) => {
            format!("`{program}` exited with status 137: one of its processes was ended by SIGKILL, {memory}")
        }
        (None, code) => format!("`{program}` exited with status {}", code.unwrap_or(-1)),
    };
    Some(Failure { exit_code: status.code(), signal: status.signal(), ..failure::user(message) })
}
