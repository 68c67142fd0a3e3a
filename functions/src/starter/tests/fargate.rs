//! Steps that run as tasks: a dispatcher opens the attempt and starts a task, which carries it out, or dies.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use liminal_schemas::keys;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::release::Release;
use liminal_schemas::run::AttemptFailure;
use liminal_schemas::run::AttemptRecord;
use liminal_schemas::run::Commit;
use liminal_schemas::run::RunStatus;
use liminal_schemas::step::FailureClass;
use tokio::sync::watch;

use super::world::Place;
use super::world::work;
use crate::executor::AttemptJob;
use crate::executor::AttemptOutcome;
use crate::executor::Executor;
use crate::executor::Stop;
use crate::ports::Clock;
use crate::ports::Platform;
use crate::protocol::attempt::PLATFORM_RETRIES;
use crate::runner::AttemptName;
use crate::runner::Carried;
use crate::runner::Events;
use crate::runner::Runner;
use crate::simulated::SimulatedClock;
use crate::simulated::SimulatedPlatform;
use crate::simulated::World;
use crate::simulated::pipeline::release;
use crate::simulated::pipeline::run_record;
use crate::simulated::pipeline::step;
use crate::simulated::pipeline::with_inputs;
use crate::simulated::polling;
use crate::simulated::polling::Background;
use crate::task_command;

const RUN: &str = "20261124-000000-test";

/// Starts tasks, as ECS does: it says so, and nothing has happened yet.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<Vec<AttemptName>>>);

impl Tasks {
    fn next(&self) -> Option<AttemptName> {
        let mut tasks = self.0.lock().expect("never poisoned");
        if tasks.is_empty() { None } else { Some(tasks.remove(0)) }
    }
}

impl Executor for Tasks {
    async fn execute(&self, job: AttemptJob) -> AttemptOutcome {
        let name = AttemptName { pipeline: job.pipeline, run: job.run, unit: job.unit, attempt: job.attempt };
        self.0.lock().expect("never poisoned").push(name);
        AttemptOutcome::Handed
    }

    fn start_up(&self) -> Duration {
        Duration::from_secs(10 * 60)
    }
}

/// Is told to stop, and does.
struct IsStopped;

impl Executor for IsStopped {
    async fn execute(&self, _: AttemptJob) -> AttemptOutcome {
        AttemptOutcome::Stopped
    }
}

struct Cluster {
    place: Place,
    tasks: Tasks,
}

impl Cluster {
    /// A run of two steps whose messages go to a dispatcher.
    fn new() -> (Self, Background) {
        let place = Place::new(World::calm(3));
        let release = two_steps();
        place.deploy(&release);
        let tasks = Tasks::default();
        let platform = SimulatedPlatform::with_executor(&place.world, "dispatcher", false, tasks.clone());
        let dispatcher = Runner::new(platform, Events::silent());
        polling::until(&place.world, dispatcher.start(run_record(&release, RUN)), Vec::new()).expect("started");
        (Self { place, tasks }, Box::pin(work(dispatcher)))
    }

    /// A runner in a task.
    fn in_task(&self) -> Runner<SimulatedPlatform> {
        Runner::new(SimulatedPlatform::new(&self.place.world, "task", false), Events::silent())
    }

    /// Carries out tasks for ever, but for those that `fate` keeps.
    fn ecs(&self, mut fate: impl FnMut(&AttemptName) -> Fate + 'static) -> Background {
        let (place, tasks, runner) = (self.place.clone(), self.tasks.clone(), self.in_task());
        Box::pin(async move {
            loop {
                let Some(name) = tasks.next() else {
                    runner.platform().clock().sleep(Duration::from_secs(7)).await;
                    continue;
                };
                let (_stop, stopped) = watch::channel(Stop::No);
                match fate(&name) {
                    Fate::Runs => drop(runner.run_attempt(&name, stopped).await),
                    Fate::DiesUnnoticed => {}
                    Fate::Dies => {
                        // A task may die before it begins, or in the middle of it.
                        tokio::select! {
                            _ = runner.run_attempt(&name, stopped) => panic!("it dies before it ends"),
                            () = runner.platform().clock().sleep(Duration::from_millis(1)) => {}
                        }
                        // Events come twice, and late ones find that there is nothing left to do.
                        for _ in 0..2 {
                            place.handle(&stopped_event(&name, Some(137))).await.expect("handled");
                        }
                    }
                }
            }
        })
    }

    fn documents<T: serde::de::DeserializeOwned>(&self, suffix: &str) -> Vec<T> {
        self.place.documents(&format!("runs/pipeline/{RUN}/steps/first/"), suffix)
    }
}

enum Fate {
    Runs,
    Dies,
    DiesUnnoticed,
}

fn two_steps() -> Release {
    release([("first", step("first")), ("second", with_inputs(step("second"), &["first"]))])
}

fn stopped_event(name: &AttemptName, exit_code: Option<i32>) -> String {
    let project = ProjectName::new("project").expect("valid");
    let environment = EnvironmentName::new("prod").expect("valid");
    let token = task_command::token(&project, &environment, name);
    let container = match exit_code {
        Some(code) => format!(r#"{{"name":"step","exitCode":{code}}}"#),
        None => r#"{"name":"step","reason":"CannotPullContainerError: not found"}"#.to_owned(),
    };
    format!(
        r#"{{"detail-type":"ECS Task State Change","source":"aws.ecs","detail":{{"taskArn":"arn:task/1","lastStatus":"STOPPED",
        "startedBy":"{}","stopCode":"SpotInterruption","containers":[{container}],
        "overrides":{{"containerOverrides":[{{"name":"step","command":{}}}]}}}}}}"#,
        task_command::started_by(&token),
        serde_json::to_string(&task_command::arguments(name)).expect("serialises")
    )
}

#[test]
fn a_dispatcher_opens_the_attempt_and_the_task_carries_it_out_under_one_lease_that_covers_its_start() {
    let (cluster, dispatcher) = Cluster::new();
    let ecs = cluster.ecs(|_| Fate::Runs);
    polling::until(&cluster.place.world, cluster.place.ended(1), vec![dispatcher, ecs, cluster.place.sweeper()]);
    assert_eq!(cluster.place.results()[0].status, RunStatus::Succeeded);
    let attempts: Vec<AttemptRecord> = cluster.documents("/1.json");
    let [attempt] = attempts.as_slice() else { panic!("one attempt, not {attempts:?}") };
    assert_eq!(attempt.worker, "dispatcher");
    assert!((attempt.lease_until.seconds_since(attempt.started_at) - (600.0 + 120.0 + 60.0)).abs() < 1e-9);
    assert!(cluster.documents::<Commit>("/commit.json")[0].attempt == Some(1));
}

#[test]
fn a_task_that_is_killed_is_replaced_as_soon_as_its_stop_is_told() {
    let (cluster, dispatcher) = Cluster::new();
    let ecs = cluster.ecs(|name| if name.attempt == 1 { Fate::Dies } else { Fate::Runs });
    polling::until(&cluster.place.world, cluster.place.ended(1), vec![dispatcher, ecs]);
    assert_eq!(cluster.place.results()[0].status, RunStatus::Succeeded);
    assert_eq!(cluster.documents::<Commit>("/commit.json")[0].attempt, Some(2));
    let failures: Vec<AttemptFailure> = cluster.documents(".failed.json");
    assert_eq!(failures.len(), 1);
    assert_eq!((failures[0].failure.class, failures[0].failure.exit_code), (FailureClass::Infrastructure, Some(137)));
    insta::assert_snapshot!(failures[0].failure.message, @"its Fargate task ended without a word: SpotInterruption (exit status 137)");
}

#[test]
fn a_task_that_is_gone_without_a_word_is_replaced_once_its_lease_has_ended() {
    let (cluster, dispatcher) = Cluster::new();
    let ecs = cluster.ecs(|name| if name.attempt == 1 { Fate::DiesUnnoticed } else { Fate::Runs });
    polling::until(&cluster.place.world, cluster.place.ended(1), vec![dispatcher, ecs, cluster.place.sweeper()]);
    assert_eq!(cluster.place.results()[0].status, RunStatus::Succeeded);
    assert_eq!(cluster.documents::<Commit>("/commit.json")[0].attempt, Some(2));
}

#[test]
fn tasks_that_always_die_come_to_an_end() {
    for noticed in [true, false] {
        let (cluster, dispatcher) = Cluster::new();
        let ecs = cluster.ecs(move |_| if noticed { Fate::Dies } else { Fate::DiesUnnoticed });
        polling::until(&cluster.place.world, cluster.place.ended(1), vec![dispatcher, ecs, cluster.place.sweeper()]);
        assert_eq!(cluster.place.results()[0].status, RunStatus::Failed);
        assert_eq!(cluster.documents::<Commit>("/commit.json")[0].attempt, Some(PLATFORM_RETRIES + 1));
    }
}

#[test]
fn of_two_tasks_for_one_attempt_one_does_nothing() {
    let (cluster, dispatcher) = Cluster::new();
    let world = &cluster.place.world;
    let both = async {
        while cluster.tasks.0.lock().expect("never poisoned").is_empty() {
            SimulatedClock::new(world.clone()).sleep(Duration::from_secs(1)).await;
        }
        let name = cluster.tasks.next().expect("a task");
        let (one, other) = (cluster.in_task(), cluster.in_task());
        let (_stop, stopped) = watch::channel(Stop::No);
        let carried = tokio::join!(one.run_attempt(&name, stopped.clone()), other.run_attempt(&name, stopped));
        let again = cluster.in_task().run_attempt(&name, watch::channel(Stop::No).1).await;
        (carried.0.expect("carried"), carried.1.expect("carried"), again.expect("carried"))
    };
    let (one, other, again) = polling::until(world, both, vec![dispatcher]);
    let needless = Carried::Needless("another task carries out attempt 1".to_owned());
    assert!([(&one, &other), (&other, &one)].contains(&(&Carried::Out, &needless)), "{one:?} {other:?}");
    assert_eq!(again, Carried::Needless("first is settled".to_owned()));
}

#[test]
fn a_task_that_comes_too_late_or_for_an_attempt_that_is_over_does_nothing() {
    let (cluster, dispatcher) = Cluster::new();
    let world = &cluster.place.world;
    let carried = async {
        while cluster.tasks.0.lock().expect("never poisoned").is_empty() {
            SimulatedClock::new(world.clone()).sleep(Duration::from_secs(1)).await;
        }
        let name = cluster.tasks.next().expect("a task");
        let run = |name: AttemptName| {
            let task = cluster.in_task();
            async move { task.run_attempt(&name, watch::channel(Stop::No).1).await.expect("carried") }
        };
        let unknown = run(AttemptName { attempt: 9, ..name.clone() }).await;
        SimulatedClock::new(world.clone()).sleep(Duration::from_secs(13 * 60)).await;
        let late = run(name.clone()).await;
        let over = run(name).await;
        (unknown, late, over)
    };
    let (unknown, late, over) = polling::until(world, carried, vec![dispatcher]);
    assert_eq!(unknown, Carried::Needless("there is no attempt 9".to_owned()));
    assert_eq!(late, Carried::Out);
    assert_eq!(over, Carried::Needless("attempt 1 has ended".to_owned()));
    let failures: Vec<AttemptFailure> = cluster.documents("/1.failed.json");
    insta::assert_snapshot!(failures[0].failure.message, @"the task started so late that the step's time was over before it ended");
}

#[test]
fn a_task_that_is_told_to_stop_writes_that_down_and_asks_for_another() {
    let (cluster, dispatcher) = Cluster::new();
    let world = &cluster.place.world;
    let stopped = async {
        while cluster.tasks.0.lock().expect("never poisoned").is_empty() {
            SimulatedClock::new(world.clone()).sleep(Duration::from_secs(1)).await;
        }
        let name = cluster.tasks.next().expect("a task");
        let platform = SimulatedPlatform::with_executor(world, "task", false, IsStopped);
        let task = Runner::new(platform, Events::silent());
        task.run_attempt(&name, watch::channel(Stop::Gracefully).1).await.expect("carried")
    };
    assert_eq!(polling::until(world, stopped, vec![dispatcher]), Carried::Out);
    let failures: Vec<AttemptFailure> = cluster.documents("/1.failed.json");
    assert_eq!(failures[0].failure.class, FailureClass::Infrastructure);
    insta::assert_snapshot!(failures[0].failure.message, @"the task was stopped from outside before the step ended");
    assert_eq!(world.messages(), 1);
}

#[test]
fn stops_of_tasks_that_ended_well_or_are_of_another_environment_change_nothing() {
    let (cluster, dispatcher) = Cluster::new();
    let world = &cluster.place.world;
    let name = AttemptName {
        pipeline: two_steps().pipeline,
        run: liminal_schemas::name::RunId::new(RUN).expect("valid"),
        unit: liminal_schemas::unit::Unit::step(crate::simulated::pipeline::step_name("first")),
        attempt: 1,
    };
    let opened = async {
        while cluster.tasks.0.lock().expect("never poisoned").is_empty() {
            SimulatedClock::new(world.clone()).sleep(Duration::from_secs(1)).await;
        }
    };
    polling::until(world, opened, vec![dispatcher]);
    let before = world.objects();
    let of_others = stopped_event(&AttemptName { attempt: 2, ..name.clone() }, Some(1))
        .replace(r#""--attempt","2""#, r#""--attempt","1""#);
    for event in [stopped_event(&name, Some(0)), of_others] {
        polling::until(world, cluster.place.handle(&event), Vec::new()).expect("handled");
        assert_eq!(world.objects(), before);
    }
    polling::until(world, cluster.place.handle(&stopped_event(&name, None)), Vec::new()).expect("handled");
    let key = keys::attempt_failure(&name.pipeline, &name.run, &name.unit, 1);
    let failed: AttemptFailure = serde_json::from_slice(&world.objects()[&key]).expect("a document");
    insta::assert_snapshot!(failed.failure.message, @"its Fargate task ended without a word: SpotInterruption, CannotPullContainerError: not found");
}
