//! Which service carries a step out, why, and how large what it runs on is. Decided from the step alone, so that a plan
//! can say it before anything is built.

use super::limits;
use super::limits::FARGATE_SIZES;
use super::limits::Limit;
use crate::step::Compute;
use crate::step::StepSpec;

/// Memory of a step that names none, in MiB: room for pandas and scikit-learn over data of some hundred megabytes.
pub const DEFAULT_MEMORY_MIB: u64 = 2048;

/// What a function may take longer than its step, in seconds: fetching inputs, leaving outputs, settling what follows.
pub const OVERHEAD_SECONDS: u64 = 60;

/// How many times as long as its function takes a message stays hidden (docs lambda services-sqs-configure), so that
/// one that is still being worked on is not handed out again when the service is busy.
const VISIBILITY_PER_TIMEOUT: u64 = 6;

const MIB: u64 = 1024 * 1024;

/// Where a step runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The service: never `auto`.
    pub compute: Compute,
    /// Why, in one sentence without a full stop.
    pub reason: String,
}

/// Why a step runs nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// It was to run on Lambda, and goes beyond what Lambda allows.
    #[error("{excess}; write `compute: fargate`, or leave `compute` out, to run it on Fargate")]
    BeyondLambda {
        /// What is beyond which limit.
        excess: String,
    },
    /// It goes beyond what any service allows.
    #[error("{excess}; ask for less, or split the step")]
    BeyondFargate {
        /// What is beyond which limit.
        excess: String,
    },
}

/// Chooses the service of a step that starts a process. `bundle_bytes` is what its package takes with all dependencies
/// when it is unpacked, as far as that is known.
///
/// # Errors
/// When the step asks for more than the service that it names allows, or than any does.
pub fn place(step: &StepSpec, bundle_bytes: Option<u64>) -> Result<Placed, PlacementError> {
    let beyond_lambda = beyond_lambda(step, bundle_bytes);
    let placed = match (step.compute, beyond_lambda) {
        (Compute::Auto, None) => return Ok(lambda("it is within all limits of Lambda")),
        (Compute::Lambda, None) => return Ok(lambda("its definition says so")),
        (Compute::Lambda, Some(excess)) => return Err(PlacementError::BeyondLambda { excess }),
        (Compute::Auto, Some(excess)) => fargate(excess),
        (Compute::Fargate, _) => fargate("its definition says so".to_owned()),
    };
    match beyond_fargate(step) {
        Some(excess) => Err(PlacementError::BeyondFargate { excess }),
        None => Ok(placed),
    }
}

fn lambda(reason: &str) -> Placed {
    Placed { compute: Compute::Lambda, reason: reason.to_owned() }
}

fn fargate(reason: String) -> Placed {
    Placed { compute: Compute::Fargate, reason }
}

/// What keeps a step off Lambda, if anything: the first limit that it goes beyond.
fn beyond_lambda(step: &StepSpec, bundle_bytes: Option<u64>) -> Option<String> {
    if step.image.is_some() {
        return Some("it names a container image, and Lambda runs zips here".to_owned());
    }
    let resources = &step.resources;
    let timeout = step.timeout_seconds;
    if timeout > limits::LAMBDA_TIMEOUT.value {
        let (asked, most) = (seconds(timeout), seconds(limits::LAMBDA_TIMEOUT.value));
        return Some(format!("its attempts may take {asked}, and Lambda takes {most}"));
    }
    if let Some(memory) = resources.memory_mib.filter(|memory| *memory > limits::LAMBDA_MEMORY.value) {
        return Some(format!(
            "it needs {} of memory, and Lambda has {}",
            mebibytes(memory),
            most(limits::LAMBDA_MEMORY)
        ));
    }
    if u64::from(resources.cpu) > limits::LAMBDA_CPU.value {
        return Some(format!("it needs {} CPUs, and Lambda has {}", resources.cpu, limits::LAMBDA_CPU.value));
    }
    if let Some(disk) = resources.disk_mib.filter(|disk| *disk > limits::LAMBDA_DISK.value) {
        return Some(format!("it needs {} of disk, and Lambda has {}", mebibytes(disk), most(limits::LAMBDA_DISK)));
    }
    let bytes = bundle_bytes.filter(|bytes| *bytes >= limits::LAMBDA_UNZIPPED.value)?;
    let (asked, most) = (bytes.div_ceil(MIB), limits::LAMBDA_UNZIPPED.value / MIB);
    Some(format!("its package unpacks to {asked} MiB, and Lambda takes less than {most} MiB"))
}

/// What keeps a step off Fargate, if anything.
fn beyond_fargate(step: &StepSpec) -> Option<String> {
    let resources = &step.resources;
    if u64::from(resources.cpu) > limits::FARGATE_CPU.value {
        return Some(format!("it needs {} CPUs, and Fargate has at most {}", resources.cpu, limits::FARGATE_CPU.value));
    }
    if let Some(memory) = resources.memory_mib.filter(|memory| *memory > limits::FARGATE_MEMORY.value) {
        let (asked, most) = (mebibytes(memory), most(limits::FARGATE_MEMORY));
        return Some(format!("it needs {asked} of memory, and Fargate has at most {most}"));
    }
    let disk = resources.disk_mib.filter(|disk| *disk > limits::FARGATE_DISK.value * 1024)?;
    Some(format!("it needs {} of disk, and Fargate has at most {} GiB", mebibytes(disk), limits::FARGATE_DISK.value))
}

/// The memory of a step's function, in MiB. Lambda gives CPU by memory, so that a step which wants more CPU gets more of it.
pub fn lambda_memory_mib(step: &StepSpec) -> u32 {
    let for_cpu = u64::from(step.resources.cpu) * limits::LAMBDA_MEMORY_PER_CPU.value;
    let asked = step.resources.memory_mib.unwrap_or(DEFAULT_MEMORY_MIB).max(for_cpu);
    whole(asked.clamp(limits::LAMBDA_MEMORY_LEAST.value, limits::LAMBDA_MEMORY.value))
}

/// The space below `/tmp` of a step's function, in MiB. A step that names no limit gets all there can be: it costs less
/// than a hundredth of what the memory does.
pub fn lambda_disk_mib(step: &StepSpec) -> u32 {
    let asked = step.resources.disk_mib.unwrap_or(limits::LAMBDA_DISK.value);
    whole(asked.clamp(limits::LAMBDA_DISK_LEAST.value, limits::LAMBDA_DISK.value))
}

/// How long an invocation of a step's function may take, in seconds: its attempt, and what is around it.
pub fn lambda_timeout_seconds(step: &StepSpec) -> u32 {
    whole(step.timeout_seconds.saturating_add(OVERHEAD_SECONDS).min(limits::LAMBDA_TIMEOUT.value))
}

/// How long a message for a function with this timeout stays hidden once it was received, in seconds.
pub fn visibility_seconds(function_timeout_seconds: u32) -> u32 {
    whole((u64::from(function_timeout_seconds) * VISIBILITY_PER_TIMEOUT).min(limits::SQS_VISIBILITY.value))
}

/// CPU units and memory, in MiB, of a step's task: the smallest pair that Fargate allows and the step fits into. None
/// when there is no such pair.
pub fn fargate_size(step: &StepSpec) -> Option<(u32, u32)> {
    let cpu = step.resources.cpu.max(1).checked_mul(1024)?;
    let memory = u32::try_from(step.resources.memory_mib.unwrap_or(DEFAULT_MEMORY_MIB)).ok()?;
    let size = FARGATE_SIZES.iter().find(|size| size.cpu >= cpu && size.most_mib >= memory)?;
    let above = memory.saturating_sub(size.least_mib).div_ceil(size.step_mib);
    Some((size.cpu, size.least_mib + above * size.step_mib))
}

/// The ephemeral storage of a step's task, in GiB; none where what every task has is enough.
pub fn fargate_disk_gib(step: &StepSpec) -> Option<u32> {
    let asked = step.resources.disk_mib?.div_ceil(1024);
    (asked > limits::FARGATE_DISK_FREE.value).then(|| whole(asked.min(limits::FARGATE_DISK.value)))
}

/// Values are bounded by limits far below 2^32 before they come here.
fn whole(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn most(limit: Limit) -> String {
    mebibytes(limit.value)
}

fn mebibytes(mebibytes: u64) -> String {
    if mebibytes >= 1024 && mebibytes.is_multiple_of(1024) {
        format!("{} GiB", mebibytes / 1024)
    } else {
        format!("{mebibytes} MiB")
    }
}

fn seconds(seconds: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let unit = UNITS.iter().find(|(length, _)| seconds >= *length && seconds.is_multiple_of(*length));
    unit.map_or_else(|| format!("{seconds}s"), |(length, unit)| format!("{}{unit}", seconds / length))
}

#[cfg(test)]
#[path = "placement_tests.rs"]
mod tests;
