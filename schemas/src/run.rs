//! Run records: what a run leaves in the object store, and all that the run protocol ever reads.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::digest::Digest;
use crate::map::ItemCounts;
use crate::name::FieldName;
use crate::name::ModelName;
use crate::name::PipelineName;
use crate::name::RunId;
use crate::name::StepName;
use crate::step::ArtifactKind;
use crate::step::FailureClass;
use crate::time::UtcTime;
use crate::unit::Unit;
use crate::value::Value;

/// The version of the run documents that this code writes.
pub const RUN_SCHEMA: u32 = 1;

/// `runs/<pipeline>/<run>/run.json`: created once, when the run starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunRecord {
    /// See [`RUN_SCHEMA`].
    pub schema: u32,
    /// The run.
    pub run: RunId,
    /// Its pipeline.
    pub pipeline: PipelineName,
    /// The release it is pinned to for its whole life.
    pub revision: Digest,
    /// The value of every parameter.
    #[serde(default)]
    pub params: BTreeMap<FieldName, Value>,
    /// The models that inputs refer to, resolved when the run started: by `step.input`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, PinnedModel>,
    /// The object that started it, or that was given by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<TriggerObject>,
    /// The time that it is for; none for a run that is for the time at which it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<Scheduled>,
    /// The run whose end started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<EndedRun>,
    /// How the run treats results of earlier runs.
    #[serde(default)]
    pub cache: RunCache,
    /// The run that it takes up again: what succeeded there is taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redrives: Option<RunId>,
    /// Since when its release is on trial, for a run that was given to a canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<UtcTime>,
    /// What the code and definition were taken from.
    pub source: SourceVersion,
    /// When it started.
    pub started_at: UtcTime,
    /// By when it must have ended, its steps under `finally:` not counted; none for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<UtcTime>,
    /// Who started it: a user name, as far as known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<String>,
}

impl RunRecord {
    /// The time that the run is for: that at which it started, in UTC, where nothing else is said.
    pub fn scheduled(&self) -> Scheduled {
        self.scheduled.clone().unwrap_or_else(|| Scheduled::in_utc(self.started_at))
    }
}

/// The time that a run is for, which may be long before or after the one at which it starts: when its schedule fired, or
/// the part of the past that it makes up for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Scheduled {
    /// The time.
    pub time: UtcTime,
    /// The day of that time where its schedule is kept: `2026-11-24`.
    pub partition: String,
}

impl Scheduled {
    /// A time, with its day in UTC.
    pub fn in_utc(time: UtcTime) -> Self {
        Self { time, partition: time.to_string().chars().take(10).collect() }
    }
}

/// The commit that definitions and code were taken from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceVersion {
    /// The commit id; none outside git or before the first commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Whether files of the project differed from that commit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dirty: bool,
}

/// A model version that a run uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PinnedModel {
    /// The model.
    pub model: ModelName,
    /// Its version.
    pub version: u64,
    /// The artifact of that version.
    pub artifact: Artifact,
}

/// An object that started a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TriggerObject {
    /// Where it was: `s3://bucket/key`, or the path of a file.
    pub uri: String,
    /// Its version there, as far as the bucket keeps versions; its entity tag otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its content.
    pub artifact: Artifact,
}

/// A run whose end started another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndedRun {
    /// Its pipeline.
    pub pipeline: PipelineName,
    /// The run.
    pub run: RunId,
    /// How it ended.
    pub status: RunStatus,
    /// How many runs led to the one that it started, each by its end.
    pub hops: u32,
}

/// How a run treats results of earlier runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunCache {
    /// Whether no result is taken from the cache at all.
    #[serde(default)]
    pub off: bool,
    /// Steps that run in any case.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub fresh: BTreeSet<StepName>,
}

/// A file or directory by its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Artifact {
    /// sha256 of the file, or of the [`DirectoryListing`] in canonical JSON.
    pub digest: Digest,
    /// A file or a directory.
    pub kind: ArtifactKind,
    /// Size in bytes, of all files together.
    pub bytes: u64,
}

/// The content of a directory artifact: an object of its own, under its own digest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DirectoryListing {
    /// The files, by path below the directory, with `/` between its parts.
    pub files: BTreeMap<String, ListedFile>,
}

/// A file in a directory artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListedFile {
    /// sha256 of the file.
    pub digest: Digest,
    /// Size in bytes.
    pub bytes: u64,
    /// Whether the file may be executed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
}

/// `…/steps/<step>/attempts/<n>.json`: created when attempt n opens. The number is also the fencing token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptRecord {
    /// See [`RUN_SCHEMA`].
    pub schema: u32,
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepName,
    /// The item, for one of a step that maps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// 1 for the first.
    pub attempt: u32,
    /// A random text that tells this writer's records from all others.
    pub nonce: String,
    /// The worker: on `local`, one `liminal` process that drives the run.
    pub worker: String,
    /// When it opened.
    pub started_at: UtcTime,
    /// Until when others leave the step alone: deadline plus margin.
    pub lease_until: UtcTime,
}

/// `…/steps/<step>/attempts/<n>.failed.json`: created when attempt n ended without a commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptFailure {
    /// See [`RUN_SCHEMA`].
    pub schema: u32,
    /// The attempt that failed.
    pub attempt: u32,
    /// Why.
    pub failure: Failure,
    /// When.
    pub ended_at: UtcTime,
}

/// `…/steps/<step>/attempts/<n>.task.json`: created by the task that carries out attempt n, where whoever opened it handed
/// it on. Of two tasks that were started for one attempt, one creates it and works; the other ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskClaim {
    /// See [`RUN_SCHEMA`].
    pub schema: u32,
    /// A random text that tells this writer's records from all others.
    pub nonce: String,
    /// The task.
    pub worker: String,
    /// When it began.
    pub claimed_at: UtcTime,
}

/// How old the mark of a run that has no record must be to count no longer, in milliseconds. Whoever makes both does so within
/// the quarter of an hour that a function may run.
pub const STARTING_MILLIS: i64 = 15 * 60 * 1000;

/// `open/<pipeline>/<run>`: there as long as the run has not ended, and sometimes a little before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenRun {
    /// See [`RUN_SCHEMA`].
    pub schema: u32,
    /// Since when it is there: a mark of a run that never came to be is removed some time after that.
    pub since: UtcTime,
}

impl OpenRun {
    /// Whether somebody may be about to write the record of the run, if there is none.
    pub const fn is_starting(&self, now: UtcTime) -> bool {
        now.millis().saturating_sub(self.since.millis()) <= STARTING_MILLIS
    }
}

/// `waiting/<pipeline>/<run>`: a run that starts once others of its pipeline have ended. What it is pinned to is decided
/// then, but for the object that starts it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WaitingRun {
    /// See [`RUN_SCHEMA`].
    pub schema: u32,
    /// The parameters that its trigger sets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<FieldName, Value>,
    /// The object that starts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<TriggerObject>,
    /// The time that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<Scheduled>,
    /// The run whose end starts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<EndedRun>,
    /// What starts it.
    pub started_by: String,
    /// Since when it waits.
    pub since: UtcTime,
}

/// Why something failed, for machines and people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// Whose fault it is.
    pub class: FailureClass,
    /// One sentence for people.
    pub message: String,
    /// The exit status of the program, where one exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that ended the program, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// The last lines that the step printed, secrets already replaced: the user's own traceback, for Python.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// `…/steps/<step>/commit.json`: the create-only record that ends a step. Exactly one ever exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Commit {
    /// See [`RUN_SCHEMA`].
    pub schema: u32,
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepName,
    /// The item, for one of a step that maps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// How it ended.
    pub status: CommitStatus,
    /// A random text that tells this writer's commit from all others.
    pub nonce: String,
    /// The attempt that made it; none where nothing was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The key under which later runs find this result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_key: Option<Digest>,
    /// What the step was given: digests of artifacts, by input.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<FieldName, Digest>,
    /// What it left.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<FieldName, Artifact>,
    /// The numbers in its metrics file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
    /// The checks of a gate, as they came out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckResult>,
    /// The model version that a `register:` step made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelVersionRef>,
    /// The run whose result was taken, for `cached`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_from: Option<RunId>,
    /// Why it was skipped, for `skipped`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<SkipReason>,
    /// Why it failed, for `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// How its items ended, for a step that maps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<ItemCounts>,
    /// When the attempt that made it started, or when it was settled.
    pub started_at: UtcTime,
    /// When it was settled.
    pub ended_at: UtcTime,
}

impl Commit {
    /// A commit with nothing in it yet but when it began and ended.
    pub fn blank(
        run: RunId,
        unit: Unit,
        status: CommitStatus,
        nonce: String,
        (started_at, ended_at): (UtcTime, UtcTime),
    ) -> Self {
        Self {
            schema: RUN_SCHEMA,
            run,
            step: unit.step,
            item: unit.item,
            status,
            nonce,
            attempt: None,
            cache_key: None,
            inputs: BTreeMap::new(),
            outputs: BTreeMap::new(),
            metrics: BTreeMap::new(),
            checks: Vec::new(),
            model: None,
            cached_from: None,
            skipped: None,
            failure: None,
            items: None,
            started_at,
            ended_at,
        }
    }
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CommitStatus {
    /// It ran and left all it declared.
    Succeeded,
    /// Its result was taken from an earlier run.
    Cached,
    /// It did not run: see [`SkipReason`].
    Skipped,
    /// It is a gate, and a check was false.
    Rejected,
    /// It failed, and no attempt is left.
    Failed,
}

impl CommitStatus {
    /// Whether the step's outputs are there.
    pub const fn has_outputs(self) -> bool {
        match self {
            Self::Succeeded | Self::Cached => true,
            Self::Skipped | Self::Rejected | Self::Failed => false,
        }
    }

    /// The status as documents write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Cached => "cached",
            Self::Skipped => "skipped",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for CommitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a step did not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SkipReason {
    /// Its `when:` was false.
    Condition,
    /// A step that it needs data from was skipped.
    Input(StepName),
    /// A step before it failed or was rejected.
    Upstream(StepName),
    /// The run was cancelled.
    Cancelled,
    /// More items of the step had failed than may.
    Stopped,
    /// The run's deadline had passed.
    Deadline,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Condition => f.write_str("its condition was false"),
            Self::Input(step) => write!(f, "{step}, whose data it needs, was skipped"),
            Self::Upstream(step) => write!(f, "{step} did not succeed"),
            Self::Cancelled => f.write_str("the run was cancelled"),
            Self::Stopped => f.write_str("too many other items had failed"),
            Self::Deadline => f.write_str("the deadline of the run had passed"),
        }
    }
}

/// A check of a gate, as it came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckResult {
    /// The expression.
    pub expression: String,
    /// Whether it held.
    pub passed: bool,
    /// The numbers it read: `metrics.evaluate.roc_auc = 0.99`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, Value>,
}

/// A version of a model, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelVersionRef {
    /// The model.
    pub model: ModelName,
    /// Its version, from 1.
    pub version: u64,
}

/// `models/<name>/versions/<n>.json`: created once, by a `register:` step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelVersion {
    /// See [`RUN_SCHEMA`].
    pub schema: u32,
    /// The model.
    pub model: ModelName,
    /// 1 for the first.
    pub version: u64,
    /// The artifact.
    pub artifact: Artifact,
    /// The run that registered it.
    pub run: RunId,
    /// Its pipeline.
    pub pipeline: PipelineName,
    /// The step that registered it.
    pub step: StepName,
    /// The release of that run.
    pub revision: Digest,
    /// The commit that the code was taken from.
    pub source: SourceVersion,
    /// All metrics of the steps that the registration depended on, as `step.metric`.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
    /// When.
    pub registered_at: UtcTime,
}

/// `models/<name>/aliases/<alias>.json`: moved by compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelAlias {
    /// See [`RUN_SCHEMA`].
    pub schema: u32,
    /// The version it names.
    pub version: u64,
    /// When it came to name it.
    pub moved_at: UtcTime,
}

/// `cache/<key>.json`: the result that a cache key stands for, and where it comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CacheEntry {
    /// See [`RUN_SCHEMA`].
    pub schema: u32,
    /// The pipeline of the run that made it.
    pub pipeline: PipelineName,
    /// The run that made it.
    pub run: RunId,
    /// The step that made it.
    pub step: StepName,
    /// What it left.
    pub outputs: BTreeMap<FieldName, Artifact>,
    /// The numbers in its metrics file.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
    /// The checks of a gate, all of which held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckResult>,
    /// The model version that was registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelVersionRef>,
    /// When it was made.
    pub made_at: UtcTime,
}

impl CacheEntry {
    /// Whether another entry holds the same result, whoever made it and whenever.
    pub fn has_result_of(&self, other: &Self) -> bool {
        let Self { schema: _, pipeline: _, run: _, step: _, outputs, metrics, checks, model, made_at: _ } = self;
        (outputs, metrics, checks, model) == (&other.outputs, &other.metrics, &other.checks, &other.model)
    }
}

/// `runs/<pipeline>/<run>/result.json`: created once, when the run ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunResult {
    /// See [`RUN_SCHEMA`].
    pub schema: u32,
    /// The run.
    pub run: RunId,
    /// How it ended.
    pub status: RunStatus,
    /// How each step ended.
    pub steps: BTreeMap<StepName, CommitStatus>,
    /// Why it ended, where that does not follow from its steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<EndReason>,
    /// When.
    pub ended_at: UtcTime,
}

/// Why a run ended that no step of it brought to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The release that it is pinned to is gone, so that nobody knows what its steps are.
    ReleaseGone,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// Every step succeeded, came from the cache, or was skipped by its condition.
    Succeeded,
    /// A gate refused.
    Rejected,
    /// A step failed.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl RunStatus {
    /// The status as documents write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// `runs/<pipeline>/<run>/cancel.json`: created once, when somebody asks for the run to stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CancelRequest {
    /// See [`RUN_SCHEMA`].
    pub schema: u32,
    /// Who asked, as far as known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When.
    pub requested_at: UtcTime,
}
