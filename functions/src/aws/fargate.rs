//! Starts the Fargate task that carries out an attempt. The task is asked for with a token that is made from the attempt, so
//! that however often it is asked for, one is started.

use std::time::Duration;

use aws_sdk_ecs::types::AssignPublicIp;
use aws_sdk_ecs::types::AwsVpcConfiguration;
use aws_sdk_ecs::types::ContainerOverride;
use aws_sdk_ecs::types::LaunchType;
use aws_sdk_ecs::types::NetworkConfiguration;
use aws_sdk_ecs::types::TaskOverride;
use liminal_schemas::aws::names::TASK_CONTAINER;
use liminal_schemas::aws::variables;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::run::Failure;
use liminal_schemas::step::FailureClass;

use super::clients::Clients;
use super::console;
use super::environment::Served;
use super::environment::VariableError;
use super::environment::Variables;
use super::error::AwsError;
use super::error::explain;
use crate::causes::in_full;
use crate::clock::SystemClock;
use crate::executor::AttemptJob;
use crate::executor::AttemptOutcome;
use crate::executor::Executor;
use crate::ports::Clock as _;
use crate::protocol::attempt::failure;
use crate::runner::AttemptName;
use crate::task_command;

/// How long a task may take to start: an address, an image of some GB and the bundle. Fargate itself needs a minute or two.
pub const START_UP: Duration = Duration::from_secs(15 * 60);

/// How often a task is asked for before the attempt fails.
const TRIES: u32 = 5;

/// The pause before a task is asked for again, doubled each time: some fifteen seconds altogether, while the dispatcher waits.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// What a dispatcher is told of the tasks that it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSettings {
    /// The cluster.
    pub cluster: String,
    /// The family of the task definition: its newest revision counts, and there is one.
    pub task_definition: String,
    /// The subnets.
    pub subnets: Vec<String>,
    /// The security groups; those of the network where there are none.
    pub security_groups: Vec<String>,
    /// Whether tasks get a public address.
    pub public_ip: bool,
}

impl TaskSettings {
    /// What the variables of a dispatcher say.
    ///
    /// # Errors
    /// When one is missing.
    pub fn from_variables(given: &Variables) -> Result<Self, VariableError> {
        let list = |name: &str| {
            given.get(name).unwrap_or_default().split(',').filter(|one| !one.is_empty()).map(str::to_owned).collect()
        };
        Ok(Self {
            cluster: given.required(variables::CLUSTER)?.to_owned(),
            task_definition: given.required(variables::TASK_DEFINITION)?.to_owned(),
            subnets: list(variables::SUBNETS),
            security_groups: list(variables::SECURITY_GROUPS),
            public_ip: given.get(variables::PUBLIC_IP) == Some("true"),
        })
    }
}

/// Hands attempts to Fargate tasks.
#[derive(Clone, Debug)]
pub struct FargateExecutor {
    client: aws_sdk_ecs::Client,
    project: ProjectName,
    environment: EnvironmentName,
    settings: TaskSettings,
    first_pause: Duration,
}

/// What came of asking for a task.
enum Asked {
    /// It starts, or was started before.
    Started(String),
    /// It was started before, with other settings than now.
    StartedBefore(String),
    /// There is no room for it now: ECS answers with success, and with the reason.
    NoRoom(String),
}

impl FargateExecutor {
    /// An executor for the attempts of one step.
    pub fn new(clients: &Clients, served: &Served, settings: TaskSettings) -> Self {
        let client = aws_sdk_ecs::Client::new(clients.sdk());
        let (project, environment) = (served.project.clone(), served.environment.clone());
        Self { client, project, environment, settings, first_pause: FIRST_PAUSE }
    }

    /// The same, with other pauses between tries.
    #[must_use]
    pub fn pausing(mut self, first_pause: Duration) -> Self {
        self.first_pause = first_pause;
        self
    }

    /// Starts the task of an attempt. Tells its ARN.
    async fn start(&self, name: &AttemptName) -> Result<String, Failure> {
        let token = task_command::token(&self.project, &self.environment, name);
        let mut pause = self.first_pause;
        let mut tries = 1;
        loop {
            let failed = match self.ask(name, &token).await {
                Ok(Asked::Started(task) | Asked::StartedBefore(task)) => return Ok(task),
                Ok(Asked::NoRoom(reason)) => {
                    failure(FailureClass::Throttled, format!("Fargate has no room for the task: {reason}"))
                }
                Err(error) => {
                    let failed = failure_of(&error);
                    match failed.class {
                        FailureClass::Throttled => failed,
                        FailureClass::Infrastructure if may_pass(&error) => failed,
                        FailureClass::Infrastructure
                        | FailureClass::User
                        | FailureClass::Timeout
                        | FailureClass::Poison
                        | FailureClass::Cancelled => return Err(failed),
                    }
                }
            };
            if tries == TRIES {
                return Err(failed);
            }
            tries += 1;
            SystemClock.sleep(pause).await;
            pause *= 2;
        }
    }

    async fn ask(&self, name: &AttemptName, token: &str) -> Result<Asked, AwsError> {
        let command = task_command::arguments(name);
        let container = ContainerOverride::builder().name(TASK_CONTAINER).set_command(Some(command)).build();
        let request = self
            .client
            .run_task()
            .cluster(&self.settings.cluster)
            .task_definition(&self.settings.task_definition)
            .launch_type(LaunchType::Fargate)
            .count(1)
            .client_token(token)
            .started_by(task_command::started_by(token))
            .overrides(TaskOverride::builder().container_overrides(container).build())
            .set_network_configuration(self.network());
        match request.send().await {
            Ok(output) => {
                let task = output.tasks().first().map(|task| task.task_arn().unwrap_or_default().to_owned());
                Ok(task.map_or_else(
                    || {
                        let reasons = output.failures().iter().map(|failure| {
                            let parts = [failure.reason(), failure.detail()];
                            parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
                        });
                        Asked::NoRoom(reasons.collect::<Vec<_>>().join("; "))
                    },
                    Asked::Started,
                ))
            }
            Err(error) => {
                let conflict = error.as_service_error().and_then(|error| match error {
                    aws_sdk_ecs::operation::run_task::RunTaskError::ConflictException(conflict) => {
                        Some(conflict.resource_ids().join(", "))
                    }
                    _ => None,
                });
                match conflict {
                    Some(task) => Ok(Asked::StartedBefore(task)),
                    None => Err(explain("RunTask")(error)),
                }
            }
        }
    }

    fn network(&self) -> Option<NetworkConfiguration> {
        if self.settings.subnets.is_empty() {
            return None;
        }
        let public = if self.settings.public_ip { AssignPublicIp::Enabled } else { AssignPublicIp::Disabled };
        let groups = Some(self.settings.security_groups.clone()).filter(|groups| !groups.is_empty());
        let vpc = AwsVpcConfiguration::builder()
            .set_subnets(Some(self.settings.subnets.clone()))
            .set_security_groups(groups)
            .assign_public_ip(public)
            .build();
        // It lacks nothing that is required, or the service says so.
        vpc.ok().map(|vpc| NetworkConfiguration::builder().awsvpc_configuration(vpc).build())
    }
}

impl Executor for FargateExecutor {
    async fn execute(&self, job: AttemptJob) -> AttemptOutcome {
        let name = AttemptName { pipeline: job.pipeline, run: job.run, unit: job.unit, attempt: job.attempt };
        match self.start(&name).await {
            Ok(task) => {
                console::say(&format!("{}: attempt {} is carried out by task {task}", name.unit, name.attempt));
                AttemptOutcome::Handed
            }
            Err(failed) => AttemptOutcome::Failed(failed),
        }
    }

    fn start_up(&self) -> Duration {
        START_UP
    }
}

/// Whether a refusal may be gone in some seconds.
fn may_pass(error: &AwsError) -> bool {
    match error.refusal() {
        Some((status, _)) => status >= 500,
        // No answer: the task may have been started, and the token keeps it at one.
        None => !error.is_about_credentials(),
    }
}

/// The failure of an attempt whose task could not be started.
fn failure_of(error: &AwsError) -> Failure {
    let said = in_full(error);
    let no_room = error.is_throttling() || said.contains("Capacity is unavailable");
    let never =
        ["InvalidParameterException", "UnsupportedFeatureException", "PlatformTaskDefinitionIncompatibilityException"];
    let class = if no_room {
        FailureClass::Throttled
    } else if never.iter().any(|code| error.is_code(code)) {
        FailureClass::Poison
    } else {
        FailureClass::Infrastructure
    };
    failure(class, format!("the task could not be started: {said}"))
}
