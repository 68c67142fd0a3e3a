//! What keeps a release from being carried out on AWS.

use liminal_schemas::aws::limits;
use liminal_schemas::aws::placement::PlacementError;
use liminal_schemas::aws::runtime::NoPythonRuntime;
use liminal_schemas::digest::Digest;
use liminal_schemas::graph::GraphError;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::StepName;

/// What keeps a release from being carried out on AWS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DesiredProblem {
    /// The steps form no graph.
    #[error("pipeline {pipeline} can not be deployed")]
    Graph {
        /// The pipeline.
        pipeline: PipelineName,
        /// What is wrong with it.
        source: GraphError,
    },
    /// A step asks for more than a service allows.
    #[error("step {pipeline}/{step} can run nowhere")]
    Placement {
        /// The pipeline.
        pipeline: PipelineName,
        /// The step.
        step: StepName,
        /// The limit.
        source: PlacementError,
    },
    /// A step runs as a task, and the environment names no network for tasks: ECS would refuse each of them.
    #[error(
        "step {pipeline}/{step} runs on Fargate ({reason}), and the environment names no subnets: give it `fargate: {{subnets: [subnet-…]}}`"
    )]
    NoSubnets {
        /// The pipeline.
        pipeline: PipelineName,
        /// The step.
        step: StepName,
        /// Why it runs there.
        reason: String,
    },
    /// There is no runtime for a step's Python.
    #[error("step {pipeline}/{step} can not run on Lambda; change `python: version`")]
    Python {
        /// The pipeline.
        pipeline: PipelineName,
        /// The step.
        step: StepName,
        /// What there is.
        source: NoPythonRuntime,
    },
    /// A release names a package whose document is not known.
    #[error("step {pipeline}/{step} names the package {}, whose document is not known", package.short())]
    UnknownPackage {
        /// The pipeline.
        pipeline: PipelineName,
        /// The step.
        step: StepName,
        /// The package.
        package: Digest,
    },
    /// A secret is where no function can find it.
    #[error(
        "step {pipeline}/{step} uses the secret {secret}, which is an environment variable of this machine (`env:{variable}`); functions have no such variable: refer to Secrets Manager or the Parameter Store instead"
    )]
    SecretOfMachine {
        /// The pipeline.
        pipeline: PipelineName,
        /// The step.
        step: StepName,
        /// The secret.
        secret: FieldName,
        /// The variable.
        variable: String,
    },
    /// A trigger is for objects that liminal writes itself.
    #[error(
        "a trigger of pipeline {pipeline} is for objects under `{prefix}` in the bucket {bucket}, where liminal keeps its own, which start no runs; give it another prefix"
    )]
    SelfTriggering {
        /// The pipeline.
        pipeline: PipelineName,
        /// The bucket.
        bucket: String,
        /// The prefix of the trigger.
        prefix: String,
    },
    /// A role's permissions are longer than IAM takes.
    #[error(
        "the permissions of role {role} have {characters} characters, and IAM takes {}; use fewer steps, models or triggers in one pipeline",
        limits::ROLE_POLICY.value
    )]
    PolicyTooLong {
        /// The role.
        role: String,
        /// The length of its policy.
        characters: usize,
    },
}
