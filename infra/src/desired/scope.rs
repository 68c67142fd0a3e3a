//! The names and ARNs of an environment.

use liminal_schemas::aws::AwsPlace;
use liminal_schemas::aws::names;
use liminal_schemas::aws::resource::RoleSpec;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::name::StepName;

/// An environment and where it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    /// Where in AWS.
    pub(crate) place: &'a AwsPlace,
    /// The project.
    pub(crate) project: &'a ProjectName,
    /// The environment.
    pub(crate) environment: &'a EnvironmentName,
}

impl Scope<'_> {
    /// The parts of a name of this environment.
    pub(crate) fn parts(&self, more: &[&str]) -> Vec<String> {
        let own = [self.project.as_str(), self.environment.as_str()];
        own.iter().chain(more).map(|part| (*part).to_owned()).collect()
    }

    /// The ARN of objects of this environment. `key` may hold `*`.
    pub(super) fn object_arn(&self, key: &str) -> String {
        object_arn(self.place, &self.place.bucket, &self.key(key))
    }

    /// Where in the bucket a key of this environment is.
    pub(super) fn key(&self, key: &str) -> String {
        format!("{}{key}", names::object_prefix(self.project, self.environment))
    }

    /// The ARN of a queue. `name` may hold `*`.
    pub(super) fn queue_arn(&self, name: &str) -> String {
        names::arn(self.place, "sqs", name)
    }

    /// The ARN of the queues of a step, whatever its digest.
    pub(super) fn step_queues_arn(&self, pipeline: &PipelineName, step: &StepName) -> String {
        self.queue_arn(&names::step_queue_pattern(self.project, self.environment, pipeline, step))
    }

    /// The name of the trigger queue.
    pub(super) fn trigger_queue(&self) -> String {
        names::trigger_queue(self.project, self.environment)
    }

    /// The ARN of a role of this environment.
    pub(super) fn role_arn(&self, role: &RoleSpec) -> String {
        names::role_arn(self.place, &role.path, &role.name())
    }
}

/// The ARN of a bucket.
pub(super) fn bucket_arn(place: &AwsPlace, bucket: &str) -> String {
    format!("arn:{}:s3:::{bucket}", place.partition)
}

/// The ARN of objects in a bucket. `key` may hold `*`.
pub(super) fn object_arn(place: &AwsPlace, bucket: &str, key: &str) -> String {
    format!("{}/{key}", bucket_arn(place, bucket))
}

/// The ARN of a cluster that is given by name or by ARN.
pub(crate) fn cluster_arn(place: &AwsPlace, cluster: &str) -> String {
    if cluster.starts_with("arn:") {
        cluster.to_owned()
    } else {
        names::arn(place, "ecs", &format!("cluster/{cluster}"))
    }
}
