//! What each cloud resource is made of. The digest of such a document is the resource's address: a resource is never
//! changed into another one, only back to what its document says.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use super::Arch;
use super::policy::Statement;
use crate::digest::Digest;
use crate::name::PipelineName;
use crate::name::StepName;
use crate::state::ResourceAddress;
use crate::state::ResourceKind;

/// A resource, what it needs and whom it serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CloudResource {
    /// What it is made of.
    pub spec: ResourceSpec,
    /// Resources that must be there before it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub needs: BTreeSet<ResourceAddress>,
    /// The step that it serves; none for what an environment has once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serves: Option<ServedStep>,
}

/// A step as one release has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ServedStep {
    /// Its pipeline.
    pub pipeline: PipelineName,
    /// The step.
    pub step: StepName,
    /// The digest of the step's specification.
    pub digest: Digest,
}

/// What a resource is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResourceSpec {
    /// The zip that a function or a task runs: an object in the bucket.
    Bundle(BundleSpec),
    /// An IAM role.
    Role(RoleSpec),
    /// A log group.
    Logs(LogsSpec),
    /// A queue with its dead-letter queue.
    Queue(QueueSpec),
    /// A Lambda function.
    Function(Box<FunctionSpec>),
    /// What hands a queue's messages to a function.
    Mapping(MappingSpec),
    /// A Fargate task definition.
    Task(Box<TaskSpec>),
    /// A schedule that sends a message to the trigger queue.
    Schedule(ScheduleSpec),
    /// The notifications of one bucket that are this environment's.
    Notification(NotificationSpec),
    /// A rule that sends events of the account to the trigger queue.
    Rule(RuleSpec),
}

impl ResourceSpec {
    /// The kind of the resource.
    pub const fn kind(&self) -> ResourceKind {
        match self {
            Self::Bundle(_) => ResourceKind::Bundle,
            Self::Role(_) => ResourceKind::Role,
            Self::Logs(_) => ResourceKind::Logs,
            Self::Queue(_) => ResourceKind::Queue,
            Self::Function(_) => ResourceKind::Function,
            Self::Mapping(_) => ResourceKind::Mapping,
            Self::Task(_) => ResourceKind::Task,
            Self::Schedule(_) => ResourceKind::Schedule,
            Self::Notification(_) => ResourceKind::Notification,
            Self::Rule(_) => ResourceKind::Rule,
        }
    }

    /// What its service knows it by, for people: a name, or what comes closest to one.
    pub fn name(&self) -> String {
        match self {
            Self::Bundle(_) => self.address().digest.short(),
            Self::Role(role) => role.name(),
            Self::Logs(logs) => logs.name.clone(),
            Self::Queue(queue) => queue.name.clone(),
            Self::Function(function) => function.name(),
            Self::Mapping(mapping) => format!("{} → {}", mapping.queue, mapping.function),
            Self::Task(task) => task.family(),
            Self::Schedule(schedule) => schedule.name(),
            Self::Notification(notification) => notification.bucket.clone(),
            Self::Rule(rule) => rule.name(),
        }
    }

    /// The name of a thing that stays the same thing when its document changes: another document of that name takes the
    /// place of this one, and deleting the one would delete the other. None for kinds that are named by their document.
    pub fn lasting_name(&self) -> Option<String> {
        match self {
            Self::Logs(logs) => Some(format!("logs {}", logs.name)),
            Self::Queue(queue) => Some(format!("queue {}", queue.name)),
            Self::Notification(notification) => {
                Some(format!("notification {} {}", notification.bucket, notification.id_prefix))
            }
            Self::Function(function) => function.lasting_name.as_ref().map(|name| format!("function {name}")),
            Self::Bundle(_) | Self::Role(_) | Self::Mapping(_) | Self::Task(_) | Self::Schedule(_) | Self::Rule(_) => {
                None
            }
        }
    }

    /// The role, if it is one.
    pub const fn as_role(&self) -> Option<&RoleSpec> {
        match self {
            Self::Role(role) => Some(role),
            Self::Bundle(_)
            | Self::Logs(_)
            | Self::Queue(_)
            | Self::Function(_)
            | Self::Mapping(_)
            | Self::Task(_)
            | Self::Schedule(_)
            | Self::Notification(_)
            | Self::Rule(_) => None,
        }
    }

    /// The bundle, if it is one.
    pub const fn as_bundle(&self) -> Option<&BundleSpec> {
        match self {
            Self::Bundle(bundle) => Some(bundle),
            Self::Role(_)
            | Self::Logs(_)
            | Self::Queue(_)
            | Self::Function(_)
            | Self::Mapping(_)
            | Self::Task(_)
            | Self::Schedule(_)
            | Self::Notification(_)
            | Self::Rule(_) => None,
        }
    }

    /// The function, if it is one.
    pub fn as_function(&self) -> Option<&FunctionSpec> {
        match self {
            Self::Function(function) => Some(function),
            Self::Bundle(_)
            | Self::Role(_)
            | Self::Logs(_)
            | Self::Queue(_)
            | Self::Mapping(_)
            | Self::Task(_)
            | Self::Schedule(_)
            | Self::Notification(_)
            | Self::Rule(_) => None,
        }
    }

    /// The log group, if it is one.
    pub const fn as_logs(&self) -> Option<&LogsSpec> {
        match self {
            Self::Logs(logs) => Some(logs),
            Self::Bundle(_)
            | Self::Role(_)
            | Self::Queue(_)
            | Self::Function(_)
            | Self::Mapping(_)
            | Self::Task(_)
            | Self::Schedule(_)
            | Self::Notification(_)
            | Self::Rule(_) => None,
        }
    }

    /// The resource's address. A log group is known by its name alone: it stays when its retention changes.
    pub fn address(&self) -> ResourceAddress {
        let digest = match self {
            Self::Logs(logs) => Digest::of_document(&logs.name),
            Self::Bundle(_)
            | Self::Role(_)
            | Self::Queue(_)
            | Self::Function(_)
            | Self::Mapping(_)
            | Self::Task(_)
            | Self::Schedule(_)
            | Self::Notification(_)
            | Self::Rule(_) => Digest::of_document(self),
        };
        ResourceAddress { kind: self.kind(), digest }
    }
}

/// The zip that a function or a task runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BundleSpec {
    /// The package with the step's code; none where only the runner runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<Digest>,
    /// The Python version that dependencies are resolved for, as `3.11`; none without Python.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<String>,
    /// The sha256 of the runner in it; none where the image brings the runner (Fargate).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<Digest>,
    /// What it runs on.
    pub arch: Arch,
    /// Changes when equal documents would come to be packed differently.
    pub packer: u32,
}

/// The name of a resource: the parts, and the digest of the document that it is made of.
fn named_by(parts: &[String], document: &impl Serialize) -> String {
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    super::names::resource(&parts, &Digest::of_document(document), super::names::MAX_NAME)
}

/// An IAM role. It is named by its permissions, so that a change of code keeps it: roles are scarce and slow to become
/// usable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoleSpec {
    /// The path that it is below.
    pub path: String,
    /// What its name begins with; the digest of the whole document is appended.
    pub name_parts: Vec<String>,
    /// Who may assume it: `lambda.amazonaws.com`.
    pub service: String,
    /// The account whose resources may assume it, against confused deputies.
    pub account: String,
    /// The permission boundary; none where the account has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boundary: Option<String>,
    /// What it may do.
    pub statements: Vec<Statement>,
}

impl RoleSpec {
    /// The role's name.
    pub fn name(&self) -> String {
        named_by(&self.name_parts, self)
    }
}

/// A log group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogsSpec {
    /// Its name.
    pub name: String,
    /// How long events are kept, in days.
    pub retention_days: u32,
}

/// A queue and its dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueueSpec {
    /// Its name; the dead-letter queue has the same with [`super::names::DEAD_LETTER_SUFFIX`].
    pub name: String,
    /// How long a message that was received is hidden, in seconds.
    pub visibility_seconds: u32,
    /// How often a message is received before it goes to the dead-letter queue.
    pub max_receives: u32,
    /// Who may send to it besides those whose roles allow it: service principals, with the ARN that they must act for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub senders: BTreeMap<String, BTreeSet<String>>,
}

/// A Lambda function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FunctionSpec {
    /// What its name begins with; the digest of the whole document is appended.
    pub name_parts: Vec<String>,
    /// Its whole name, where it stays the same function when its document changes: one whose address others were told.
    /// None for one that is named by its document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasting_name: Option<String>,
    /// What runs it: `python3.11` or `provided.al2023`.
    pub runtime: String,
    /// What the runtime calls.
    pub handler: String,
    /// The bundle it runs.
    pub bundle: ResourceAddress,
    /// The role it runs with, by ARN.
    pub role: String,
    /// Memory, in MiB.
    pub memory_mib: u32,
    /// Space below `/tmp`, in MiB.
    pub disk_mib: u32,
    /// How long an invocation may take, in seconds.
    pub timeout_seconds: u32,
    /// What it runs on.
    pub arch: Arch,
    /// Its environment variables.
    pub environment: BTreeMap<String, String>,
    /// The log group it writes to.
    pub log_group: String,
}

impl FunctionSpec {
    /// The function's name.
    pub fn name(&self) -> String {
        self.lasting_name.clone().unwrap_or_else(|| named_by(&self.name_parts, self))
    }
}

/// What hands the messages of a queue to a function, one at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MappingSpec {
    /// The queue, by name.
    pub queue: String,
    /// The function, by name.
    pub function: String,
    /// How many messages are handled at once, from 2 to 1000; none for as many as the account allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<u32>,
}

/// A Fargate task definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskSpec {
    /// What its family's name begins with; the digest of the whole document is appended.
    pub family_parts: Vec<String>,
    /// The container image.
    pub image: String,
    /// The bundle that the runner fetches.
    pub bundle: ResourceAddress,
    /// CPU units: 1024 for one vCPU.
    pub cpu: u32,
    /// Memory, in MiB: one of the values that Fargate allows for `cpu`.
    pub memory_mib: u32,
    /// Ephemeral storage, in GiB, from 21; none for the 20 that every task has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_gib: Option<u32>,
    /// What it runs on.
    pub arch: Arch,
    /// The role of the step, by ARN.
    pub task_role: String,
    /// The role of the agent that pulls the image and writes logs, by ARN.
    pub execution_role: String,
    /// The environment variables of the runner.
    pub environment: BTreeMap<String, String>,
    /// The log group it writes to.
    pub log_group: String,
}

impl TaskSpec {
    /// The family's name.
    pub fn family(&self) -> String {
        named_by(&self.family_parts, self)
    }
}

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleSpec {
    /// What its name begins with; the digest of the whole document is appended.
    pub name_parts: Vec<String>,
    /// `rate(1 hour)` or `cron(0 6 * * ? *)`.
    pub expression: String,
    /// The time zone of a cron expression: `Europe/Berlin`.
    pub timezone: String,
    /// The queue that it sends to, by name.
    pub queue: String,
    /// The role that it sends with, by ARN.
    pub role: String,
    /// What it sends: JSON, in which `<aws.scheduler.scheduled-time>` stands for the time that it fires for.
    pub message: String,
}

impl ScheduleSpec {
    /// The schedule's name.
    pub fn name(&self) -> String {
        named_by(&self.name_parts, self)
    }
}

/// All notifications of one bucket that belong to this environment: one document, so that changing them is one call, in
/// which old and new never overlap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotificationSpec {
    /// The bucket.
    pub bucket: String,
    /// What the ids of its entries begin with: all entries that do are ours.
    pub id_prefix: String,
    /// The queue that they send to, by name.
    pub queue: String,
    /// Which keys they are for.
    pub filters: BTreeSet<KeyFilter>,
}

/// Which keys of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct KeyFilter {
    /// What keys begin with.
    pub prefix: String,
    /// What they end with.
    pub suffix: String,
}

/// A rule for events of the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleSpec {
    /// What its name begins with; the digest of the whole document is appended.
    pub name_parts: Vec<String>,
    /// The pattern, as JSON.
    pub pattern: String,
    /// The queue that it sends to, by name.
    pub queue: String,
}

impl RuleSpec {
    /// The rule's name.
    pub fn name(&self) -> String {
        named_by(&self.name_parts, self)
    }
}
