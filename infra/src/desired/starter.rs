//! What starts and sweeps the runs of an environment: one small function behind the trigger queue.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::aws::Arch;
use liminal_schemas::aws::limits::PROVIDED_RUNTIME;
use liminal_schemas::aws::names;
use liminal_schemas::aws::policy::Statement;
use liminal_schemas::aws::resource::BundleSpec;
use liminal_schemas::aws::resource::FunctionSpec;
use liminal_schemas::aws::resource::LogsSpec;
use liminal_schemas::aws::resource::MappingSpec;
use liminal_schemas::aws::resource::ResourceSpec;
use liminal_schemas::aws::runtime::PROVIDED_HANDLER;
use liminal_schemas::aws::variables;
use liminal_schemas::keys;
use liminal_schemas::name::PipelineName;
use liminal_schemas::state::ResourceAddress;

use super::ResourceSet;
use super::Scope;
use super::scope::object_arn;
use super::statements;
use super::statements::allow;
use super::statements::list;
use super::step::variables_of;
use super::step_function::LAMBDA;
use super::triggers;
use crate::plan::Revised;

/// What the function is called in names.
const PART: &str = "starter";

/// How long the function may take, in seconds: it brings in the object that starts a run, whatever its size, and looks
/// at every open run.
pub(super) const TIMEOUT_SECONDS: u32 = 300;

/// Its memory, in MiB: half a vCPU, most of which goes into hashing that object.
const MEMORY_MIB: u32 = 1024;

/// Its space below `/tmp`, in MiB: all there is, for objects whose digest must be known before they are stored.
const DISK_MIB: u32 = 10_240;

/// What the function is made of besides what follows from releases.
#[derive(Clone, Debug)]
pub(crate) struct StarterSettings {
    /// The bundle that it runs.
    pub(crate) bundle: BundleSpec,
    /// What it runs on.
    pub(crate) arch: Arch,
    /// How long its log is kept, in days.
    pub(crate) log_retention_days: u32,
}

/// Adds the function with its role, log group and mapping. `queue` is the trigger queue.
pub(super) fn add_to(
    set: &mut ResourceSet,
    scope: Scope<'_>,
    releases: &BTreeMap<PipelineName, Revised>,
    settings: &StarterSettings,
    queue: ResourceAddress,
) {
    let log_group = names::starter_log_group(scope.project, scope.environment);
    let logs = LogsSpec { name: log_group.clone(), retention_days: settings.log_retention_days };
    let logs = set.add(ResourceSpec::Logs(logs), [], None);
    let role = statements::role(scope, &[PART], LAMBDA, allowed(scope, releases, &log_group));
    let role_arn = scope.role_arn(&role);
    let role = set.add(ResourceSpec::Role(role), [], None);
    let bundle = set.add(ResourceSpec::Bundle(settings.bundle.clone()), [], None);
    let function = FunctionSpec {
        name_parts: scope.parts(&[PART]),
        lasting_name: None,
        runtime: PROVIDED_RUNTIME.to_owned(),
        handler: PROVIDED_HANDLER.to_owned(),
        bundle: bundle.clone(),
        role: role_arn,
        memory_mib: MEMORY_MIB,
        disk_mib: DISK_MIB,
        timeout_seconds: TIMEOUT_SECONDS,
        arch: settings.arch,
        environment: variables_of(scope, Some(variables::MODE_START)),
        log_group,
    };
    let mapping = MappingSpec { queue: scope.trigger_queue(), function: function.name(), max_concurrency: None };
    let function = set.add(ResourceSpec::Function(Box::new(function)), [bundle, role, logs], None);
    set.add(ResourceSpec::Mapping(mapping), [function, queue], None);
}

/// It acts for every pipeline: it starts runs, and does whatever a step that died left undone.
fn allowed(scope: Scope<'_>, releases: &BTreeMap<PipelineName, Revised>, log_group: &str) -> Vec<Statement> {
    let arns = |keys: &[&str]| keys.iter().map(|key| scope.object_arn(&format!("{key}*"))).collect::<Vec<_>>();
    let read = [keys::LIVE_PREFIX, "releases/"];
    // The state tells the commit that a release was applied from.
    let state = keys::state(scope.environment);
    let written = [
        keys::RUNS_PREFIX,
        keys::OPEN_PREFIX,
        keys::WAITING_PREFIX,
        keys::LISTENERS_PREFIX,
        keys::CANARY_PREFIX,
        keys::MODELS_PREFIX,
        "artifacts/",
        "cache/",
    ];
    let mut listed: BTreeSet<String> = read.iter().chain(&written).map(|key| scope.key(&format!("{key}*"))).collect();
    listed.insert(scope.key(&state));
    let queues = names::environment_pattern(scope.project, scope.environment, names::MAX_QUEUE_NAME);
    let mut allowed = vec![
        allow("ReadReleases", &["s3:GetObject"], arns(&read).into_iter().chain([scope.object_arn(&state)])),
        allow("WriteRuns", &["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"], arns(&written)),
        allow(
            "CloseRuns",
            &["s3:DeleteObject"],
            arns(&[keys::OPEN_PREFIX, keys::WAITING_PREFIX, keys::LISTENERS_PREFIX, keys::CANARY_OPEN_PREFIX]),
        ),
        // What it counts of the runs of a canary may take the canary off.
        allow("AbortCanaries", &["s3:PutObject"], arns(&[keys::LIVE_PREFIX])),
        list(scope, "ListObjects", &scope.place.bucket, listed),
    ];
    for (index, (bucket, prefixes)) in objects(scope, releases).into_iter().enumerate() {
        let arns: Vec<String> =
            prefixes.iter().map(|prefix| object_arn(scope.place, &bucket, &format!("{prefix}*"))).collect();
        let patterns: BTreeSet<String> = prefixes.iter().map(|prefix| format!("{prefix}*")).collect();
        allowed.push(allow(&format!("ReadObjects{index}"), &["s3:GetObject", "s3:GetObjectVersion"], arns));
        allowed.push(list(scope, &format!("FindObjects{index}"), &bucket, patterns));
    }
    allowed.push(statements::send([scope.queue_arn(&queues)]));
    allowed.push(statements::receive(scope.queue_arn(&scope.trigger_queue())));
    allowed.push(statements::log(scope, log_group));
    allowed
}

/// The objects that start runs: buckets, and the prefixes in each.
fn objects(scope: Scope<'_>, releases: &BTreeMap<PipelineName, Revised>) -> BTreeMap<String, BTreeSet<String>> {
    let mut objects: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, bucket, filter) in triggers::object_triggers(scope, releases) {
        objects.entry(bucket).or_default().insert(filter.prefix);
    }
    objects
}
