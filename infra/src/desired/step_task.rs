//! A step on Fargate: a task definition that carries its attempts out, and a small function that starts tasks.

use std::collections::BTreeSet;

use liminal_schemas::aws::AwsSpec;
use liminal_schemas::aws::image::EcrImage;
use liminal_schemas::aws::limits::PROVIDED_RUNTIME;
use liminal_schemas::aws::names;
use liminal_schemas::aws::placement;
use liminal_schemas::aws::policy::Statement;
use liminal_schemas::aws::resource::BundleSpec;
use liminal_schemas::aws::resource::FunctionSpec;
use liminal_schemas::aws::resource::ResourceSpec;
use liminal_schemas::aws::resource::RoleSpec;
use liminal_schemas::aws::resource::TaskSpec;
use liminal_schemas::aws::runtime::BUNDLE_PACKER;
use liminal_schemas::aws::runtime::PROVIDED_HANDLER;
use liminal_schemas::aws::runtime::managed_python;
use liminal_schemas::aws::variables;
use liminal_schemas::state::ResourceAddress;

use super::AwsInput;
use super::ResourceSet;
use super::Scope;
use super::scope::cluster_arn;
use super::statements;
use super::statements::allow;
use super::statements::only_if;
use super::step::Common;
use super::step::StepInput;
use super::step_function::LAMBDA;

/// The service that tasks' roles are for.
const TASKS: &str = "ecs-tasks.amazonaws.com";

/// Memory of a function that only starts tasks, in MiB: it reads some records and makes one call.
const DISPATCHER_MEMORY_MIB: u32 = 512;

/// Space below `/tmp` of such a function, in MiB: the least there is, since it keeps no file.
const DISPATCHER_DISK_MIB: u32 = 512;

/// How long such a function may take, in seconds: it settles what needs no process, which may be many steps.
const DISPATCHER_TIMEOUT_SECONDS: u32 = 120;

/// The cluster of an environment's tasks: a name or an ARN.
pub(super) fn cluster(spec: &AwsSpec) -> &str {
    spec.fargate.cluster.as_deref().unwrap_or(names::DEFAULT_CLUSTER)
}

/// The bundle that holds nothing but a runner.
pub(super) fn runner_bundle(input: &AwsInput<'_>) -> BundleSpec {
    BundleSpec { package: None, python: None, runner: Some(input.runner), arch: input.spec.arch, packer: BUNDLE_PACKER }
}

impl StepInput<'_> {
    /// Adds what the step needs on Fargate.
    pub(super) fn add_task(&self, set: &mut ResourceSet, common: &Common) {
        let scope = self.scope;
        let (task_role, execution_role) = (self.task_role(common), self.execution_role(common));
        let (task_role_arn, execution_role_arn) = (scope.role_arn(&task_role), scope.role_arn(&execution_role));
        let task_role = set.add(ResourceSpec::Role(task_role), [], Some(&common.served));
        let execution_role = set.add(ResourceSpec::Role(execution_role), [], Some(&common.served));
        let bundle = self.add_bundle(set, common, None);
        // What does not fit was refused when the step was placed.
        let (cpu, memory_mib) = placement::fargate_size(self.spec).unwrap_or((1024, 2048));
        let mut environment = self.variables(None);
        environment.insert(variables::BUNDLE.to_owned(), bundle.digest.hex().to_owned());
        let task = TaskSpec {
            family_parts: scope.parts(&[self.pipeline.as_str(), self.step.as_str()]),
            image: self.image(common),
            bundle: bundle.clone(),
            cpu,
            memory_mib,
            disk_gib: placement::fargate_disk_gib(self.spec),
            arch: self.input.spec.arch,
            task_role: task_role_arn.clone(),
            execution_role: execution_role_arn.clone(),
            environment,
            log_group: common.log_group.clone(),
        };
        let family = task.family();
        let needs = [bundle, task_role, execution_role, common.logs.clone()];
        let task = set.add(ResourceSpec::Task(Box::new(task)), needs, Some(&common.served));
        self.add_dispatcher(set, common, (task, family), [task_role_arn, execution_role_arn]);
    }

    fn add_dispatcher(
        &self,
        set: &mut ResourceSet,
        common: &Common,
        (task, family): (ResourceAddress, String),
        passed_roles: [String; 2],
    ) {
        let scope = self.scope;
        let parts = [self.pipeline.as_str(), self.step.as_str(), "dispatch"];
        let role = statements::role(scope, &parts, LAMBDA, self.dispatcher_statements(common, passed_roles));
        let role_arn = scope.role_arn(&role);
        let role = set.add(ResourceSpec::Role(role), [], Some(&common.served));
        let bundle = set.add(ResourceSpec::Bundle(runner_bundle(self.input)), [], None);
        let fargate = &self.input.spec.fargate;
        let mut environment = self.variables(Some(variables::MODE_DISPATCH));
        environment.extend([
            (variables::CLUSTER.to_owned(), cluster(self.input.spec).to_owned()),
            (variables::TASK_DEFINITION.to_owned(), family),
            (variables::SUBNETS.to_owned(), fargate.subnets.join(",")),
            (variables::SECURITY_GROUPS.to_owned(), fargate.security_groups.join(",")),
            (variables::PUBLIC_IP.to_owned(), fargate.public_ip.to_string()),
        ]);
        let function = FunctionSpec {
            name_parts: scope.parts(&parts),
            lasting_name: None,
            runtime: PROVIDED_RUNTIME.to_owned(),
            handler: PROVIDED_HANDLER.to_owned(),
            bundle: bundle.clone(),
            role: role_arn,
            memory_mib: DISPATCHER_MEMORY_MIB,
            disk_mib: DISPATCHER_DISK_MIB,
            timeout_seconds: DISPATCHER_TIMEOUT_SECONDS,
            arch: self.input.spec.arch,
            environment,
            log_group: common.log_group.clone(),
        };
        let name = function.name();
        let needs = [bundle, role, task, common.logs.clone()];
        let function = set.add(ResourceSpec::Function(Box::new(function)), needs, Some(&common.served));
        self.add_queue(set, common, (function, name, DISPATCHER_TIMEOUT_SECONDS), None);
    }

    fn dispatcher_statements(&self, common: &Common, passed_roles: [String; 2]) -> Vec<Statement> {
        let scope = self.scope;
        let mut allowed = self.protocol();
        allowed.push(statements::receive(scope.step_queues_arn(self.pipeline, self.step)));
        let cluster = cluster_arn(scope.place, cluster(self.input.spec));
        let run = allow("RunTasks", &["ecs:RunTask"], [self.task_definitions()]);
        allowed.push(only_if(run, "ArnEquals", "ecs:cluster", BTreeSet::from([cluster])));
        let pass = allow("PassRoles", &["iam:PassRole"], passed_roles);
        allowed.push(only_if(pass, "StringEquals", "iam:PassedToService", BTreeSet::from([TASKS.to_owned()])));
        allowed.push(statements::log(scope, &common.log_group));
        allowed
    }

    /// The ARN of the step's task definitions, whatever their digests and revisions.
    fn task_definitions(&self) -> String {
        let scope = self.scope;
        let parts = [scope.project.as_str(), scope.environment.as_str(), self.pipeline.as_str(), self.step.as_str()];
        let family = names::pattern(&parts, names::MAX_NAME);
        names::arn(scope.place, "ecs", &format!("task-definition/{family}"))
    }

    fn task_role(&self, common: &Common) -> RoleSpec {
        let scope = self.scope;
        let mut allowed = self.protocol();
        allowed.extend(self.attempts_access(&["packages/*.json", "bundles/*"]));
        allowed.extend(common.secrets.iter().cloned());
        statements::role(scope, &[self.pipeline.as_str(), self.step.as_str(), "task"], TASKS, allowed)
    }

    /// The role of the agent that pulls the image and writes what the task prints.
    fn execution_role(&self, common: &Common) -> RoleSpec {
        let scope = self.scope;
        let mut allowed = vec![statements::log(scope, &common.log_group)];
        allowed.extend(image_statements(scope, &self.image(common)));
        statements::role(scope, &[self.pipeline.as_str(), self.step.as_str(), "execution"], TASKS, allowed)
    }

    /// The image: the step's, the environment's, or the base image for its Python version. Steps without Python run in
    /// the one with the newest.
    fn image(&self, common: &Common) -> String {
        let named = self.spec.image.as_ref().or(self.input.spec.fargate.image.as_ref());
        named.cloned().unwrap_or_else(|| {
            let version = common.python.clone().or_else(|| managed_python(None).ok()).unwrap_or_default();
            names::default_image(self.scope.place, &format!("python{version}"))
        })
    }
}

/// What pulling an image needs. Repositories elsewhere than in ECR know nothing of roles.
fn image_statements(scope: Scope<'_>, image: &str) -> Vec<Statement> {
    let Some(EcrImage { account, region, repository, version: _ }) = EcrImage::parse(image) else { return Vec::new() };
    let arn = format!("arn:{}:ecr:{region}:{account}:repository/{repository}", scope.place.partition);
    let pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"];
    vec![
        // IAM knows no resources for this action.
        allow("LogInToImages", &["ecr:GetAuthorizationToken"], ["*".to_owned()]),
        allow("PullImage", &pull, [arn]),
    ]
}
