//! What an environment in the cloud has once, derived anew when other releases become live without a definition at hand:
//! all that its settings would say is read from what was made.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::aws::AwsPlace;
use liminal_schemas::aws::names;
use liminal_schemas::aws::resource::CloudResource;
use liminal_schemas::aws::variables;
use liminal_schemas::digest::Digest;
use liminal_schemas::name::PipelineName;
use liminal_schemas::state::ResourceAddress;
use liminal_schemas::state::ResourceKind;

use super::Revised;
use super::Target;
use super::recorded::Recorded;
use crate::desired::Scope;
use crate::desired::StarterSettings;
use crate::desired::cluster_arn;
use crate::desired::environment_resources;

/// What the environment is to have once when these releases are live; nothing when it never had any of it. `steps` are
/// the digests of their steps.
pub(super) fn of(
    target: &Target,
    place: &AwsPlace,
    recorded: &Recorded<'_>,
    live: &BTreeMap<PipelineName, Revised>,
    steps: &BTreeSet<Digest>,
) -> BTreeMap<ResourceAddress, CloudResource> {
    let scope = Scope { place, project: &target.project, environment: &target.environment };
    let Some(starter) = starter(recorded, scope) else { return BTreeMap::new() };
    environment_resources(scope, live, &starter, cluster(recorded, place, steps))
}

/// What was made of the same kinds, and is not wanted any more. Queues and roles of other uses stay.
pub(super) fn replaced(
    recorded: &Recorded<'_>,
    wanted: &BTreeMap<ResourceAddress, CloudResource>,
) -> BTreeSet<ResourceAddress> {
    let names: BTreeSet<String> = wanted.values().filter_map(|resource| resource.spec.lasting_name()).collect();
    let is_replaced = |address: &ResourceAddress, resource: &CloudResource| {
        let follows_releases = match address.kind {
            ResourceKind::Role
            | ResourceKind::Function
            | ResourceKind::Mapping
            | ResourceKind::Schedule
            | ResourceKind::Notification
            | ResourceKind::Rule => resource.serves.is_none(),
            ResourceKind::Package
            | ResourceKind::Python
            | ResourceKind::Bundle
            | ResourceKind::Logs
            | ResourceKind::Queue
            | ResourceKind::Task => false,
        };
        let made_over = resource.spec.lasting_name().is_some_and(|name| names.contains(&name));
        follows_releases && !made_over && !wanted.contains_key(address)
    };
    let replaced = recorded.iter().filter(|(address, resource)| is_replaced(address, resource));
    replaced.map(|(address, _)| address.clone()).collect()
}

/// What the function that starts runs was made of.
fn starter(recorded: &Recorded<'_>, scope: Scope<'_>) -> Option<StarterSettings> {
    let of_environment = recorded.iter().filter(|(_, resource)| resource.serves.is_none());
    let function = of_environment.filter_map(|(_, resource)| resource.spec.as_function()).last()?;
    let bundle = recorded.get(&function.bundle)?.spec.as_bundle()?;
    let log_group = names::starter_log_group(scope.project, scope.environment);
    let mut logs = recorded.iter().filter_map(|(_, resource)| resource.spec.as_logs());
    let log_retention_days = logs.find(|logs| logs.name == log_group)?.retention_days;
    Some(StarterSettings { bundle: bundle.clone(), arch: function.arch, log_retention_days })
}

/// The cluster of the steps that run in tasks, if any does.
fn cluster(recorded: &Recorded<'_>, place: &AwsPlace, steps: &BTreeSet<Digest>) -> Option<String> {
    let serving = recorded.serving(steps);
    let functions = serving.iter().filter_map(|address| recorded.get(address)?.spec.as_function());
    let cluster = functions.into_iter().find_map(|function| function.environment.get(variables::CLUSTER))?;
    Some(cluster_arn(place, cluster))
}
