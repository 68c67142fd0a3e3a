//! Tasks are asked for with a token, however often it takes, and one is started. The answers are those that ECS documents
//! and that no emulator gives.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use liminal_functions::aws::environment::Served;
use liminal_functions::aws::fargate::FargateExecutor;
use liminal_functions::aws::fargate::START_UP;
use liminal_functions::aws::fargate::TaskSettings;
use liminal_functions::aws::place::Place;
use liminal_functions::executor::AttemptJob;
use liminal_functions::executor::AttemptOutcome;
use liminal_functions::executor::Executor as _;
use liminal_functions::executor::Stop;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::run::Scheduled;
use liminal_schemas::step::Action;
use liminal_schemas::step::CachePolicy;
use liminal_schemas::step::FailureClass;
use liminal_schemas::step::Resources;
use liminal_schemas::step::Retries;
use liminal_schemas::step::StepSpec;
use liminal_schemas::time::UtcTime;
use liminal_schemas::unit::Unit;
use serde_json::Value;
use tokio::sync::watch;

use crate::answers::Answers;

const STARTED: (u16, &str) = (200, r#"{"tasks":[{"taskArn":"arn:task/1"}],"failures":[]}"#);
const NO_ROOM: (u16, &str) =
    (200, r#"{"tasks":[],"failures":[{"arn":"arn:x","reason":"RESOURCE:FARGATE","detail":"no capacity"}]}"#);
const CONFLICT: (u16, &str) =
    (400, r#"{"__type":"ConflictException","message":"another request","resourceIds":["arn:task/1"]}"#);
const NO_CLUSTER: (u16, &str) = (400, r#"{"__type":"ClusterNotFoundException","message":"Cluster not found."}"#);
const INVALID: (u16, &str) = (400, r#"{"__type":"InvalidParameterException","message":"subnets can not be blank."}"#);

/// Carries an attempt out against a service that gives these answers.
struct Ecs(Answers);

impl Ecs {
    async fn answering(answers: &'static [(u16, &'static str)]) -> Self {
        Self(Answers::of(answers).await)
    }

    async fn execute(&self) -> AttemptOutcome {
        let clients = self.0.clients().await;
        let project = ProjectName::new("shop").expect("a name");
        let environment = EnvironmentName::new("prod").expect("a name");
        let served = Served { project: project.clone(), environment, place: Place::new("bucket", "shop/prod") };
        let settings = TaskSettings {
            cluster: "liminal".to_owned(),
            task_definition: "liminal-shop-prod-train-fit".to_owned(),
            subnets: vec!["subnet-1".to_owned(), "subnet-2".to_owned()],
            security_groups: Vec::new(),
            public_ip: true,
        };
        let executor = FargateExecutor::new(&clients, &served, settings).pausing(Duration::from_millis(5));
        assert_eq!(executor.start_up(), START_UP);
        executor.execute(job(project)).await
    }

    fn asked(&self) -> Vec<Value> {
        self.0.asked()
    }
}

fn job(project: ProjectName) -> AttemptJob {
    let spec = StepSpec {
        phase: None,
        action: Action::Run { argv: Vec::new() },
        inputs: BTreeMap::new(),
        outputs: BTreeMap::new(),
        env: BTreeMap::new(),
        after: Default::default(),
        when: None,
        map: None,
        reads_metrics: Default::default(),
        reads_params: Default::default(),
        finally: false,
        package: None,
        retries: Retries::default(),
        timeout_seconds: 60,
        resources: Resources::default(),
        cache: CachePolicy::Off,
        compute: Default::default(),
        image: None,
        names: Default::default(),
        within: Vec::new(),
    };
    AttemptJob {
        project,
        pipeline: PipelineName::new("train").expect("a name"),
        run: RunId::new("20261124-230239-x7k2").expect("an id"),
        unit: Unit::step(StepName::new("fit").expect("a name")),
        item: None,
        attempt: 2,
        spec: Arc::new(spec),
        package: None,
        params: Arc::default(),
        inputs: BTreeMap::new(),
        objects: Default::default(),
        secrets: Arc::default(),
        run_status: None,
        scheduled: Scheduled::in_utc(UtcTime::from_millis(1_800_000_000_000)),
        timeout: Duration::from_secs(60),
        stop: watch::channel(Stop::No).1,
    }
}

fn failed(outcome: AttemptOutcome) -> (FailureClass, String) {
    match outcome {
        AttemptOutcome::Failed(failure) => (failure.class, failure.message),
        other => panic!("a failure, not {other:?}"),
    }
}

#[tokio::test]
async fn a_task_is_told_which_attempt_it_is_for_and_nothing_else() {
    let ecs = Ecs::answering(&[STARTED]).await;
    assert_eq!(ecs.execute().await, AttemptOutcome::Handed);
    let asked = ecs.asked();
    assert_eq!(asked.len(), 1);
    let token = "36703e7003f402ba48caed0d762d85ee1dee450469754cc9355b3660e8a817bf";
    let expected = serde_json::json!({
        "cluster": "liminal",
        "taskDefinition": "liminal-shop-prod-train-fit",
        "launchType": "FARGATE",
        "count": 1,
        "clientToken": token,
        "startedBy": token[..36],
        "networkConfiguration": {
            "awsvpcConfiguration": { "subnets": ["subnet-1", "subnet-2"], "assignPublicIp": "ENABLED" },
        },
        "overrides": { "containerOverrides": [{
            "name": "step",
            "command": [
                "task", "--pipeline", "train", "--run", "20261124-230239-x7k2", "--step", "fit", "--attempt", "2",
            ],
        }] },
    });
    assert_eq!(asked[0], expected);
}

#[tokio::test]
async fn a_task_for_which_there_is_no_room_is_asked_for_again_with_the_same_token_and_one_that_was_started_is_adopted()
{
    let ecs = Ecs::answering(&[NO_ROOM, NO_ROOM, CONFLICT]).await;
    assert_eq!(ecs.execute().await, AttemptOutcome::Handed);
    let asked = ecs.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|request| request == &asked[0]), "the requests are the same, token included");
    assert_eq!(asked[0]["clientToken"].as_str().map(str::len), Some(64));
}

#[tokio::test]
async fn an_attempt_whose_task_never_finds_room_fails_as_throttled() {
    let ecs = Ecs::answering(&[NO_ROOM]).await;
    let (class, message) = failed(ecs.execute().await);
    assert_eq!(class, FailureClass::Throttled);
    insta::assert_snapshot!(message, @"Fargate has no room for the task: RESOURCE:FARGATE, no capacity");
    assert_eq!(ecs.asked().len(), 5);
}

#[tokio::test]
async fn what_trying_again_at_once_does_not_mend_is_not_tried_again() {
    let ecs = Ecs::answering(&[NO_CLUSTER]).await;
    let (class, message) = failed(ecs.execute().await);
    assert_eq!((class, ecs.asked().len()), (FailureClass::Infrastructure, 1));
    insta::assert_snapshot!(message, @"the task could not be started: RunTask was refused: ClusterNotFoundException: Cluster not found (HTTP 400)");
    let ecs = Ecs::answering(&[INVALID]).await;
    let (class, _) = failed(ecs.execute().await);
    assert_eq!((class, ecs.asked().len()), (FailureClass::Poison, 1));
}
