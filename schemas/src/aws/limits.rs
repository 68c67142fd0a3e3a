//! What AWS allows, in one dated table. AWS moves its limits: whoever finds one moved changes it here, with the date.
//!
//! Sources: `docs` is the service's developer guide, `model` the service model that the SDKs are made from.

/// A limit of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is limited, to be read after the name of the service: `timeout of a function`.
    pub what: &'static str,
    /// The greatest value allowed; the least where `what` says so.
    pub value: u64,
    /// The unit of the value.
    pub unit: &'static str,
    /// Where the value is from.
    pub source: &'static str,
    /// When it was looked up.
    pub date: &'static str,
}

const fn limit(what: &'static str, value: u64, unit: &'static str, source: &'static str) -> Limit {
    Limit { what, value, unit, source, date: "2026-11-24" }
}

/// Models of November 2026 name 1,800, which is not yet offered everywhere; the documentation names this.
pub const LAMBDA_TIMEOUT: Limit = limit("Lambda: timeout of a function", 900, "s", "docs lambda gettingstarted-limits");
/// The least memory of a function.
pub const LAMBDA_MEMORY_LEAST: Limit = limit("Lambda: least memory", 128, "MiB", "model lambda MemorySize");
/// The most memory of a function. Models name 32,768, which is for managed instances.
pub const LAMBDA_MEMORY: Limit = limit("Lambda: memory", 10_240, "MiB", "docs lambda gettingstarted-limits");
/// Memory that brings one vCPU.
pub const LAMBDA_MEMORY_PER_CPU: Limit =
    limit("Lambda: memory per vCPU", 1_769, "MiB", "docs lambda configuration-memory");
/// How many vCPUs the most memory brings.
pub const LAMBDA_CPU: Limit = limit("Lambda: vCPUs", 6, "vCPU", "docs lambda configuration-memory");
/// The least space below `/tmp`.
pub const LAMBDA_DISK_LEAST: Limit =
    limit("Lambda: least space below /tmp", 512, "MiB", "model lambda EphemeralStorageSize");
/// The most space below `/tmp`.
pub const LAMBDA_DISK: Limit = limit("Lambda: space below /tmp", 10_240, "MiB", "docs lambda gettingstarted-limits");
/// A function's zip, unpacked, layers included: it must be smaller than this.
pub const LAMBDA_UNZIPPED: Limit =
    limit("Lambda: package, unpacked", 262_144_000, "bytes", "docs lambda gettingstarted-limits");
/// All environment variables of a function together.
pub const LAMBDA_ENVIRONMENT: Limit =
    limit("Lambda: environment variables", 4_096, "bytes", "docs lambda gettingstarted-limits");
/// How long a message can be put off when it is sent.
pub const SQS_DELAY: Limit = limit("SQS: delay of a message", 900, "s", "model sqs DelaySeconds");
/// How long a message that was received can be hidden, counted from its receipt.
pub const SQS_VISIBILITY: Limit = limit("SQS: visibility timeout", 43_200, "s", "model sqs VisibilityTimeout");
/// How long a message is kept.
pub const SQS_RETENTION: Limit = limit("SQS: retention", 1_209_600, "s", "model sqs MessageRetentionPeriod");
/// How many vCPUs a task can have.
pub const FARGATE_CPU: Limit = limit("Fargate: vCPUs", 16, "vCPU", "docs ecs task-cpu-memory-error");
/// The most memory of a task.
pub const FARGATE_MEMORY: Limit = limit("Fargate: memory", 122_880, "MiB", "docs ecs task-cpu-memory-error");
/// The disk that every task has without asking.
pub const FARGATE_DISK_FREE: Limit = limit("Fargate: disk of every task", 20, "GiB", "docs ecs fargate-task-storage");
/// The most disk of a task.
pub const FARGATE_DISK: Limit = limit("Fargate: disk", 200, "GiB", "model ecs EphemeralStorage");

/// All inline policies of a role together, without white space.
pub const ROLE_POLICY: Limit =
    limit("IAM: inline policies of a role", 10_240, "characters", "docs iam reference_iam-quotas");

/// All limits.
pub const ALL: [Limit; 17] = [
    LAMBDA_TIMEOUT,
    LAMBDA_MEMORY_LEAST,
    LAMBDA_MEMORY,
    LAMBDA_MEMORY_PER_CPU,
    LAMBDA_CPU,
    LAMBDA_DISK_LEAST,
    LAMBDA_DISK,
    LAMBDA_UNZIPPED,
    LAMBDA_ENVIRONMENT,
    SQS_DELAY,
    SQS_VISIBILITY,
    SQS_RETENTION,
    FARGATE_CPU,
    FARGATE_MEMORY,
    FARGATE_DISK_FREE,
    FARGATE_DISK,
    ROLE_POLICY,
];

/// The memory that goes with a number of CPU units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FargateSize {
    /// CPU units: 1,024 for one vCPU.
    pub cpu: u32,
    /// The least memory, in MiB.
    pub least_mib: u32,
    /// The most memory, in MiB.
    pub most_mib: u32,
    /// What memory grows by between these, in MiB.
    pub step_mib: u32,
}

const fn size(cpu: u32, least_gib: u32, most_gib: u32, step_gib: u32) -> FargateSize {
    FargateSize { cpu, least_mib: least_gib * 1024, most_mib: most_gib * 1024, step_mib: step_gib * 1024 }
}

/// The combinations that Fargate allows, from one vCPU, smallest first (model ecs `RegisterTaskDefinition`, 2026-11-24).
/// Those of a fraction of a vCPU are left out: no step asks for less than one.
pub const FARGATE_SIZES: [FargateSize; 5] =
    [size(1024, 2, 8, 1), size(2048, 4, 16, 1), size(4096, 8, 30, 1), size(8192, 16, 60, 4), size(16_384, 32, 120, 8)];

/// The Python versions that Lambda makes functions for, oldest first (docs lambda lambda-runtimes, 2026-11-24). That of 3.10
/// is deprecated since 2026-10-31 and takes no new functions.
pub const PYTHON_RUNTIMES: [(u32, u32); 4] = [(3, 11), (3, 12), (3, 13), (3, 14)];

/// The runtime for programs without one.
pub const PROVIDED_RUNTIME: &str = "provided.al2023";
