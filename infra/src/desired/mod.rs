//! What an environment on AWS is to be made of: from releases to resources, purely. Equal inputs give equal resources,
//! and no resource of a step is made of anything of another step but its name.

mod access;
mod error;
mod object_filters;
mod policy_size;
mod receiver;
mod resource_set;
mod scope;
mod secrets;
mod starter;
mod statements;
mod step;
mod step_function;
mod step_task;
mod triggers;

use std::collections::BTreeMap;

use liminal_schemas::aws::AwsPlace;
use liminal_schemas::aws::AwsSpec;
use liminal_schemas::aws::placement;
use liminal_schemas::aws::resource::CloudResource;
use liminal_schemas::digest::Digest;
use liminal_schemas::graph::Graph;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::plan::Placement;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::state::ResourceAddress;
use liminal_schemas::step::Compute;

pub use self::error::DesiredProblem;
pub use self::receiver::ReceiverInput;
pub use self::receiver::SecretOfMachine;
pub use self::receiver::receiver_resources;
use self::resource_set::ResourceSet;
pub(crate) use self::scope::Scope;
pub(crate) use self::scope::cluster_arn;
pub(crate) use self::starter::StarterSettings;
use self::step::StepInput;
use crate::plan::Revised;

/// What resources are derived from.
#[derive(Clone, Copy, Debug)]
pub struct AwsInput<'a> {
    /// Where in AWS.
    pub place: &'a AwsPlace,
    /// The settings of the environment.
    pub spec: &'a AwsSpec,
    /// The project.
    pub project: &'a ProjectName,
    /// The environment.
    pub environment: &'a EnvironmentName,
    /// The release of every pipeline.
    pub releases: &'a BTreeMap<PipelineName, Revised>,
    /// What is live and stays so beside these, of pipelines whose release goes on trial: that is what starts runs.
    pub live: &'a BTreeMap<PipelineName, Revised>,
    /// The packages that these name.
    pub packages: &'a BTreeMap<Digest, PackageSpec>,
    /// The sha256 of the runner that functions get.
    pub runner: Digest,
    /// What the dependencies of a Python environment take when they are unpacked, in bytes, by the digest of its
    /// specification; as far as a bundle with it was ever built.
    pub sizes: &'a BTreeMap<Digest, u64>,
}

/// What an environment is to be made of, besides packages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AwsDesired {
    /// The resources.
    pub resources: BTreeMap<ResourceAddress, CloudResource>,
    /// Where each step runs, and why.
    pub placements: Vec<Placement>,
}

/// Derives the resources. Without any release there are none.
///
/// # Errors
/// All that keeps releases from being carried out on AWS, not only the first of it.
pub fn aws_resources(input: &AwsInput<'_>) -> Result<AwsDesired, Vec<DesiredProblem>> {
    let scope = Scope { place: input.place, project: input.project, environment: input.environment };
    let mut set = ResourceSet::default();
    let mut placements = Vec::new();
    let mut problems = Vec::new();
    for (pipeline, revised) in input.releases {
        let release = &revised.release;
        let graph = match Graph::new(&release.steps) {
            Ok(graph) => graph,
            Err(source) => {
                problems.push(DesiredProblem::Graph { pipeline: pipeline.clone(), source });
                continue;
            }
        };
        for (step, spec) in release.steps.iter().filter(|(_, spec)| !spec.action.is_inline()) {
            let of_step = StepInput { input, scope, pipeline, release, graph: &graph, step, spec };
            match of_step.add_to(&mut set) {
                Ok(placement) => placements.push(placement),
                Err(problem) => problems.push(problem),
            }
        }
    }
    if !input.releases.is_empty() {
        let mut starting = input.releases.clone();
        starting.extend(input.live.iter().map(|(name, revised)| (name.clone(), revised.clone())));
        let live_on_fargate = input
            .live
            .values()
            .flat_map(|revised| revised.release.steps.values())
            .any(|spec| placement::place(spec, None).is_ok_and(|placed| placed.compute == Compute::Fargate));
        let on_fargate = live_on_fargate || placements.iter().any(|placement| placement.compute == Compute::Fargate);
        let cluster = on_fargate.then(|| cluster_arn(input.place, step_task::cluster(input.spec)));
        let starter = StarterSettings {
            bundle: step_task::runner_bundle(input),
            arch: input.spec.arch,
            log_retention_days: input.spec.log_retention_days,
        };
        set.extend(environment_resources(scope, &starting, &starter, cluster));
        problems.extend(triggers::problems(scope, input.releases));
    }
    let resources = set.into_resources();
    problems.extend(policy_size::problems(&resources));
    if problems.is_empty() { Ok(AwsDesired { resources, placements }) } else { Err(problems) }
}

/// What an environment has once: what follows from its live releases as a whole. `cluster` is the ARN of the cluster
/// whose tasks are watched.
pub(crate) fn environment_resources(
    scope: Scope<'_>,
    releases: &BTreeMap<PipelineName, Revised>,
    starter: &StarterSettings,
    cluster: Option<String>,
) -> BTreeMap<ResourceAddress, CloudResource> {
    let mut set = ResourceSet::default();
    let queue = triggers::add_to(&mut set, scope, releases, cluster);
    starter::add_to(&mut set, scope, releases, starter, queue);
    set.into_resources()
}
