//! Documents of each kind, as small as they can be.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_infra::ports::Resources as _;
use liminal_schemas::aws::Arch;
use liminal_schemas::aws::names;
use liminal_schemas::aws::policy::Statement;
use liminal_schemas::aws::resource::BundleSpec;
use liminal_schemas::aws::resource::FunctionSpec;
use liminal_schemas::aws::resource::KeyFilter;
use liminal_schemas::aws::resource::LogsSpec;
use liminal_schemas::aws::resource::MappingSpec;
use liminal_schemas::aws::resource::NotificationSpec;
use liminal_schemas::aws::resource::QueueSpec;
use liminal_schemas::aws::resource::ResourceSpec;
use liminal_schemas::aws::resource::RoleSpec;
use liminal_schemas::aws::resource::RuleSpec;
use liminal_schemas::aws::resource::ScheduleSpec;
use liminal_schemas::aws::resource::TaskSpec;
use liminal_schemas::state::ResourceAddress;

use crate::world::World;

/// All that a step on Lambda and one on Fargate need.
pub(crate) struct Everything {
    pub(crate) bundle: ResourceAddress,
    pub(crate) role: ResourceAddress,
    pub(crate) logs: ResourceAddress,
    pub(crate) queue: ResourceAddress,
    pub(crate) function: ResourceAddress,
    pub(crate) mapping: ResourceAddress,
    pub(crate) task: ResourceAddress,
    pub(crate) triggers: ResourceAddress,
    pub(crate) schedule: ResourceAddress,
    pub(crate) notification: ResourceAddress,
    pub(crate) rule: ResourceAddress,
}

impl Everything {
    /// The documents of an environment, one of each kind.
    pub(crate) fn of(world: &mut World) -> Self {
        let bundle = world.add(bundle());
        let role_spec = role(world, "lambda.amazonaws.com");
        let role_arn = role_arn(world, &role_spec);
        let role = world.add(ResourceSpec::Role(role_spec));
        let log_group = format!("/liminal/{}/dev/train/fit", world.project());
        let logs = world.add(ResourceSpec::Logs(LogsSpec { name: log_group.clone(), retention_days: 30 }));
        let queue_spec = queue(world, "train-fit");
        let queue = world.add(ResourceSpec::Queue(queue_spec.clone()));
        let function_spec = function(world, &bundle, &role_arn, &log_group);
        let function = world.add(ResourceSpec::Function(Box::new(function_spec.clone())));
        let mapping = MappingSpec { queue: queue_spec.name, function: function_spec.name(), max_concurrency: Some(5) };
        let mapping = world.add(ResourceSpec::Mapping(mapping));
        let task = task(world, &bundle, &role_arn, &log_group);
        let task = world.add(ResourceSpec::Task(Box::new(task)));
        let trigger_queue = trigger_queue(world);
        let triggers = world.add(ResourceSpec::Queue(trigger_queue.clone()));
        let parts = vec![world.project().to_owned(), "dev".to_owned(), "sweep".to_owned()];
        let schedule = world.add(ResourceSpec::Schedule(ScheduleSpec {
            name_parts: parts.clone(),
            expression: "rate(1 minute)".to_owned(),
            timezone: "UTC".to_owned(),
            queue: trigger_queue.name.clone(),
            role: role_arn,
            message: r#"{"liminal":"sweep"}"#.to_owned(),
        }));
        let notification = world.add(ResourceSpec::Notification(notification(world, &["in/"])));
        let rule = world.add(ResourceSpec::Rule(RuleSpec {
            name_parts: parts,
            pattern: r#"{"source":["aws.ecs"],"detail-type":["ECS Task State Change"]}"#.to_owned(),
            queue: trigger_queue.name,
        }));
        Self { bundle, role, logs, queue, function, mapping, task, triggers, schedule, notification, rule }
    }

    /// The addresses, each after what it needs.
    pub(crate) fn in_order(&self) -> Vec<&ResourceAddress> {
        vec![
            &self.role,
            &self.logs,
            &self.queue,
            &self.triggers,
            &self.bundle,
            &self.function,
            &self.task,
            &self.mapping,
            &self.schedule,
            &self.notification,
            &self.rule,
        ]
    }

    /// Makes all of them.
    pub(crate) async fn make(&self, world: &World) {
        for address in self.in_order() {
            world.resources().create(address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
        }
    }
}

pub(crate) fn bundle() -> ResourceSpec {
    ResourceSpec::Bundle(BundleSpec {
        package: None,
        python: Some("3.11".to_owned()),
        runner: None,
        arch: Arch::X86_64,
        packer: 1,
    })
}

pub(crate) fn role(world: &World, service: &str) -> RoleSpec {
    RoleSpec {
        path: names::role_path(&world.site.owner.project, &world.site.owner.environment),
        name_parts: vec![world.project().to_owned(), "dev".to_owned(), "train".to_owned(), "fit".to_owned()],
        service: service.to_owned(),
        account: world.site.place.account.clone(),
        boundary: None,
        statements: vec![Statement {
            sid: "ReadInputs".to_owned(),
            actions: BTreeSet::from(["s3:GetObject".to_owned()]),
            resources: BTreeSet::from([format!("arn:aws:s3:::{}/{}/dev/*", world.site.place.bucket, world.project())]),
            conditions: BTreeMap::new(),
        }],
    }
}

pub(crate) fn role_arn(world: &World, spec: &RoleSpec) -> String {
    names::role_arn(&world.site.place, &spec.path, &spec.name())
}

pub(crate) fn queue(world: &World, name: &str) -> QueueSpec {
    QueueSpec {
        name: format!("liminal-{}-dev-{name}-01234567", world.project()),
        visibility_seconds: 360,
        max_receives: 5,
        senders: BTreeMap::new(),
    }
}

pub(crate) fn trigger_queue(world: &World) -> QueueSpec {
    let bucket = BTreeSet::from([format!("arn:aws:s3:::{}", world.site.place.bucket)]);
    QueueSpec {
        name: names::trigger_queue(&world.site.owner.project, &world.site.owner.environment),
        visibility_seconds: 360,
        max_receives: 5,
        senders: BTreeMap::from([("s3.amazonaws.com".to_owned(), bucket)]),
    }
}

pub(crate) fn function(world: &World, bundle: &ResourceAddress, role: &str, log_group: &str) -> FunctionSpec {
    FunctionSpec {
        lasting_name: None,
        name_parts: vec![world.project().to_owned(), "dev".to_owned(), "train".to_owned(), "fit".to_owned()],
        runtime: "python3.11".to_owned(),
        handler: "liminal_handler.handle".to_owned(),
        bundle: bundle.clone(),
        role: role.to_owned(),
        memory_mib: 512,
        disk_mib: 1024,
        timeout_seconds: 60,
        arch: Arch::X86_64,
        environment: BTreeMap::from([("LIMINAL_MODE".to_owned(), "step".to_owned())]),
        log_group: log_group.to_owned(),
    }
}

pub(crate) fn task(world: &World, bundle: &ResourceAddress, role: &str, log_group: &str) -> TaskSpec {
    TaskSpec {
        family_parts: vec![world.project().to_owned(), "dev".to_owned(), "train".to_owned(), "tune".to_owned()],
        image: "public.ecr.aws/docker/library/python:3.11".to_owned(),
        bundle: bundle.clone(),
        cpu: 1024,
        memory_mib: 2048,
        disk_gib: Some(50),
        arch: Arch::X86_64,
        task_role: role.to_owned(),
        execution_role: role.to_owned(),
        environment: BTreeMap::from([("LIMINAL_PROJECT".to_owned(), world.project().to_owned())]),
        log_group: log_group.to_owned(),
    }
}

pub(crate) fn notification(world: &World, prefixes: &[&str]) -> NotificationSpec {
    let filter =
        |prefix: &&str| KeyFilter { prefix: format!("{}/{prefix}", world.project()), suffix: ".csv".to_owned() };
    NotificationSpec {
        bucket: world.site.place.bucket.clone(),
        id_prefix: format!("liminal-{}-dev-", world.project()),
        queue: trigger_queue(world).name,
        filters: prefixes.iter().map(filter).collect(),
    }
}
