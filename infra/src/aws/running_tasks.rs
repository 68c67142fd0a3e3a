//! The Fargate tasks that liminal started and that run now: for whoever carries them out where AWS does not.

use std::collections::BTreeMap;

use liminal_schemas::aws::names::TASK_CONTAINER;
use liminal_schemas::aws::variables;

use super::clients::Clients;
use super::error::AwsError;
use super::error::failed;
use super::site::Site;
use super::tags::Owner;

/// A task that runs, as far as the service knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningTask {
    /// The task, by ARN.
    pub arn: String,
    /// What its container is told to do.
    pub command: Vec<String>,
    /// The variables of its container.
    pub environment: BTreeMap<String, String>,
}

/// The tasks of an environment that run in a cluster, whoever carries them out. A cluster that is not there has none.
///
/// # Errors
/// When the service can not be asked.
pub async fn running_tasks(site: &Site, cluster: &str) -> Result<Vec<RunningTask>, AwsError> {
    let clients = &site.clients;
    let mut arns = Vec::new();
    let mut pages = clients.ecs.list_tasks().cluster(cluster).into_paginator().send();
    while let Some(page) = pages.next().await {
        match page.map_err(failed("ecs:ListTasks", cluster)) {
            Ok(page) => arns.extend(page.task_arns.unwrap_or_default()),
            Err(error) if error.is(&["ClusterNotFoundException"]) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
    }
    let mut tasks = Vec::new();
    let mut definitions: BTreeMap<String, Container> = BTreeMap::new();
    for arns in arns.chunks(MOST_DESCRIBED) {
        let described = clients.ecs.describe_tasks().cluster(cluster).set_tasks(Some(arns.to_vec())).send().await;
        let described = described.map_err(failed("ecs:DescribeTasks", cluster))?;
        for task in described.tasks.unwrap_or_default() {
            let (Some(arn), Some(definition)) = (task.task_arn, task.task_definition_arn) else { continue };
            if task.last_status.as_deref() == Some("STOPPED") {
                continue;
            }
            if !definitions.contains_key(&definition) {
                definitions.insert(definition.clone(), container(clients, &definition).await?);
            }
            let mut container = definitions.get(&definition).cloned().unwrap_or_default();
            if !container.serves(&site.owner) {
                continue;
            }
            let overrides = task.overrides.and_then(|overrides| overrides.container_overrides).unwrap_or_default();
            for own in overrides.into_iter().filter(|own| own.name.as_deref() == Some(TASK_CONTAINER)) {
                container.command = own.command.unwrap_or(container.command);
                container.environment.extend(own.environment.unwrap_or_default().into_iter().filter_map(pair));
            }
            tasks.push(RunningTask { arn, command: container.command, environment: container.environment });
        }
    }
    Ok(tasks)
}

/// How many tasks are described at once (ecs, DescribeTasks).
const MOST_DESCRIBED: usize = 100;

#[derive(Clone, Debug, Default)]
struct Container {
    command: Vec<String>,
    environment: BTreeMap<String, String>,
}

impl Container {
    /// Whether it is one of ours: others share the cluster.
    fn serves(&self, owner: &Owner) -> bool {
        let is = |name: &str, value: &str| self.environment.get(name).is_some_and(|found| found == value);
        is(variables::PROJECT, owner.project.as_str()) && is(variables::ENVIRONMENT, owner.environment.as_str())
    }
}

async fn container(clients: &Clients, definition: &str) -> Result<Container, AwsError> {
    let described = clients.ecs.describe_task_definition().task_definition(definition).send().await;
    let described = described.map_err(failed("ecs:DescribeTaskDefinition", definition))?;
    let containers = described.task_definition.and_then(|found| found.container_definitions).unwrap_or_default();
    let container = containers.into_iter().find(|container| container.name.as_deref() == Some(TASK_CONTAINER));
    let Some(container) = container else { return Ok(Container::default()) };
    Ok(Container {
        command: container.command.unwrap_or_default(),
        environment: container.environment.unwrap_or_default().into_iter().filter_map(pair).collect(),
    })
}

fn pair(variable: aws_sdk_ecs::types::KeyValuePair) -> Option<(String, String)> {
    variable.name.zip(variable.value)
}

/// Stops a task, so that the service knows that it has ended.
///
/// # Errors
/// When the service refuses.
pub async fn stop_task(site: &Site, cluster: &str, arn: &str, reason: &str) -> Result<(), AwsError> {
    let stopped = site.clients.ecs.stop_task().cluster(cluster).task(arn).reason(reason).send().await;
    stopped.map_err(failed("ecs:StopTask", arn))?;
    Ok(())
}
