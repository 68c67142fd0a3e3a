//! Runs that nobody calls for: an object lands in a bucket, and functions that an emulator carries out do the rest. Where a
//! step is a task, the test stands for Fargate: it runs what the emulator has recorded.

use std::collections::BTreeMap;
use std::process::Child;
use std::process::Command;
use std::time::Duration;

use liminal_functions::ports::ObjectStore as _;
use liminal_functions::python::handler;
use liminal_schemas::aws::names;
use liminal_schemas::aws::variables;
use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::release::Release;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunStatus;
use liminal_schemas::state::LivePointer;
use liminal_schemas::step::InputSource;
use liminal_schemas::time::UtcTime;
use liminal_schemas::trigger::Trigger;
use liminal_schemas::trigger::TriggerSource;
use serde_json::Value;
use serde_json::json;

use crate::pipeline::field;
use crate::pipeline::leaves;
use crate::pipeline::release;
use crate::pipeline::sh;
use crate::pipeline::takes;
use crate::world::World;

/// How long something may take that comes.
const PATIENCE: Duration = Duration::from_secs(120);

/// Two steps that begin with the object.
fn two_steps(first: &str) -> Release {
    let mut fetch = leaves(sh(first), "raw", "raw.csv");
    fetch.inputs.insert(field("landed"), InputSource::Trigger);
    let count = takes(sh("wc -c < {{ inputs.raw }} | tr -d ' \\n' > {{ outputs.count }}"), "raw", "fetch", "raw");
    let mut release = release([("fetch", fetch), ("count", leaves(count, "count", "count.txt"))]);
    let on = TriggerSource::Object { bucket: None, prefix: "in/".to_owned(), suffix: ".csv".to_owned() };
    release.triggers.push(Trigger { on, params: BTreeMap::new() });
    release
}

/// Makes a release live, with the function that starts runs of it.
async fn deploy(world: &World, release: &Release) -> String {
    world.publish(release, Duration::from_secs(420)).await;
    let pointer = LivePointer::new(release.revision(), UtcTime::from_millis(0));
    let bytes = serde_json::to_vec(&pointer).expect("JSON");
    world.store.put_if_absent(&keys::live(&release.pipeline), &bytes).await.expect("written");
    let queue = names::trigger_queue(&world.served.project, &world.served.environment);
    world.deploy(&["queue", &queue, "420"]);
    function(world, &queue, &format!("{}-start", world.served.environment), [(variables::MODE, variables::MODE_START)]);
    queue
}

/// Makes a function of the runner alone, fed by a queue.
fn function<'a>(world: &World, queue: &str, name: &str, settings: impl IntoIterator<Item = (&'a str, &'a str)>) {
    let mut environment = world.variables();
    environment.extend(settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
    let spec = json!({
        "zip": world.zip(handler::BOOTSTRAP_FILE, &[]), "FunctionName": name, "Runtime": "provided.al2023",
        "Handler": "bootstrap", "Timeout": 70, "MemorySize": 512, "Environment": { "Variables": environment },
    });
    world.deploy(&["function", &spec.to_string()]);
    world.deploy(&["mapping", queue, name]);
}

/// The only run there is, once there is one.
async fn the_run(world: &World, release: &Release) -> RunRecord {
    let start = std::time::Instant::now();
    loop {
        let keys = world.store.list(&keys::pipeline_runs_prefix(&release.pipeline)).await.expect("listed");
        let records: Vec<&String> = keys.iter().filter(|key| key.ends_with("/run.json")).collect();
        if let [key] = records.as_slice() {
            return serde_json::from_slice(&world.object(key).await.expect("a record")).expect("a record");
        }
        assert!(records.is_empty(), "{records:?}");
        assert!(start.elapsed() < PATIENCE, "no run appears; the emulator says:\n{}", world.emulator.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_lands_starts_a_run_that_goes_to_its_end_and_duplicates_of_its_event_change_nothing() {
    let world = World::new().await;
    let release = two_steps("cat {{ inputs.landed }} {{ inputs.landed }} > {{ outputs.raw }}");
    let triggers = deploy(&world, &release).await;
    for step in ["fetch", "count"] {
        world.function(&release, step, "provided.al2023", &[]);
    }
    // Between the bucket and the trigger queue, so that what the bucket says can be sent as often as one likes.
    let inbox = format!("{}-inbox", world.served.environment);
    world.deploy(&["queue", &inbox, "30"]);
    world.deploy(&["notification", world.served.place.bucket(), &inbox, "in/"]);
    world.deploy(&["put", world.served.place.bucket(), "in/two words+ü.csv", "a,b,c"]);
    let sent = notifications(&world, &inbox).await;
    for body in &sent {
        world.send(&triggers, body).await;
    }
    let record = the_run(&world, &release).await;
    let result = world.ended(&record).await;
    assert_eq!(result.status, RunStatus::Succeeded, "{}", world.emulator.log());
    let object = record.object.as_ref().expect("the object");
    assert_eq!(object.uri, format!("s3://{}/in/two words+ü.csv", world.served.place.bucket()));
    assert_eq!(object.artifact.digest, Digest::of_bytes(b"a,b,c"));
    let commit = world.commit(&record, "count").await.expect("a commit");
    assert_eq!(commit.outputs[&field("count")].digest, Digest::of_bytes(b"10"));
    for body in [&sent[..], &sent[..], &sent[..]].concat() {
        world.send(&triggers, &body).await;
    }
    world.send(&triggers, r#"{"liminal":"sweep"}"#).await;
    world.send(&triggers, "poison").await;
    world.drained(&triggers).await;
    assert_eq!(the_run(&world, &release).await, record, "there still is one run");
    let open = world.store.list(keys::OPEN_PREFIX).await.expect("listed");
    assert!(open.is_empty(), "{open:?}");
}

/// Takes what a bucket sends to a queue, up to the creation of an object.
async fn notifications(world: &World, queue: &str) -> Vec<String> {
    let (start, mut taken) = (std::time::Instant::now(), Vec::new());
    while !taken.iter().any(|body: &String| body.contains("ObjectCreated")) {
        taken.extend(world.deploy(&["receive", queue]).lines().map(str::to_owned));
        assert!(start.elapsed() < PATIENCE, "the bucket says nothing but {taken:?}");
    }
    taken
}

/// Runs the recorded tasks of a cluster, each once.
struct Fargate<'a> {
    world: &'a World,
    cluster: String,
    seen: Vec<String>,
}

/// A task that the test runs in Fargate's stead.
struct Running {
    child: Child,
    record: Value,
}

impl Fargate<'_> {
    /// Waits for the next task, and starts what it records: its entry point and command, with the variables of its definition.
    async fn next(&mut self) -> Running {
        let start = std::time::Instant::now();
        loop {
            let tasks: Vec<Value> =
                serde_json::from_str(&self.world.deploy(&["tasks", &self.cluster])).expect("a list");
            let arn = |task: &Value| task["taskArn"].as_str().unwrap_or_default().to_owned();
            if let Some(task) = tasks.into_iter().find(|task| !self.seen.contains(&arn(task))) {
                self.seen.push(arn(&task));
                return Running { child: self.run(&task), record: task };
            }
            assert!(start.elapsed() < PATIENCE, "no task appears; the emulator says:\n{}", self.world.emulator.log());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn run(&self, task: &Value) -> Child {
        assert_eq!(task["entryPoint"], json!(["liminal-runner"]));
        let arguments = task["command"].as_array().expect("a command").iter().filter_map(Value::as_str);
        let variables = task["environment"].as_object().expect("variables");
        let mut command = Command::new(env!("CARGO_BIN_EXE_liminal-runner"));
        command.args(arguments).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.envs(variables.iter().filter_map(|(name, value)| Some((name, value.as_str()?))));
        command.envs(self.world.emulator.env());
        command.spawn().expect("the runner starts")
    }
}

/// What ECS tells of a task that stopped.
fn stopped(task: &Value, exit_code: i32) -> String {
    json!({
        "detail-type": "ECS Task State Change", "source": "aws.ecs",
        "detail": {
            "taskArn": task["taskArn"], "lastStatus": "STOPPED", "startedBy": task["startedBy"],
            "stopCode": "SpotInterruption", "containers": [{ "name": "step", "exitCode": exit_code }],
            "overrides": { "containerOverrides": [{ "name": "step", "command": task["command"] }] },
        },
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_runs_as_a_task_and_a_task_that_is_killed_is_replaced() {
    let world = World::new().await;
    let slow = "cat {{ inputs.landed }} > {{ outputs.raw }}; sleep 3";
    let release = two_steps(slow);
    let triggers = deploy(&world, &release).await;
    world.function(&release, "count", "provided.al2023", &[]);
    let cluster = format!("cluster-{}", world.served.environment);
    let family = format!("liminal-{}", world.served.environment);
    let mut environment = world.variables();
    environment.remove(variables::MODE);
    let definition = json!({ "cluster": cluster, "family": family, "environment": environment });
    world.deploy(&["task", &definition.to_string()]);
    let queue = world.queue(&release, "fetch");
    let settings = [
        (variables::MODE, variables::MODE_DISPATCH),
        (variables::CLUSTER, cluster.as_str()),
        (variables::TASK_DEFINITION, family.as_str()),
        (variables::SUBNETS, "subnet-1,subnet-2"),
        (variables::PUBLIC_IP, "true"),
    ];
    function(&world, &queue, &format!("{}-dispatch", world.served.environment), settings);
    world.deploy(&["notification", world.served.place.bucket(), &triggers, "in/"]);
    world.deploy(&["put", world.served.place.bucket(), "in/a.csv", "a,b,c"]);
    let record = the_run(&world, &release).await;
    let mut fargate = Fargate { world: &world, cluster, seen: Vec::new() };

    let mut first = fargate.next().await;
    let claim = keys::attempt_task(&record.pipeline, &record.run, &crate::pipeline::step_name("fetch"), 1);
    world.appears(&claim).await;
    first.child.kill().expect("the child is ours");
    let _ = first.child.wait();
    // It is told twice, and the second time there is nothing left to do.
    for _ in 0..2 {
        world.send(&triggers, &stopped(&first.record, 137)).await;
    }

    let mut second = fargate.next().await;
    assert!(second.child.wait().expect("it ends").success());
    let result = world.ended(&record).await;
    assert_eq!(result.status, RunStatus::Succeeded, "{}", world.emulator.log());
    let commit = world.commit(&record, "fetch").await.expect("a commit");
    assert_eq!((commit.attempt, commit.outputs[&field("raw")].digest), (Some(2), Digest::of_bytes(b"a,b,c")));
    let commit = world.commit(&record, "count").await.expect("a commit");
    assert_eq!(commit.outputs[&field("count")].digest, Digest::of_bytes(b"5"));
    let attempts = world.attempts(&record, "fetch").await;
    let expected = ["1.failed.json", "1.json", "1.task.json", "2.json", "2.task.json"];
    assert_eq!(attempts.iter().filter(|name| *name != "1.log").collect::<Vec<_>>(), expected);
    // A task that is started once more for an attempt that is over does nothing, and says so by its status.
    let mut late = Running { child: fargate.run(&first.record), record: first.record };
    assert!(late.child.wait().expect("it ends").success());
    assert_eq!(world.attempts(&record, "fetch").await, attempts);
}
