//! The state of an environment, its lock, its live pointers and its history.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::aws::resource::CloudResource;
use crate::canary::AbortedCanary;
use crate::canary::Canary;
use crate::canary::Share;
use crate::digest::Digest;
use crate::gitops::Trigger;
use crate::name::EnvironmentName;
use crate::name::PipelineName;
use crate::name::ProjectName;
use crate::plan::Operation;
use crate::run::SourceVersion;
use crate::time::UtcTime;

/// The version of the state documents that this code writes.
pub const STATE_SCHEMA: u32 = 1;

/// `state/<env>.json`: what was applied to an environment. Written only by compare-and-swap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct State {
    /// See [`STATE_SCHEMA`].
    pub schema: u32,
    /// A random text from the first apply: two states with different lineages have nothing to do with each other.
    pub lineage: String,
    /// Grows by one with every write.
    pub serial: u64,
    /// The project.
    pub project: ProjectName,
    /// The environment.
    pub environment: EnvironmentName,
    /// What the last finished apply was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Applied>,
    /// When the environment is removed, for one made from a template. One without this is never removed by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Expiry>,
    /// The pipelines that are deployed.
    #[serde(default)]
    pub pipelines: BTreeMap<PipelineName, DeployedPipeline>,
    /// The resources that exist, by address.
    #[serde(default)]
    pub resources: BTreeMap<ResourceAddress, ResourceRecord>,
    /// The apply that is under way, or was when its process died.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<Journal>,
}

/// When an environment that was made from a template is removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Expiry {
    /// When.
    pub at: UtcTime,
    /// How long it lives after each apply, in seconds.
    pub ttl_seconds: u64,
    /// The template that it was made from.
    pub template: EnvironmentName,
}

/// What an apply was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Applied {
    /// The commit, as far as there is one.
    #[serde(flatten)]
    pub source: SourceVersion,
    /// When it finished.
    pub at: UtcTime,
    /// Who applied, as far as known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What set it going, where it was no person at a terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,
}

/// A deployed pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeployedPipeline {
    /// The live revision.
    pub live: Digest,
    /// Revisions that are kept for rollback, newest first; the live one is not among them.
    #[serde(default)]
    pub retired: Vec<Digest>,
}

/// Where a resource stands: its kind and the digest it is made from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct ResourceAddress {
    /// What kind of thing it is.
    pub kind: ResourceKind,
    /// What it is made from. A resource is never updated: another digest is another resource.
    pub digest: Digest,
}

/// The kinds of resources. Closed, so that the compiler names every place that a new kind must be treated in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResourceKind {
    /// The code of steps: a zip in the object store.
    Package,
    /// A Python environment: a virtual environment on this machine.
    Python,
    /// The zip that a function or a task runs.
    Bundle,
    /// An IAM role.
    Role,
    /// A log group.
    Logs,
    /// A queue with its dead-letter queue.
    Queue,
    /// A Lambda function.
    Function,
    /// A Fargate task definition.
    Task,
    /// What hands a queue's messages to a function.
    Mapping,
    /// A schedule.
    Schedule,
    /// Notifications of a bucket.
    Notification,
    /// A rule for events.
    Rule,
}

impl ResourceKind {
    /// The kind as addresses write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Package => "package",
            Self::Python => "python",
            Self::Bundle => "bundle",
            Self::Role => "role",
            Self::Logs => "logs",
            Self::Queue => "queue",
            Self::Function => "function",
            Self::Task => "task",
            Self::Mapping => "mapping",
            Self::Schedule => "schedule",
            Self::Notification => "notification",
            Self::Rule => "rule",
        }
    }

    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::Package,
        Self::Python,
        Self::Bundle,
        Self::Role,
        Self::Logs,
        Self::Queue,
        Self::Function,
        Self::Task,
        Self::Mapping,
        Self::Schedule,
        Self::Notification,
        Self::Rule,
    ];
}

impl std::fmt::Display for ResourceAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind.as_str(), self.digest.hex())
    }
}

impl From<ResourceAddress> for String {
    fn from(address: ResourceAddress) -> String {
        address.to_string()
    }
}

impl TryFrom<String> for ResourceAddress {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let fail = || format!("`{text}` is no resource address");
        let (kind, digest) = text.split_once('/').ok_or_else(fail)?;
        let kind = ResourceKind::ALL.into_iter().find(|known| known.as_str() == kind).ok_or_else(fail)?;
        Ok(Self { kind, digest: digest.parse().map_err(|_| fail())? })
    }
}

/// A resource that exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceRecord {
    /// When it was made.
    pub created_at: UtcTime,
    /// What it is made of, for resources in the cloud: what is needed to look at it and to remove it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Box<CloudResource>>,
}

/// The intent of an apply, written before its first effect. A killed apply is finished or given up by the next one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Journal {
    /// A random text that names this apply.
    pub apply: String,
    /// The digest of the plan it carries out.
    pub plan: Digest,
    /// When it started.
    pub started_at: UtcTime,
    /// What it set out to do and has not yet recorded as done.
    pub open: Vec<Operation>,
    /// What the cloud resources among these are made of.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<ResourceAddress, CloudResource>,
}

/// `live/<pipeline>.json`: the one mutable object per pipeline. Moved by compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LivePointer {
    /// See [`STATE_SCHEMA`].
    pub schema: u32,
    /// The live revision.
    pub revision: Digest,
    /// When it came to be live.
    pub moved_at: UtcTime,
    /// The release on trial, which a part of the runs are given to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// The last release whose trial ended badly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted: Option<AbortedCanary>,
}

impl LivePointer {
    /// A pointer to a release, with nothing on trial.
    pub const fn new(revision: Digest, moved_at: UtcTime) -> Self {
        Self { schema: STATE_SCHEMA, revision, moved_at, canary: None, aborted: None }
    }
}

/// `state/<env>.lock.json`: a lease. It spares wasted work; safety rests on the compare-and-swap of the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lock {
    /// See [`STATE_SCHEMA`].
    pub schema: u32,
    /// A random text that names this holder; none when the lock is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<LockHolder>,
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LockHolder {
    /// A random text that names this holder.
    pub id: String,
    /// The user, as far as known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The machine.
    pub host: String,
    /// The process on that machine.
    pub pid: u32,
    /// What it does: `apply`, `rollback`, `destroy`.
    pub command: String,
    /// The commit it works from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Since when.
    pub since: UtcTime,
    /// Until when, unless the holder renews it.
    pub until: UtcTime,
}

/// `state/<env>/history/<serial>.json`: one line of what happened to an environment. What was not done has a name of its own
/// beside those that were, after the serial that it left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryEntry {
    /// See [`STATE_SCHEMA`].
    pub schema: u32,
    /// The serial of the state that it led to.
    pub serial: u64,
    /// What was done: `apply`, `rollback`, `promote`, `abort`, `heal`, `destroy`.
    pub command: String,
    /// What it was made from.
    pub applied: Applied,
    /// Per pipeline, what became live; none when the pipeline was removed.
    pub pipelines: BTreeMap<PipelineName, Option<Digest>>,
    /// Per pipeline, which release went on trial, and for which part of the runs; none for one that came off.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub canaries: BTreeMap<PipelineName, TriedRelease>,
    /// What came of it.
    #[serde(default, skip_serializing_if = "HistoryResult::is_done")]
    pub result: HistoryResult,
    /// Why it was not done, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A release that went on trial, or came off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TriedRelease {
    /// Its revision.
    pub revision: Digest,
    /// The part of the runs that are given to it, in hundredths of a percent; none for one that came off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
}

/// What came of an attempt to change an environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HistoryResult {
    /// It was done.
    #[default]
    Done,
    /// It was begun, and did not get to its end: what is live is as it was, or as the entry says.
    Failed,
    /// It was not begun: its definition is broken, or a policy denies it.
    Refused,
    /// A canary came off by what became of its runs.
    Aborted,
}

impl HistoryResult {
    /// Whether it was done.
    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// The result as documents write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Aborted => "aborted",
        }
    }
}
