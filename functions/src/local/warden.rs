//! The warden: a small process that outlives `liminal` by a moment, to end the steps of one that was killed.
//!
//! Nobody can catch SIGKILL. But a pipe is closed whatever way its writer ends, and the warden waits for that.

use std::collections::BTreeMap;
use std::io;
use std::io::BufRead;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::ChildStdin;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::process::Pid;
use rustix::process::Signal;

use crate::attempt::process::kill_marked;

/// The hidden command with which `liminal` becomes the warden.
pub const WARDEN_COMMAND: &str = "__warden";

/// How often the warden looks for processes of an attempt whose group it was not told: one that is being started when
/// `liminal` is killed is recognisable only a moment later.
const LOOKS: u32 = 10;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Tells the warden which attempts there are.
#[derive(Debug)]
pub(crate) struct Warden {
    program: Option<PathBuf>,
    line: Mutex<Line>,
    attempts: AtomicU64,
}

#[derive(Debug)]
enum Line {
    NotStarted,
    Open(ChildStdin),
    /// It could not be started, or has ended: steps run without.
    Closed,
}

/// An attempt that the warden knows of, until this is dropped.
#[derive(Debug)]
pub(crate) struct Watched {
    warden: Arc<Warden>,
    attempt: u64,
}

impl Warden {
    /// A warden that is started with the first attempt; none without a program.
    pub(crate) fn new(program: Option<PathBuf>) -> Self {
        Self { program, line: Mutex::new(Line::NotStarted), attempts: AtomicU64::new(0) }
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

    /// Watches over an attempt, by its work folder: to be called before its process is started.
    pub(crate) fn watch(self: &Arc<Self>, work: &Path) -> Watched {
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
        self.tell(&format!("+{attempt} {}", work.display()));
        Watched { warden: self.clone(), attempt }
    }

    fn tell(&self, text: &str) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if let Line::Open(pipe) = &mut *line
            && pipe.write_all(format!("{text}\n").as_bytes()).is_err()
        {
            *line = Line::Closed;
        }
    }
}

impl Watched {
    /// Says which process group the attempt is.
    pub(crate) fn is_group(&self, group: Pid) {
        self.warden.tell(&format!("={} {}", self.attempt, group.as_raw_nonzero()));
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.warden.tell(&format!("-{}", self.attempt));
    }
}

/// What the warden knows of an attempt.
#[derive(Debug)]
struct Ward {
    work: PathBuf,
    /// The group and when its leader started, where known.
    group: Option<(Pid, Option<String>)>,
}

/// What the warden does: reads until there are no more lines, then kills the processes of the attempts that are still
/// there. `+<attempt> <work folder>` begins one, `=<attempt> <group>` says its process group, `-<attempt>` ends it.
///
/// # Errors
/// When its input can not be read.
pub fn run(input: impl BufRead) -> io::Result<()> {
    let mut wards: BTreeMap<u64, Ward> = BTreeMap::new();
    for line in input.lines() {
        let line = line?;
        let (Some(sign), Some(rest)) = (line.get(..1), line.get(1..)) else { continue };
        let (attempt, value) = rest.split_once(' ').unwrap_or((rest, ""));
        let Ok(attempt) = attempt.parse() else { continue };
        match sign {
            "+" => {
                wards.insert(attempt, Ward { work: value.into(), group: None });
            }
            "=" => {
                let group = value.parse().ok().filter(|group| *group > 1).and_then(Pid::from_raw);
                if let (Some(ward), Some(group)) = (wards.get_mut(&attempt), group) {
                    ward.group = Some((group, start_time(group)));
                }
            }
            "-" => {
                wards.remove(&attempt);
            }
            _ => {}
        }
    }
    for (group, started) in wards.values().filter_map(|ward| ward.group.as_ref()) {
        // A number that was given out again belongs to a process of another start time.
        let same = match (start_time(*group), started) {
            (Some(now), Some(then)) => now == *then,
            (_, _) => true,
        };
        if same {
            // A group that has ended meanwhile is what is wanted.
            let _ = rustix::process::kill_process_group(*group, Signal::KILL);
        }
    }
    // Those that left their group, or were only being started.
    let looks = if wards.values().any(|ward| ward.group.is_none()) { LOOKS } else { 1 };
    for look in 0..looks {
        if look > 0 {
            std::thread::sleep(LOOK_EVERY);
        }
        for ward in wards.values() {
            kill_marked(&ward.work);
        }
    }
    Ok(())
}

/// When a process started, in the kernel's own count; none when it is gone.
fn start_time(pid: Pid) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The 20th field after the name.
    stat.rsplit_once(") ")?.1.split(' ').nth(19).map(str::to_owned)
}
