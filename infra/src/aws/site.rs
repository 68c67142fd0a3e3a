//! Where resources are made, and for whom.

use liminal_schemas::aws::AwsPlace;
use liminal_schemas::aws::names;

use super::clients::Clients;
use super::tags::Owner;

/// Where resources are made, and for whom.
#[derive(Clone, Debug)]
pub struct Site {
    /// The clients.
    pub clients: Clients,
    /// The account, region and bucket.
    pub place: AwsPlace,
    /// The project and environment.
    pub owner: Owner,
}

impl Site {
    /// The ARN of a queue.
    pub(super) fn queue_arn(&self, name: &str) -> String {
        names::arn(&self.place, "sqs", name)
    }

    /// The ARN of a function.
    pub(super) fn function_arn(&self, name: &str) -> String {
        names::arn(&self.place, "lambda", &format!("function:{name}"))
    }

    /// The key of an object of the environment in the bucket.
    pub(super) fn object_key(&self, key: &str) -> String {
        format!("{}{key}", names::object_prefix(&self.owner.project, &self.owner.environment))
    }
}
