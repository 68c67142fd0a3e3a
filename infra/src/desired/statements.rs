//! Building blocks of policies.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::aws::names;
use liminal_schemas::aws::policy::Statement;
use liminal_schemas::aws::resource::RoleSpec;

use super::Scope;
use super::scope::bucket_arn;

/// Allows actions on resources.
pub(super) fn allow(sid: &str, actions: &[&str], resources: impl IntoIterator<Item = String>) -> Statement {
    Statement {
        sid: sid.to_owned(),
        actions: actions.iter().map(|action| (*action).to_owned()).collect(),
        resources: resources.into_iter().collect(),
        conditions: BTreeMap::new(),
    }
}

/// Allows it only where a key of the request has one of some values.
pub(super) fn only_if(mut statement: Statement, operator: &str, key: &str, values: BTreeSet<String>) -> Statement {
    statement.conditions.entry(operator.to_owned()).or_default().insert(key.to_owned(), values);
    statement
}

/// Allows to list keys that match one of some patterns. Without it a key that is not there reads as a refusal: S3 says
/// that an object is absent only to those who may list it.
pub(super) fn list(scope: Scope<'_>, sid: &str, bucket: &str, keys: BTreeSet<String>) -> Statement {
    let statement = allow(sid, &["s3:ListBucket"], [bucket_arn(scope.place, bucket)]);
    only_if(statement, "StringLike", "s3:prefix", keys)
}

/// Allows to write events into a log group.
pub(super) fn log(scope: Scope<'_>, group: &str) -> Statement {
    let arn = names::arn(scope.place, "logs", &format!("log-group:{group}:*"));
    allow("WriteLog", &["logs:CreateLogStream", "logs:PutLogEvents"], [arn])
}

/// Allows what the service needs that hands a queue's messages to a function, and what a function needs to put one back.
pub(super) fn receive(queues: String) -> Statement {
    let actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"];
    allow("ReceiveMessages", &actions, [queues])
}

/// Allows to send to queues, which are found by name.
pub(super) fn send(queues: impl IntoIterator<Item = String>) -> Statement {
    allow("SendMessages", &["sqs:SendMessage", "sqs:GetQueueUrl"], queues)
}

/// A role of the environment.
pub(super) fn role(scope: Scope<'_>, parts: &[&str], service: &str, statements: Vec<Statement>) -> RoleSpec {
    RoleSpec {
        path: names::role_path(scope.project, scope.environment),
        name_parts: scope.parts(parts),
        service: service.to_owned(),
        account: scope.place.account.clone(),
        boundary: Some(names::boundary_arn(scope.place)),
        statements,
    }
}
