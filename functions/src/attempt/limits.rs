//! Limits on what an attempt may use, looked at from outside while it runs.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use liminal_schemas::run::Failure;
use liminal_schemas::step::Resources;
use rustix::process::Pid;
use rustix::process::Resource;
use rustix::process::Rlimit;

use super::failure;

const MIB: u64 = 1 << 20;

/// The limits of an attempt; only made for a step that declares one.
#[derive(Clone, Debug)]
pub struct Limits {
    memory_mib: Option<u64>,
    disk_mib: Option<u64>,
    work: PathBuf,
}

impl Limits {
    /// The limits that a step declares, if it declares any.
    pub fn new(resources: &Resources, work: &Path) -> Option<Self> {
        let Resources { memory_mib, cpu: _, disk_mib } = *resources;
        (memory_mib.is_some() || disk_mib.is_some()).then(|| Self { memory_mib, disk_mib, work: work.to_owned() })
    }

    /// Keeps a single file from growing over the disk limit, which is noticed at once and not only at the next look.
    /// A child that the process started before this is called is not bound, and is caught by looking.
    pub fn bound_files(&self, process: Pid) {
        if let Some(mib) = self.disk_mib {
            let bytes = mib.saturating_mul(MIB);
            // A process that has ended already needs no limit.
            let _ = rustix::process::prlimit(
                Some(process),
                Resource::Fsize,
                Rlimit { current: Some(bytes), maximum: Some(bytes) },
            );
        }
    }

    /// Looks at a process group and says what is over its limit.
    pub fn breach(&self, group: Pid) -> Option<Failure> {
        if let Some(mib) = self.memory_mib {
            let used = group_memory(group);
            if used > mib.saturating_mul(MIB) {
                return Some(over("memory", used, mib));
            }
        }
        self.disk_breach()
    }

    /// Looks at the work folder and says whether it is over its limit.
    pub fn disk_breach(&self) -> Option<Failure> {
        let mib = self.disk_mib?;
        let used = folder_size(&self.work);
        (used > mib.saturating_mul(MIB)).then(|| over("disk", used, mib))
    }

    /// The failure of a process that ended because a file would have grown over the disk limit, if that is why.
    pub fn file_breach(&self, failed: &Failure, tail: &str) -> Option<Failure> {
        const SIGXFSZ: i32 = 25;
        let mib = self.disk_mib?;
        // A shell says that a signal ended its command by an exit status of 128 and the signal.
        let signalled = failed.signal == Some(SIGXFSZ) || failed.exit_code == Some(128 + SIGXFSZ);
        // Programs that ignore the signal, like Python, get the error EFBIG, which C libraries word like this.
        let refused = signalled || tail.contains("File too large");
        refused.then(|| over("disk", mib.saturating_mul(MIB), mib))
    }
}

fn over(what: &str, used: u64, limit_mib: u64) -> Failure {
    let used = used.div_ceil(MIB);
    let message = format!("the step used {used} MiB of {what}, and its limit is {limit_mib} MiB");
    failure::with_hint(failure::user(message), &format!("raise `resources: {{{what}: …}}` of the step"))
}

/// Resident memory of all processes of a group, in bytes.
fn group_memory(group: Pid) -> u64 {
    let wanted = group.as_raw_nonzero().to_string();
    let mut kib = 0;
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if !process.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit) {
            continue;
        }
        // A process may end while it is looked at: it uses nothing then.
        let stat = fs::read_to_string(process.path().join("stat")).unwrap_or_default();
        // Fields after the name, which may hold anything: state, parent, group.
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        if fields.split(' ').nth(2) == Some(&wanted) {
            let status = fs::read_to_string(process.path().join("status")).unwrap_or_default();
            let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            kib += resident.and_then(|text| text.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0_u64);
        }
    }
    kib * 1024
}

/// Size of all files below a folder, in bytes. What vanishes meanwhile has none.
fn folder_size(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let mut total = 0;
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                pending.push(entry.path());
            } else {
                // Blocks, so that a sparse file counts for what it takes.
                total += metadata.blocks() * 512;
            }
        }
    }
    total
}
