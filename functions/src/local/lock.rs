//! Who drives a run: one process at a time, by a lock that the system itself releases when the process dies.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use liminal_schemas::name::RunId;
use liminal_schemas::time::UtcTime;
use serde::Deserialize;
use serde::Serialize;

/// How often, and how far apart, a lock is tried: whoever looks at a lock holds it for a moment.
const TRIES: u32 = 4;
const BETWEEN_TRIES: Duration = Duration::from_millis(5);

/// Who drives a run, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverInfo {
    /// The process.
    pub pid: u32,
    /// Its machine.
    pub host: String,
    /// Since when.
    pub since: UtcTime,
}

/// Why a run's lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process drives the run.
    #[error("run {run} is being driven by {}", describe(.driver.as_ref()))]
    Held {
        /// The run.
        run: RunId,
        /// The other process, as far as it said.
        driver: Option<DriverInfo>,
    },
    /// The file of the lock can not be used.
    #[error("lock {} can not be used", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

fn describe(driver: Option<&DriverInfo>) -> String {
    match driver {
        Some(DriverInfo { pid, host, since }) => format!("process {pid} on {host} since {since}"),
        None => "another process".to_owned(),
    }
}

/// The right to drive a run, until it is dropped or the process dies.
#[derive(Debug)]
pub struct DriverLock {
    file: File,
    path: PathBuf,
}

impl DriverLock {
    /// Takes the lock of a run.
    ///
    /// # Errors
    /// When another process holds it.
    pub fn take(locks: &Path, run: &RunId, now: UtcTime) -> Result<Self, LockError> {
        let path = lock_path(locks, run);
        let held = |driver| LockError::Held { run: run.clone(), driver };
        let info = DriverInfo { pid: std::process::id(), host: host(), since: now };
        try_take(locks, &path, &info)
            .map_err(|source| LockError::Io { path: path.clone(), source })?
            .map(|file| Self { file, path })
            .map_err(held)
    }
}

impl Drop for DriverLock {
    fn drop(&mut self) {
        // Removed while it is held: whoever waits for the file finds out that it is gone, and makes a new one.
        let _ = fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

/// Who drives a run at this moment, if anybody does.
///
/// # Errors
/// When the lock's file can not be used.
pub fn driver_of(locks: &Path, run: &RunId) -> Result<Option<DriverInfo>, LockError> {
    let path = lock_path(locks, run);
    let probe = || {
        let mut file = match File::options().read(true).write(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(fs::TryLockError::WouldBlock) => Ok(Some(read_info(&mut file)?.unwrap_or_else(unknown))),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    };
    probe().map_err(|source| LockError::Io { path: path.clone(), source })
}

/// A driver that took its lock a moment ago, and has not yet said who it is.
fn unknown() -> DriverInfo {
    DriverInfo { pid: 0, host: host(), since: UtcTime::from_millis(0) }
}

fn try_take(locks: &Path, path: &Path, info: &DriverInfo) -> io::Result<Result<File, Option<DriverInfo>>> {
    fs::create_dir_all(locks)?;
    let mut tries = 0;
    loop {
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) if tries < TRIES => {
                tries += 1;
                std::thread::sleep(BETWEEN_TRIES);
                continue;
            }
            Err(fs::TryLockError::WouldBlock) => return Ok(Err(read_info(&mut file)?)),
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
        // The last holder may have removed the file after it was opened here: then this is a lock on nothing.
        let ours = file.metadata()?.ino();
        if fs::metadata(path).is_ok_and(|there| there.ino() == ours) {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(&serde_json::to_vec(info)?)?;
            return Ok(Ok(file));
        }
    }
}

fn read_info(file: &mut File) -> io::Result<Option<DriverInfo>> {
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text).ok())
}

fn lock_path(locks: &Path, run: &RunId) -> PathBuf {
    locks.join(format!("{run}.lock"))
}

/// Whether a process of this machine is alive.
pub fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    // A process of somebody else answers with "not permitted": it is there.
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

/// The name of this machine.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
