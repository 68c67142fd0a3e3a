//! The resources of one step: what its service needs, and the queue that its messages come by.

use std::collections::BTreeMap;

use liminal_schemas::aws::names;
use liminal_schemas::aws::placement;
use liminal_schemas::aws::placement::Placed;
use liminal_schemas::aws::policy::Statement;
use liminal_schemas::aws::resource::BundleSpec;
use liminal_schemas::aws::resource::LogsSpec;
use liminal_schemas::aws::resource::MappingSpec;
use liminal_schemas::aws::resource::QueueSpec;
use liminal_schemas::aws::resource::ResourceSpec;
use liminal_schemas::aws::resource::ServedStep;
use liminal_schemas::aws::runtime::BUNDLE_PACKER;
use liminal_schemas::aws::runtime::managed_python;
use liminal_schemas::aws::variables;
use liminal_schemas::digest::Digest;
use liminal_schemas::graph::Graph;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::StepName;
use liminal_schemas::plan::Placement;
use liminal_schemas::release::Release;
use liminal_schemas::state::ResourceAddress;
use liminal_schemas::state::ResourceKind;
use liminal_schemas::step::Compute;
use liminal_schemas::step::StepSpec;

use super::AwsInput;
use super::DesiredProblem;
use super::ResourceSet;
use super::Scope;

/// How often a message is received before it goes to the dead-letter queue: what AWS advises at least for functions, so
/// that throttling alone does not bring one there.
pub(super) const MAX_RECEIVES: u32 = 5;

/// A step of a release.
#[derive(Clone, Copy)]
pub(super) struct StepInput<'a> {
    pub(super) input: &'a AwsInput<'a>,
    pub(super) scope: Scope<'a>,
    pub(super) pipeline: &'a PipelineName,
    pub(super) release: &'a Release,
    pub(super) graph: &'a Graph,
    pub(super) step: &'a StepName,
    pub(super) spec: &'a StepSpec,
}

/// What all services need of a step: what runs, and where it tells what happens.
pub(super) struct Common {
    /// The step with its digest.
    pub(super) served: ServedStep,
    /// The package, without which its bundle can not be made.
    pub(super) package: Option<ResourceAddress>,
    /// The Python version of its runtime, as `3.11`; none without Python.
    pub(super) python: Option<String>,
    /// What its attempts need to read secrets.
    pub(super) secrets: Vec<Statement>,
    /// The log group.
    pub(super) logs: ResourceAddress,
    /// The log group's name.
    pub(super) log_group: String,
}

/// The least bound on concurrency that an event source mapping of SQS takes (`ScalingConfig.MaximumConcurrency`).
const MIN_CONCURRENCY: u32 = 2;

impl StepInput<'_> {
    /// Adds the step's resources; tells where it runs.
    pub(super) fn add_to(&self, set: &mut ResourceSet) -> Result<Placement, DesiredProblem> {
        let secrets = self.secrets()?;
        let python = self.python()?;
        let placed = self.place()?;
        let log_group = names::step_log_group(self.scope.project, self.scope.environment, self.pipeline, self.step);
        let served =
            ServedStep { pipeline: self.pipeline.clone(), step: self.step.clone(), digest: self.spec.digest() };
        let logs = LogsSpec { name: log_group.clone(), retention_days: self.input.spec.log_retention_days };
        let logs = set.add(ResourceSpec::Logs(logs), [], Some(&served));
        let package = self.spec.package.map(|digest| ResourceAddress { kind: ResourceKind::Package, digest });
        let common = Common { served, package, python, secrets, logs, log_group };
        match placed.compute {
            // Emulators start tasks without a network.
            Compute::Fargate if self.input.spec.fargate.subnets.is_empty() && self.scope.place.endpoint.is_none() => {
                let (pipeline, step) = (self.pipeline.clone(), self.step.clone());
                return Err(DesiredProblem::NoSubnets { pipeline, step, reason: placed.reason });
            }
            Compute::Fargate => self.add_task(set, &common),
            Compute::Auto | Compute::Lambda => self.add_function(set, &common),
        }
        let Placed { compute, reason } = placed;
        Ok(Placement { pipeline: self.pipeline.clone(), step: self.step.clone(), compute, reason })
    }

    fn place(&self) -> Result<Placed, DesiredProblem> {
        let python = self.package_python()?;
        let bytes = python.and_then(|python| self.input.sizes.get(&python.digest()).copied());
        placement::place(self.spec, bytes).map_err(|source| DesiredProblem::Placement {
            pipeline: self.pipeline.clone(),
            step: self.step.clone(),
            source,
        })
    }

    fn python(&self) -> Result<Option<String>, DesiredProblem> {
        let Some(python) = self.package_python()? else { return Ok(None) };
        let version = managed_python(python.version.as_deref()).map_err(|source| DesiredProblem::Python {
            pipeline: self.pipeline.clone(),
            step: self.step.clone(),
            source,
        })?;
        Ok(Some(version))
    }

    fn package_python(&self) -> Result<Option<&liminal_schemas::release::PythonSpec>, DesiredProblem> {
        let Some(package) = self.spec.package else { return Ok(None) };
        let known = self.input.packages.get(&package).ok_or_else(|| DesiredProblem::UnknownPackage {
            pipeline: self.pipeline.clone(),
            step: self.step.clone(),
            package,
        })?;
        Ok(known.python.as_ref())
    }

    /// The bundle of the step's code, with or without a runner.
    pub(super) fn add_bundle(&self, set: &mut ResourceSet, common: &Common, runner: Option<Digest>) -> ResourceAddress {
        let bundle = BundleSpec {
            package: self.spec.package,
            python: common.python.clone(),
            runner,
            arch: self.input.spec.arch,
            packer: BUNDLE_PACKER,
        };
        set.add(ResourceSpec::Bundle(bundle), common.package.clone(), Some(&common.served))
    }

    /// The step's queue, and what hands its messages to a function.
    pub(super) fn add_queue(
        &self,
        set: &mut ResourceSet,
        common: &Common,
        (function, name, timeout_seconds): (ResourceAddress, String, u32),
        bound: Option<u32>,
    ) {
        let (project, environment) = (self.scope.project, self.scope.environment);
        let queue = QueueSpec {
            name: names::step_queue(project, environment, self.pipeline, self.step, &common.served.digest),
            visibility_seconds: placement::visibility_seconds(timeout_seconds),
            max_receives: MAX_RECEIVES,
            senders: BTreeMap::new(),
        };
        // Lambda takes no bound below two.
        let max_concurrency = bound.map(|bound| bound.max(MIN_CONCURRENCY));
        let mapping = MappingSpec { queue: queue.name.clone(), function: name, max_concurrency };
        let queue = set.add(ResourceSpec::Queue(queue), [], Some(&common.served));
        set.add(ResourceSpec::Mapping(mapping), [queue, function], Some(&common.served));
    }

    /// The variables of every runner of the environment.
    pub(super) fn variables(&self, mode: Option<&str>) -> BTreeMap<String, String> {
        variables_of(self.scope, mode)
    }
}

/// The variables of every runner of an environment.
pub(super) fn variables_of(scope: Scope<'_>, mode: Option<&str>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::from([
        (variables::PROJECT.to_owned(), scope.project.to_string()),
        (variables::ENVIRONMENT.to_owned(), scope.environment.to_string()),
        (variables::BUCKET.to_owned(), scope.place.bucket.clone()),
    ]);
    let endpoint = scope.place.endpoint.clone();
    all.extend(endpoint.map(|endpoint| (variables::ENDPOINT.to_owned(), endpoint)));
    all.extend(mode.map(|mode| (variables::MODE.to_owned(), mode.to_owned())));
    all
}
