//! The planner: what is wanted, what was recorded and what is there, made into a plan. Pure and deterministic.

mod canary;
mod destroy;
pub mod diff;
mod draft;
mod environment_wide;
pub mod forecast;
mod heal;
mod hold;
pub mod key_facts;
mod permissions;
mod planner;
mod recorded;
mod rollback;
mod runner_change;
mod words;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::aws::resource::CloudResource;
use liminal_schemas::canary::AbortedCanary;
use liminal_schemas::canary::Canary;
use liminal_schemas::canary::Share;
use liminal_schemas::digest::Digest;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::name::StepName;
use liminal_schemas::plan::Placement;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::release::Release;
use liminal_schemas::run::SourceVersion;
use liminal_schemas::state::ResourceAddress;
use liminal_schemas::state::ResourceKind;

pub use self::canary::plan_abort;
pub use self::canary::plan_promote;
pub use self::destroy::plan_destroy;
pub(crate) use self::draft::own_resources;
pub use self::heal::plan_heal;
pub use self::hold::Held;
pub use self::hold::held_back;
pub(crate) use self::planner::documents_needed;
pub(crate) use self::planner::pipelines_that_lose_releases;
pub use self::planner::plan;
pub(crate) use self::recorded::Recorded;
pub use self::rollback::plan_rollback;
pub use self::runner_change::recorded_runner;

/// How many retired releases are kept for rollback unless the definition says otherwise.
pub const DEFAULT_KEEP: usize = 2;

/// What a plan is for and made from.
#[derive(Clone, Debug)]
pub struct Target {
    /// The project.
    pub project: ProjectName,
    /// The environment.
    pub environment: EnvironmentName,
    /// The commit of the definition and code.
    pub source: SourceVersion,
    /// The digest over every file that was read for it.
    pub tree: Digest,
    /// How many retired releases each pipeline keeps.
    pub keep: usize,
}

/// What the definition asks for.
#[derive(Clone, Debug)]
pub struct Desired {
    /// Where, and from what.
    pub target: Target,
    /// The release of every pipeline.
    pub releases: BTreeMap<PipelineName, Revised>,
    /// The packages that the releases name.
    pub packages: BTreeMap<Digest, PackageSpec>,
    /// What they are carried out by, in the cloud: [`crate::desired::aws_resources`]. Empty on `local`.
    pub cloud: BTreeMap<ResourceAddress, CloudResource>,
    /// Where each step runs, in the cloud. Empty on `local`.
    pub placements: Vec<Placement>,
    /// How what is new comes to be live.
    pub rollout: Rollout,
    /// What was held back before there was a plan, and why.
    pub notes: Vec<String>,
}

/// How what is new comes to be live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rollout {
    /// At once, for all runs.
    #[default]
    Whole,
    /// Beside what is live, for a part of the runs. A pipeline that is not live yet becomes so at once.
    Canary {
        /// The part of the runs.
        share: Share,
        /// The part of these that may fail.
        tolerated: Share,
    },
}

/// A release with its revision, which is computed once.
#[derive(Clone, Debug, PartialEq)]
pub struct Revised {
    /// The revision.
    pub revision: Digest,
    /// The release.
    pub release: Release,
}

impl From<Release> for Revised {
    fn from(release: Release) -> Self {
        Self { revision: release.revision(), release }
    }
}

/// What is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// The live revision of every pipeline that has one.
    pub live: BTreeMap<PipelineName, Digest>,
    /// The releases that are on trial.
    pub canaries: BTreeMap<PipelineName, Canary>,
    /// The releases whose trial ended badly.
    pub aborted: BTreeMap<PipelineName, AbortedCanary>,
    /// The resources that exist, among those that the definition or the state names.
    pub resources: BTreeSet<ResourceAddress>,
    /// The releases that exist, by pipeline.
    pub releases: BTreeMap<PipelineName, BTreeSet<Digest>>,
    /// Revisions that runs are pinned to.
    pub pinned: BTreeSet<Digest>,
    /// Documents of earlier releases, as far as the planner asks for them.
    pub known_releases: BTreeMap<Digest, Release>,
    /// The packages that these name.
    pub known_packages: BTreeMap<Digest, PackageSpec>,
    /// The digests of steps that runs which have not ended may still start: what carries these out stays. Known only
    /// where resources are in the cloud.
    pub open_steps: BTreeSet<Digest>,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The definition is empty, which is more likely a mistake than a wish to remove everything.
    #[error("the definition has no pipelines, but {} deployed: {}; to remove everything, use `liminal destroy`", are(.0.len()), list(.0))]
    NothingDefined(Vec<PipelineName>),
    /// The state is about something else.
    #[error("the state belongs to project {found}, not {wanted}: two projects can not share an environment's store")]
    OtherProject {
        /// The project in the state.
        found: ProjectName,
        /// The project at hand.
        wanted: ProjectName,
    },
    /// A pipeline that is to be rolled back is not deployed.
    #[error("pipeline {0} is not deployed")]
    NotDeployed(PipelineName),
    /// There is nothing to roll back to.
    #[error("pipeline {0} has no earlier release to roll back to")]
    NoEarlier(PipelineName),
    /// The release to roll back to is not among those that are kept.
    #[error("revision {} of pipeline {pipeline} is not kept; kept are: {}", revision.short(), shorts(.kept))]
    NotKept {
        /// The pipeline.
        pipeline: PipelineName,
        /// The revision that was asked for.
        revision: Digest,
        /// The revisions that are kept, newest first.
        kept: Vec<Digest>,
    },
    /// The document of the release to roll back to is gone.
    #[error("the release {} of pipeline {pipeline} is gone from the store", revision.short())]
    ReleaseGone {
        /// The pipeline.
        pipeline: PipelineName,
        /// The revision.
        revision: Digest,
    },
    /// What carries out the release to roll back to was removed.
    #[error(
        "release {} of pipeline {pipeline} has nothing left that carries out {}; check out its commit, and apply that",
        revision.short(),
        names(.steps)
    )]
    ResourcesGone {
        /// The pipeline.
        pipeline: PipelineName,
        /// The revision.
        revision: Digest,
        /// The steps.
        steps: Vec<StepName>,
    },
    /// Nothing is on trial.
    #[error("no pipeline has a canary")]
    NoCanary,
    /// Where an environment is must be known to roll back what is in the cloud.
    #[error("what is deployed is in the cloud, but the settings of the environment name no place there")]
    NoPlace,
}

fn names(steps: &[StepName]) -> String {
    steps.iter().map(StepName::as_str).collect::<Vec<_>>().join(", ")
}

fn are(count: usize) -> String {
    if count == 1 { "one is".to_owned() } else { format!("{count} are") }
}

fn list(names: &[PipelineName]) -> String {
    const SHOWN: usize = 5;
    let mut text: Vec<&str> = names.iter().take(SHOWN).map(PipelineName::as_str).collect();
    if names.len() > SHOWN {
        text.push("…");
    }
    text.join(", ")
}

fn shorts(revisions: &[Digest]) -> String {
    if revisions.is_empty() {
        return "none".to_owned();
    }
    revisions.iter().map(Digest::short).collect::<Vec<_>>().join(", ")
}

/// The resources that a package consists of on `local`.
pub(crate) fn resources_of(digest: Digest, spec: &PackageSpec) -> impl Iterator<Item = ResourceAddress> {
    let python =
        spec.python.as_ref().map(|python| ResourceAddress { kind: ResourceKind::Python, digest: python.digest() });
    std::iter::once(ResourceAddress { kind: ResourceKind::Package, digest }).chain(python)
}

/// The packages that a release names.
pub(crate) fn packages_of(release: &Release) -> BTreeSet<Digest> {
    release.steps.values().filter_map(|step| step.package).collect()
}

impl Desired {
    /// Whether the environment is in the cloud.
    pub(crate) fn is_cloud(&self) -> bool {
        !self.cloud.is_empty()
    }

    /// All resources that the desired releases need. In the cloud, Python environments are part of bundles.
    pub fn resources(&self) -> BTreeSet<ResourceAddress> {
        let named: BTreeSet<Digest> = self
            .releases
            .values()
            .flat_map(|revised| revised.release.steps.values())
            .filter_map(|step| step.package)
            .collect();
        let known = named.iter().filter_map(|digest| Some((*digest, self.packages.get(digest)?)));
        let of_packages = known.flat_map(|(digest, spec)| resources_of(digest, spec));
        let kept = of_packages.filter(|address| !self.is_cloud() || address.kind != ResourceKind::Python);
        kept.chain(self.cloud.keys().cloned()).collect()
    }
}
