//! Task definitions of Fargate: one family for each document, with one active revision.

use std::collections::BTreeMap;

use aws_sdk_ecs::types::Compatibility;
use aws_sdk_ecs::types::ContainerDefinition;
use aws_sdk_ecs::types::CpuArchitecture;
use aws_sdk_ecs::types::EphemeralStorage;
use aws_sdk_ecs::types::Failure;
use aws_sdk_ecs::types::KeyValuePair;
use aws_sdk_ecs::types::LogConfiguration;
use aws_sdk_ecs::types::LogDriver;
use aws_sdk_ecs::types::NetworkMode;
use aws_sdk_ecs::types::OsFamily;
use aws_sdk_ecs::types::RuntimePlatform;
use aws_sdk_ecs::types::Tag;
use aws_sdk_ecs::types::TaskDefinition;
use aws_sdk_ecs::types::TaskDefinitionFamilyStatus;
use aws_sdk_ecs::types::TaskDefinitionField;
use aws_sdk_ecs::types::TaskDefinitionStatus;
use liminal_schemas::aws::Arch;
use liminal_schemas::aws::names::TASK_CONTAINER;
use liminal_schemas::aws::resource::TaskSpec;
use liminal_schemas::state::ResourceAddress;

use super::drift::Comparison;
use super::drift::FieldDrift;
use super::error::AwsError;
use super::error::failed;
use super::image;
use super::retry::blaming;
use super::retry::patiently;
use super::site::Site;
use super::tags::Ownership;

const WHAT: &str = "task definition";

/// How many revisions one request deletes at most:
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteTaskDefinitions.html>.
const MAX_DELETED: usize = 10;

/// What the container starts; the image brings it.
const ENTRY_POINT: &str = "liminal-runner";

/// What it is told to do. Whoever starts a task says of which attempt.
const COMMAND: &str = "task";

/// How long a task that is told to stop may go on, in seconds: the most that Fargate allows.
const STOP_TIMEOUT_SECONDS: i32 = 120;

/// Registers a task definition, unless the active one of ours says the same.
pub(super) async fn create(site: &Site, address: &ResourceAddress, spec: &TaskSpec) -> Result<(), AwsError> {
    let family = spec.family();
    if let Some((found, owned)) = active(site, &family).await? {
        if owned == Ownership::Foreign {
            return Err(AwsError::Foreign { what: WHAT, name: family });
        }
        if drift(site, spec, &found).is_empty() && owned.is_for(address) {
            return Ok(());
        }
    }
    image::require(site, &spec.image).await?;
    let container = container(site, spec)?;
    let platform = RuntimePlatform::builder().cpu_architecture(architecture(spec.arch));
    let platform = platform.operating_system_family(OsFamily::Linux).build();
    let storage = spec.disk_gib.map(|size| EphemeralStorage::builder().size_in_gib(as_i32(size)).build());
    let tags = site.owner.tags(address).into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
    let tags: Vec<Tag> = tags.collect();
    let registered = patiently(async || {
        let request = site.clients.ecs.register_task_definition().family(&family).network_mode(NetworkMode::Awsvpc);
        let request = request.requires_compatibilities(Compatibility::Fargate);
        let request = request.cpu(spec.cpu.to_string()).memory(spec.memory_mib.to_string());
        let request = request.task_role_arn(&spec.task_role).execution_role_arn(&spec.execution_role);
        let request = request.container_definitions(container.clone()).runtime_platform(platform.clone());
        let request = request.set_ephemeral_storage(storage.clone()).set_tags(Some(tags.clone()));
        request.send().await.map_err(failed("ecs:RegisterTaskDefinition", &family))
    });
    blaming(&spec.task_role, registered.await)?;
    Ok(())
}

/// Removes all revisions of a family. What is only taken out of use would stay listed, with its tags, for ever.
pub(super) async fn delete(site: &Site, address: &ResourceAddress, family: &str) -> Result<(), AwsError> {
    match active(site, family).await? {
        Some((_, Ownership::Foreign)) => return Err(AwsError::Foreign { what: WHAT, name: family.to_owned() }),
        Some((_, Ownership::Ours(Some(other)))) if other != *address => return Ok(()),
        Some((_, Ownership::Ours(_))) | None => {}
    }
    for revision in revisions(site, family, TaskDefinitionStatus::Active).await? {
        patiently(async || {
            let request = site.clients.ecs.deregister_task_definition().task_definition(&revision);
            request.send().await.map_err(failed("ecs:DeregisterTaskDefinition", &revision))
        })
        .await?;
    }
    let mut unused = Vec::new();
    for revision in revisions(site, family, TaskDefinitionStatus::Inactive).await? {
        if describe(site, &revision).await?.is_some_and(|(_, owned)| owned != Ownership::Foreign) {
            unused.push(revision);
        }
    }
    erase(site, family, &unused).await
}

/// The ARNs of a family's revisions.
async fn revisions(site: &Site, family: &str, status: TaskDefinitionStatus) -> Result<Vec<String>, AwsError> {
    let request = site.clients.ecs.list_task_definitions().family_prefix(family).status(status);
    let mut pages = request.into_paginator().send();
    let mut revisions = Vec::new();
    while let Some(page) = pages.try_next().await.map_err(failed("ecs:ListTaskDefinitions", family))? {
        let found = page.task_definition_arns.unwrap_or_default();
        revisions.extend(found.into_iter().filter(|arn| family_of(arn) == Some(family)));
    }
    Ok(revisions)
}

/// Deletes revisions that are out of use. Tasks that still run keep theirs until they end: it is enough that AWS took the
/// request.
async fn erase(site: &Site, family: &str, revisions: &[String]) -> Result<(), AwsError> {
    for some in revisions.chunks(MAX_DELETED) {
        let answer = patiently(async || {
            let request = site.clients.ecs.delete_task_definitions().set_task_definitions(Some(some.to_vec()));
            request.send().await.map_err(failed("ecs:DeleteTaskDefinitions", family))
        });
        let answer = answer.await?;
        let is_gone = |failure: &&Failure| failure.reason().is_some_and(|reason| reason.contains("NOT_FOUND"));
        if let Some(failure) = answer.failures().iter().find(|failure| !is_gone(failure)) {
            return Err(AwsError::Unusable {
                what: WHAT,
                name: failure.arn().unwrap_or(family).to_owned(),
                state: "not deleted".to_owned(),
                reason: failure.reason().map(str::to_owned),
            });
        }
    }
    Ok(())
}

/// All families with a revision in use whose names begin with a prefix.
pub(super) async fn list(site: &Site, prefix: &str) -> Result<Vec<String>, AwsError> {
    let request = site.clients.ecs.list_task_definition_families().family_prefix(prefix);
    let mut pages = request.status(TaskDefinitionFamilyStatus::Active).into_paginator().send();
    let mut families = Vec::new();
    while let Some(page) = pages.try_next().await.map_err(failed("ecs:ListTaskDefinitionFamilies", prefix))? {
        families.extend(page.families.unwrap_or_default());
    }
    Ok(families)
}

/// Whose a family is; none when it has no revision in use.
pub(super) async fn owner(site: &Site, family: &str) -> Result<Option<Ownership>, AwsError> {
    Ok(active(site, family).await?.map(|(_, owned)| owned))
}

/// Where the active revision differs from its document; none when there is none of ours.
pub(super) async fn inspect(site: &Site, spec: &TaskSpec) -> Result<Option<Vec<FieldDrift>>, AwsError> {
    let found = active(site, &spec.family()).await?.filter(|(_, owned)| *owned != Ownership::Foreign);
    Ok(found.map(|(found, _)| drift(site, spec, &found)))
}

fn drift(site: &Site, spec: &TaskSpec, found: &TaskDefinition) -> Vec<FieldDrift> {
    let mut comparison = Comparison::default();
    comparison.optional("cpu", spec.cpu, found.cpu());
    comparison.optional("memory", spec.memory_mib, found.memory());
    comparison.optional("task role", &spec.task_role, found.task_role_arn());
    comparison.optional("execution role", &spec.execution_role, found.execution_role_arn());
    let size = |size: Option<i64>| size.map_or_else(|| "as every task has".to_owned(), |size| size.to_string());
    let storage = found.ephemeral_storage().map(|storage| i64::from(storage.size_in_gib()));
    comparison.field("disk", size(spec.disk_gib.map(i64::from)), size(storage));
    if let Some(found) = found.runtime_platform().and_then(RuntimePlatform::cpu_architecture) {
        comparison.field("arch", architecture(spec.arch).as_str(), found.as_str());
    }
    let containers = found.container_definitions();
    let Some(container) = containers.iter().find(|container| container.name() == Some(TASK_CONTAINER)) else {
        comparison.field("container", TASK_CONTAINER, "nothing");
        return comparison.finish();
    };
    comparison.field("containers", 1, containers.len());
    comparison.optional("image", &spec.image, container.image());
    comparison.field("entry point", ENTRY_POINT, container.entry_point().join(" "));
    comparison.field("command", COMMAND, container.command().join(" "));
    let variables: BTreeMap<String, String> = container
        .environment()
        .iter()
        .filter_map(|pair| Some((pair.name()?.to_owned(), pair.value()?.to_owned())))
        .collect();
    if variables != spec.environment {
        comparison.field("environment", "the variables of the document", "others");
    }
    let logs = container.log_configuration().and_then(LogConfiguration::options);
    let logs: BTreeMap<&str, &str> =
        logs.into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let wanted = log_options(site, spec);
    comparison.field("logs", format!("{wanted:?}"), format!("{logs:?}"));
    comparison.finish()
}

fn container(site: &Site, spec: &TaskSpec) -> Result<ContainerDefinition, AwsError> {
    let mut logs = LogConfiguration::builder().log_driver(LogDriver::Awslogs);
    for (key, value) in log_options(site, spec) {
        logs = logs.options(key, value);
    }
    let logs = logs.build().map_err(|error| AwsError::request("ecs:RegisterTaskDefinition", &spec.family(), error))?;
    let variables = spec.environment.iter();
    let variables = variables.map(|(name, value)| KeyValuePair::builder().name(name).value(value).build());
    let container = ContainerDefinition::builder().name(TASK_CONTAINER).image(&spec.image).essential(true);
    let container = container.entry_point(ENTRY_POINT).command(COMMAND).stop_timeout(STOP_TIMEOUT_SECONDS);
    Ok(container.set_environment(Some(variables.collect())).log_configuration(logs).build())
}

fn log_options<'a>(site: &'a Site, spec: &'a TaskSpec) -> BTreeMap<&'a str, &'a str> {
    BTreeMap::from([
        ("awslogs-group", spec.log_group.as_str()),
        ("awslogs-region", site.place.region.as_str()),
        ("awslogs-stream-prefix", TASK_CONTAINER),
    ])
}

/// The newest active revision of a family.
async fn active(site: &Site, family: &str) -> Result<Option<(TaskDefinition, Ownership)>, AwsError> {
    let found = describe(site, family).await?;
    Ok(found.filter(|(found, _)| matches!(found.status(), None | Some(TaskDefinitionStatus::Active))))
}

/// A revision by its ARN, or the newest active one of a family.
async fn describe(site: &Site, name: &str) -> Result<Option<(TaskDefinition, Ownership)>, AwsError> {
    let request = site.clients.ecs.describe_task_definition().task_definition(name).include(TaskDefinitionField::Tags);
    let answer = match request.send().await.map_err(failed("ecs:DescribeTaskDefinition", name)) {
        Ok(answer) => answer,
        // What ECS says of a family that it does not know.
        Err(error)
            if error.is(&["ClientException", "InvalidParameterException"])
                && error.message.contains("ask definition") =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let tags = answer.tags.unwrap_or_default();
    let owned = site.owner.ownership(tags.iter().filter_map(|tag| Some((tag.key()?, tag.value()?))));
    Ok(answer.task_definition.map(|found| (found, owned)))
}

/// The family in `arn:aws:ecs:region:account:task-definition/family:revision`.
fn family_of(arn: &str) -> Option<&str> {
    arn.rsplit('/').next()?.split(':').next()
}

const fn architecture(arch: Arch) -> CpuArchitecture {
    match arch {
        Arch::X86_64 => CpuArchitecture::X8664,
        Arch::Arm64 => CpuArchitecture::Arm64,
    }
}

fn as_i32(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
