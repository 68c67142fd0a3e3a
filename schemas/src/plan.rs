//! The plan: what an apply will do, decided in full and shown as it is. The plan that is shown is the value that is applied.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::aws::policy::Statement;
use crate::aws::resource::CloudResource;
use crate::canary::Share;
use crate::digest::Digest;
use crate::name::EnvironmentName;
use crate::name::PipelineName;
use crate::name::ProjectName;
use crate::name::StepName;
use crate::release::PackageSpec;
use crate::release::Release;
use crate::run::SourceVersion;
use crate::state::ResourceAddress;
use crate::step::Compute;

/// The version of the plan document that this code writes: `major.minor`. A reader may ignore fields it does not know
/// as long as the major number is its own.
pub const PLAN_FORMAT: &str = "1.0";

/// A plan. `apply` takes it as it is: it holds every release and package document that the apply will write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// See [`PLAN_FORMAT`].
    pub format_version: String,
    /// The version of liminal that made it.
    pub liminal: String,
    /// The project.
    pub project: ProjectName,
    /// The environment.
    pub environment: EnvironmentName,
    /// What it was made from and against; an apply refuses a plan whose base has moved.
    pub base: PlanBase,
    /// Whether there is anything to do.
    pub has_changes: bool,
    /// What the plan is for.
    pub purpose: PlanPurpose,
    /// What changes, pipeline by pipeline. Pipelines without a change are only counted.
    pub pipelines: Vec<PipelineChange>,
    /// How many pipelines stay as they are.
    pub unchanged: usize,
    /// What is done, in this order.
    pub operations: Vec<Operation>,
    /// Things that are held back, and why.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What changes about permissions, role by role.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<PermissionChange>,
    /// Where each step that changes will run, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub placements: Vec<Placement>,
    /// The documents that operations refer to by digest.
    pub documents: PlanDocuments,
}

/// Why a plan was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PlanPurpose {
    /// To make the environment what the definition says.
    Apply,
    /// To make an earlier release live again.
    Rollback,
    /// To make what is on trial live.
    Promote,
    /// To take off what is on trial.
    Abort,
    /// To put back what is recorded.
    Heal,
    /// To remove everything.
    Destroy,
}

impl PlanPurpose {
    /// The command that carries such a plan out.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Rollback => "rollback",
            Self::Promote => "promote",
            Self::Abort => "abort",
            Self::Heal => "heal",
            Self::Destroy => "destroy",
        }
    }
}

/// What a plan was made from and against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanBase {
    /// The commit of the definition and code.
    pub source: SourceVersion,
    /// The digest over every file that the plan was made from.
    pub tree: Digest,
    /// The state's lineage; none when there was no state.
    pub lineage: Option<String>,
    /// The state's serial; 0 when there was no state.
    pub serial: u64,
    /// The state object's version; none when there was no state.
    pub etag: Option<String>,
}

/// A change of one pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PipelineChange {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// What happens to it.
    pub action: ChangeAction,
    /// The revision that is live now.
    pub from: Option<Digest>,
    /// The revision that will be.
    pub to: Option<Digest>,
    /// The part of the runs that are given to the new revision, where it goes on trial first, in hundredths of a percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Share>,
    /// What changes about the pipeline itself: owner, parameters, secrets.
    #[serde(default)]
    pub fields: Vec<FieldChange>,
    /// What changes, step by step. Steps without a change are only counted.
    pub steps: Vec<StepChange>,
    /// How many steps stay as they are.
    pub unchanged_steps: usize,
    /// What the next run will do, step by step.
    #[serde(default)]
    pub forecast: BTreeMap<StepName, StepForecast>,
}

/// A change of what a step, or a part of the platform, may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PermissionChange {
    /// Whose role it is: `train/fit` for a step, `starter` for a part of the platform.
    pub subject: String,
    /// What happens to it.
    pub action: ChangeAction,
    /// What it may do from now on, and could not before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gained: Vec<Statement>,
    /// What it could do before, and may no longer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<Statement>,
}

/// Where a step will run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Placement {
    /// Its pipeline.
    pub pipeline: PipelineName,
    /// The step.
    pub step: StepName,
    /// The service: never `auto`.
    pub compute: Compute,
    /// Why, in one sentence without a full stop.
    pub reason: String,
}

/// What happens to a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChangeAction {
    /// It is new.
    Create,
    /// It changes.
    Update,
    /// It goes.
    Delete,
}

/// A change of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepChange {
    /// The step.
    pub step: StepName,
    /// What happens to it.
    pub action: ChangeAction,
    /// What changes about it, field by field.
    #[serde(default)]
    pub fields: Vec<FieldChange>,
}

/// A change of one field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FieldChange {
    /// The field, as a path: `retries.max`, `code/train.py`, `inputs.data`.
    pub field: String,
    /// The value before; none when there was none. Digests and blob ids are shortened to eight digits.
    pub before: Option<String>,
    /// The value after; none when there is none.
    pub after: Option<String>,
    /// Whether the field is part of the cache key, so that the step runs again.
    pub reruns: bool,
}

/// What the next run will do with a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StepForecast {
    /// Its result is taken from the cache.
    Cached,
    /// It runs, for this reason.
    Runs(RerunReason),
    /// It runs if what this step makes comes out different.
    Depends(StepName),
}

/// Why a step runs again: the first component of its cache key that differs, or that there is nothing to compare with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RerunReason {
    /// No run of it is known.
    NeverRan,
    /// The definition turns the cache off for it.
    CacheOff,
    /// It stands under `finally:`, and such steps run every time.
    Finally,
    /// The last result is older than the definition allows, or gone.
    Expired,
    /// It takes the object that starts the run, which is known only then.
    Object,
    /// It maps over objects, which are known only when it lists them.
    Listing,
    /// A part of its key differs: what it is, before, after.
    Changed {
        /// The part, as a path: `code/train.py`, `params.seed`, `inputs.data`.
        what: String,
        /// Before; none when there was none.
        before: Option<String>,
        /// After; none when there is none.
        after: Option<String>,
    },
}

/// One effect of an apply. Each can be done twice without harm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Makes a resource.
    CreateResource {
        /// Which.
        address: ResourceAddress,
    },
    /// Writes a release.
    WriteRelease {
        /// The pipeline.
        pipeline: PipelineName,
        /// Its revision.
        revision: Digest,
    },
    /// Makes a release live.
    MoveLive {
        /// The pipeline.
        pipeline: PipelineName,
        /// The revision that is live now.
        from: Option<Digest>,
        /// The revision that will be.
        to: Digest,
    },
    /// Gives a part of the runs to a release, beside the live one.
    StartCanary {
        /// The pipeline.
        pipeline: PipelineName,
        /// The revision that is live, and stays so.
        live: Digest,
        /// The revision on trial.
        revision: Digest,
        /// The part of the runs that are given to it, in hundredths of a percent.
        share: Share,
        /// The part of these that may fail, in hundredths of a percent.
        tolerated: Share,
    },
    /// Takes a release off trial.
    EndCanary {
        /// The pipeline.
        pipeline: PipelineName,
        /// The revision on trial.
        revision: Digest,
        /// Why, where nothing is to make that release live again by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        aborted: Option<String>,
    },
    /// Takes a pipeline out of use.
    RemoveLive {
        /// The pipeline.
        pipeline: PipelineName,
        /// The revision that is live now.
        from: Digest,
    },
    /// Removes a release that is neither live nor kept nor used by a run.
    DeleteRelease {
        /// The pipeline.
        pipeline: PipelineName,
        /// Its revision.
        revision: Digest,
    },
    /// Removes a resource that no kept release uses.
    DeleteResource {
        /// Which.
        address: ResourceAddress,
    },
}

impl Operation {
    /// The release that this deletes, if it deletes one.
    pub const fn deleted_release(&self) -> Option<(&PipelineName, &Digest)> {
        match self {
            Self::DeleteRelease { pipeline, revision } => Some((pipeline, revision)),
            Self::CreateResource { .. }
            | Self::WriteRelease { .. }
            | Self::MoveLive { .. }
            | Self::RemoveLive { .. }
            | Self::StartCanary { .. }
            | Self::EndCanary { .. }
            | Self::DeleteResource { .. } => None,
        }
    }
}

/// The documents that operations refer to by digest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanDocuments {
    /// Releases to write, by revision.
    #[serde(default)]
    pub releases: BTreeMap<Digest, Release>,
    /// Packages to build, by digest.
    #[serde(default)]
    pub packages: BTreeMap<Digest, PackageSpec>,
    /// Cloud resources to make, by address.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<ResourceAddress, CloudResource>,
    /// Revisions per pipeline that stay for rollback when the plan is carried out, newest first.
    #[serde(default)]
    pub retired: BTreeMap<PipelineName, Vec<Digest>>,
    /// Pipelines that are gone afterwards.
    #[serde(default)]
    pub removed: BTreeSet<PipelineName>,
}

impl Plan {
    /// What an approval names: the plan without what is only told beside it, such as what the next runs would do, so that
    /// a run that ends meanwhile takes no approval away.
    pub fn approval_digest(&self) -> Digest {
        let mut plan = self.clone();
        plan.notes.clear();
        plan.liminal.clear();
        for change in &mut plan.pipelines {
            change.forecast.clear();
        }
        plan.digest()
    }

    /// The plan's identity: what a journal names.
    pub fn digest(&self) -> Digest {
        Digest::of_document(self)
    }
}
