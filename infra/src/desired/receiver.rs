//! What takes deliveries of a code host: one small function with an address of its own, and the queue by which it lets agents
//! know. It is made once for an environment by whoever wants it, and follows no release.

use std::collections::BTreeSet;

use liminal_schemas::aws::Arch;
use liminal_schemas::aws::AwsPlace;
use liminal_schemas::aws::limits::PROVIDED_RUNTIME;
use liminal_schemas::aws::names;
use liminal_schemas::aws::policy::Statement;
use liminal_schemas::aws::resource::BundleSpec;
use liminal_schemas::aws::resource::CloudResource;
use liminal_schemas::aws::resource::FunctionSpec;
use liminal_schemas::aws::resource::LogsSpec;
use liminal_schemas::aws::resource::QueueSpec;
use liminal_schemas::aws::resource::ResourceSpec;
use liminal_schemas::aws::runtime::BUNDLE_PACKER;
use liminal_schemas::aws::runtime::PROVIDED_HANDLER;
use liminal_schemas::aws::variables;
use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::release::SecretRef;

use super::Scope;
use super::secrets;
use super::statements;
use super::statements::allow;
use super::statements::list;
use super::step::variables_of;
use super::step_function::LAMBDA;

/// How long the function may take, in seconds: as long as GitHub waits ("Handling failed webhook deliveries", 2026-11). A
/// delivery that is given up is not sent again by itself.
const TIMEOUT_SECONDS: u32 = 10;

/// Its memory, in MiB. Cores come with memory, and the host waits while a new one starts.
const MEMORY_MIB: u32 = 512;

/// Its space below `/tmp`, in MiB: the least there is.
const DISK_MIB: u32 = 512;

/// How long an agent may take to fetch and reconcile before the message comes again, in seconds.
const VISIBILITY_SECONDS: u32 = 300;

/// How often a message comes before it is put away: its agent puts it back for as long as the remote can not be fetched.
const MAX_RECEIVES: u32 = 100;

/// What a receiver is derived from.
#[derive(Clone, Copy, Debug)]
pub struct ReceiverInput<'a> {
    /// Where in AWS.
    pub place: &'a AwsPlace,
    /// The project.
    pub project: &'a ProjectName,
    /// The environment.
    pub environment: &'a EnvironmentName,
    /// Where the secret is that deliveries are signed with.
    pub secret: &'a SecretRef,
    /// The sha256 of the runner.
    pub runner: Digest,
    /// What it runs on.
    pub arch: Arch,
    /// How long its log is kept, in days.
    pub log_retention_days: u32,
}

/// A secret is where no function can find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret is an environment variable of this machine, and functions have no such variable")]
pub struct SecretOfMachine;

/// The resources of a receiver, each after what it needs. The last one is the function.
///
/// # Errors
/// When no function could read the secret.
pub fn receiver_resources(input: &ReceiverInput<'_>) -> Result<Vec<CloudResource>, SecretOfMachine> {
    let scope = Scope { place: input.place, project: input.project, environment: input.environment };
    let read_secret = secrets::read_secret(scope, input.secret).ok_or(SecretOfMachine)?;
    let log_group = names::receiver_log_group(input.project, input.environment);
    let logs = LogsSpec { name: log_group.clone(), retention_days: input.log_retention_days };
    let queue = QueueSpec {
        name: names::deliveries_queue(input.project, input.environment),
        visibility_seconds: VISIBILITY_SECONDS,
        max_receives: MAX_RECEIVES,
        senders: [].into(),
    };
    let allowed = allowed(scope, read_secret, &queue.name, &log_group);
    let role = statements::role(scope, &[names::RECEIVER], LAMBDA, allowed);
    let role_arn = scope.role_arn(&role);
    let bundle =
        BundleSpec { package: None, python: None, runner: Some(input.runner), arch: input.arch, packer: BUNDLE_PACKER };
    let parts =
        [ResourceSpec::Logs(logs), ResourceSpec::Queue(queue), ResourceSpec::Role(role), ResourceSpec::Bundle(bundle)];
    let needs: BTreeSet<_> = parts.iter().map(ResourceSpec::address).collect();
    let bundle = parts[3].address();
    let mut environment = variables_of(scope, Some(variables::MODE_RECEIVE));
    environment.insert(variables::SIGNING_SECRET.to_owned(), input.secret.to_string());
    let function = FunctionSpec {
        name_parts: scope.parts(&[names::RECEIVER]),
        lasting_name: Some(names::receiver(input.project, input.environment)),
        runtime: PROVIDED_RUNTIME.to_owned(),
        handler: PROVIDED_HANDLER.to_owned(),
        bundle,
        role: role_arn,
        memory_mib: MEMORY_MIB,
        disk_mib: DISK_MIB,
        timeout_seconds: TIMEOUT_SECONDS,
        arch: input.arch,
        environment,
        log_group,
    };
    let mut resources: Vec<CloudResource> =
        parts.into_iter().map(|spec| CloudResource { spec, needs: [].into(), serves: None }).collect();
    resources.push(CloudResource { spec: ResourceSpec::Function(Box::new(function)), needs, serves: None });
    Ok(resources)
}

/// It tells deliveries that it passed on from new ones, and nothing else of the environment.
fn allowed(scope: Scope<'_>, read_secret: Statement, queue: &str, log_group: &str) -> Vec<Statement> {
    let deliveries = format!("{}*", keys::DELIVERIES_PREFIX);
    vec![
        allow("RememberDeliveries", &["s3:GetObject", "s3:PutObject"], [scope.object_arn(&deliveries)]),
        list(scope, "ListDeliveries", &scope.place.bucket, BTreeSet::from([scope.key(&deliveries)])),
        statements::send([scope.queue_arn(queue)]),
        read_secret,
        statements::log(scope, log_group),
    ]
}
