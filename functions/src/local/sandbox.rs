//! Keeps a step from writing outside its folder, by Landlock, where the kernel has it.
//!
//! On Lambda a step can write to its temporary folder alone. The same holds here, so that what works on one platform
//! works on the other, and no step can change the store, its code or another step's files.

use std::path::Path;

use landlock::ABI;
use landlock::AccessFs;
use landlock::CompatLevel;
use landlock::Compatible as _;
use landlock::PathBeneath;
use landlock::PathFd;
use landlock::PathFdError;
use landlock::Ruleset;
use landlock::RulesetAttr as _;
use landlock::RulesetCreatedAttr as _;
use landlock::RulesetError;

/// The first version that also guards against truncating (Linux 6.2). Later ones add nothing about writing files.
const WANTED: ABI = ABI::V3;

/// How far this machine can confine a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxStatus {
    /// A step writes only to its own folder.
    Full,
    /// The kernel is older than Linux 6.2: a step can still empty files that it may not write to.
    Partial,
    /// The kernel has no Landlock, or it is turned off: a step writes wherever its user may.
    Unavailable,
}

/// Why a step could not be confined, though the kernel can.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A folder that is to stay writable can not be opened.
    #[error("a writable folder can not be opened")]
    Folder(#[from] PathFdError),
    /// The kernel refuses the rules.
    #[error("the kernel refuses the rules")]
    Rules(#[from] RulesetError),
}

/// Says how far this machine can confine a step.
pub fn status() -> SandboxStatus {
    let can = |abi| {
        let required = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        required.handle_access(AccessFs::from_write(abi)).and_then(Ruleset::create).is_ok()
    };
    if can(WANTED) {
        SandboxStatus::Full
    } else if can(ABI::V1) {
        SandboxStatus::Partial
    } else {
        SandboxStatus::Unavailable
    }
}

/// Takes from the calling thread, and from all that it starts from now on, the right to write anywhere but below
/// `folder`, to devices, and to shared memory. There is no way back: use a thread that ends.
///
/// # Errors
/// When a rule can not be made. A kernel without Landlock is no error.
pub(crate) fn confine_thread(folder: &Path) -> Result<(), SandboxError> {
    let all = AccessFs::from_write(WANTED);
    let devices = AccessFs::WriteFile | AccessFs::Truncate;
    let mut rules = Ruleset::default().handle_access(all)?.create()?;
    rules = rules.add_rule(PathBeneath::new(PathFd::new(folder)?, all))?;
    rules = rules.add_rule(PathBeneath::new(PathFd::new("/dev")?, devices))?;
    if let Ok(shared_memory) = PathFd::new("/dev/shm") {
        rules = rules.add_rule(PathBeneath::new(shared_memory, all))?;
    }
    rules.restrict_self()?;
    Ok(())
}
