//! The warden: a small process that outlives `liminal` by a moment, to end the steps of one that was killed.
//!
//! Nobody can catch SIGKILL. But a pipe is closed whatever way its writer ends, and the warden waits for that.

use std::collections::BTreeMap;
use std::io;
use std::io::BufRead;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::ChildStdin;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use rustix::process::Pid;
use rustix::process::Signal;

/// The hidden command with which `liminal` becomes the warden.
pub const WARDEN_COMMAND: &str = "__warden";

/// Tells the warden which process groups there are.
#[derive(Debug)]
pub(crate) struct Warden {
    program: Option<PathBuf>,
    line: Mutex<Line>,
}

#[derive(Debug)]
enum Line {
    NotStarted,
    Open(ChildStdin),
    /// It could not be started, or has ended: steps run without.
    Closed,
}

/// A process group that the warden knows of, until this is dropped.
#[derive(Debug)]
pub(crate) struct Watched {
    warden: Arc<Warden>,
    group: Pid,
}

impl Warden {
    /// A warden that is started when the first group is watched; none without a program.
    pub(crate) fn new(program: Option<PathBuf>) -> Self {
        Self { program, line: Mutex::new(Line::NotStarted) }
    }

    /// Starts it if it is not yet. To be called before a thread confines itself.
    pub(crate) fn start(&self) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*line, Line::NotStarted) {
            let started = self.program.as_ref().and_then(|program| {
                let mut command = Command::new(program);
                command.arg(WARDEN_COMMAND).current_dir("/").process_group(0);
                command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
                command.spawn().ok()?.stdin
            });
            *line = started.map_or(Line::Closed, Line::Open);
        }
    }

    /// Watches over a group.
    pub(crate) fn watch(self: &Arc<Self>, group: Pid) -> Watched {
        self.tell('+', group);
        Watched { warden: self.clone(), group }
    }

    fn tell(&self, sign: char, group: Pid) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if let Line::Open(pipe) = &mut *line
            && pipe.write_all(format!("{sign}{}\n", group.as_raw_nonzero()).as_bytes()).is_err()
        {
            *line = Line::Closed;
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.warden.tell('-', self.group);
    }
}

/// What the warden does: reads `+<group>` and `-<group>` lines until there are no more, then kills the groups that are
/// still there.
///
/// # Errors
/// When its input can not be read.
pub fn run(input: impl BufRead) -> io::Result<()> {
    let mut groups: BTreeMap<i32, Option<String>> = BTreeMap::new();
    for line in input.lines() {
        let line = line?;
        match (line.get(..1), line.get(1..).and_then(|number| number.parse().ok())) {
            (Some("+"), Some(group)) => {
                groups.insert(group, start_time(group));
            }
            (Some("-"), Some(group)) => {
                groups.remove(&group);
            }
            (_, _) => {}
        }
    }
    for (group, started) in groups {
        // A number that was given out again belongs to a process of another start time.
        let same = match start_time(group) {
            Some(now) => started.is_none_or(|then| then == now),
            None => true,
        };
        if let Some(pid) = Pid::from_raw(group).filter(|_| same && group > 1) {
            // A group that has ended meanwhile is what is wanted.
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
    }
    Ok(())
}

/// When a process started, in the kernel's own count; none when it is gone.
fn start_time(pid: i32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The 20th field after the name.
    stat.rsplit_once(") ")?.1.split(' ').nth(19).map(str::to_owned)
}
