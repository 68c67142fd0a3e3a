//! What is large, and what is early or late. The numbers of cases are those of the list of faults.
//!
//! Case 17, a batch of messages of which some are refused, is in `functions/tests/aws/batches.rs`.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use liminal_emulators::FaultProxy;
use liminal_functions::aws::clock::StoreClock;
use liminal_functions::aws::platform::AwsPlatform;
use liminal_functions::aws::queue::SqsQueue;
use liminal_functions::aws::store::S3Store;
use liminal_functions::clock::SystemClock;
use liminal_functions::executor::AttemptJob;
use liminal_functions::executor::AttemptOutcome;
use liminal_functions::executor::Executor;
use liminal_functions::executor::Stop;
use liminal_functions::ports::Clock as _;
use liminal_functions::ports::ObjectStore as _;
use liminal_functions::runner::Handled;
use liminal_functions::runner::Runner;
use liminal_schemas::keys;
use liminal_schemas::name::StepName;
use liminal_schemas::release::Release;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::run::RunStatus;
use liminal_schemas::step::Action;
use liminal_schemas::step::StepSpec;
use liminal_schemas::time::UtcTime;
use tokio::sync::Notify;
use tokio::sync::watch;

use crate::direct::Serving;
use crate::pipeline::leaves;
use crate::pipeline::release;
use crate::pipeline::sh;
use crate::pipeline::step_name;
use crate::pipeline::takes;
use crate::world::World;
use crate::world::message;

const LONG: Duration = Duration::from_secs(300);

/// The most that a message may be for liminal, in bytes: it is a claim check.
const MOST_OF_A_MESSAGE: usize = 4096;

#[tokio::test(flavor = "multi_thread")]
async fn case_10_a_step_after_fifteen_hundred_others_starts_once() {
    const WIDTH: usize = 1500;
    let world = World::new().await;
    let measure = leaves(sh("echo '{\"n\": 1}' > {{ outputs.metrics }}"), "metrics", "metrics.json");
    let mut steps = release([("measure", measure), ("last", sh("true"))]);
    for number in 0..WIDTH {
        let gate = StepSpec {
            action: Action::Gate { checks: vec![format!("metrics.measure.n < {}", number + 2)] },
            reads_metrics: [step_name("measure")].into(),
            ..sh("true")
        };
        steps.steps.insert(step_name(&format!("gate_{number:04}")), gate);
    }
    let gates: BTreeSet<StepName> =
        steps.steps.keys().filter(|step| step.as_str().starts_with("gate")).cloned().collect();
    steps.steps.get_mut("last").expect("it is there").after = gates;
    // Gates need no queue.
    world.publish_for(&steps, ["measure", "last"], LONG).await;
    let record = world.start(&steps).await;
    let mut runner = Serving::start(&world, &world.emulator.env());
    assert!(runner.handles(&world.queue(&steps, "measure"), &message(&record, "measure")));
    let last = world.queue(&steps, "last");
    assert_eq!(world.deploy(&["messages", &last]), "1", "the last of its parents sends the message");
    let prefix = keys::run_prefix(&record.pipeline, &record.run);
    let records = world.store.list(&format!("{prefix}steps/")).await.expect("listed");
    assert!(records.iter().filter(|key| key.ends_with("/commit.json")).count() == WIDTH + 1, "more than a page lists");

    // A runner that knows nothing yet finds all of them by listing, and the step is run once however often it is asked for.
    let mut other = Serving::start(&world, &world.emulator.env());
    for runner in [&mut runner, &mut other] {
        assert!(runner.handles(&last, &message(&record, "last")));
    }
    assert_eq!(world.attempts(&record, "last").await, ["1.json"]);
    let result = world.ended(&record).await;
    assert_eq!((result.status, result.steps.len()), (RunStatus::Succeeded, WIDTH + 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn case_18_an_output_larger_than_any_message_is_passed_on_by_reference() {
    let world = World::new().await;
    let size = (6 << 20) + 1;
    let make = leaves(sh(&format!("head -c {size} /dev/zero > {{{{ outputs.data }}}}")), "data", "data");
    let count = takes(sh("wc -c < {{ inputs.data }} | tr -d ' \\n' > {{ outputs.size }}"), "data", "make", "data");
    let release = release([("make", make), ("count", leaves(count, "size", "size"))]);
    world.publish(&release, LONG).await;
    let record = world.start(&release).await;
    let proxy = FaultProxy::start(world.emulator);
    let mut runner = Serving::start(&world, &proxy.env());
    for step in ["make", "count"] {
        assert!(runner.handles(&world.queue(&release, step), &message(&record, step)));
    }
    let seen = proxy.take_seen();
    let sends: Vec<usize> =
        seen.iter().filter(|seen| seen.operation.ends_with("SendMessage")).map(|seen| seen.body_bytes).collect();
    assert!(!sends.is_empty() && sends.iter().all(|bytes| *bytes < MOST_OF_A_MESSAGE), "{sends:?}");
    assert!(seen.iter().any(|seen| seen.body_bytes >= size), "the output went to the store");
    let commit = world.commit(&record, "count").await.expect("a commit");
    let counted = world.object(&keys::artifact(&commit.outputs["size"].digest)).await.expect("an object");
    assert_eq!(String::from_utf8(counted).expect("a text"), size.to_string());
    assert_eq!(world.ended(&record).await.status, RunStatus::Succeeded);
}

/// Counts attempts, and lets each succeed once it is told to.
#[derive(Clone, Default)]
struct Held {
    begun: Arc<AtomicU32>,
    go: Arc<Notify>,
}

impl Executor for Held {
    async fn execute(&self, _: AttemptJob) -> AttemptOutcome {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.go.notified().await;
        AttemptOutcome::Succeeded { outputs: BTreeMap::new(), metrics: BTreeMap::new() }
    }
}

/// The clock of a machine: right, ten minutes behind, ten minutes ahead.
type MachineClock = fn() -> UtcTime;
const RIGHT: MachineClock = || SystemClock.now();
const BEHIND: MachineClock = || SystemClock.now().plus_millis(-TEN_MINUTES);
const AHEAD: MachineClock = || SystemClock.now().plus_millis(TEN_MINUTES);

const TEN_MINUTES: i64 = 10 * 60 * 1000;

/// Two workers on machines with these clocks get the message of a step with some timeout: the second while the first is at it.
/// The second puts it back, and the step is begun and committed once.
async fn two_workers(timeout_seconds: u64, clocks: [MachineClock; 2]) {
    let world = World::new().await;
    let release: Release = release([("only", StepSpec { timeout_seconds, ..sh("true") })]);
    world.publish(&release, LONG).await;
    let record = world.start(&release).await;
    let held = Held::default();
    let worker = |machine| {
        let store = S3Store::with_clock(&world.clients, world.served.place.clone(), StoreClock::new(machine));
        let queue = Arc::new(SqsQueue::new(&world.clients));
        let platform = AwsPlatform::new(&world.served, store, queue, held.clone());
        Arc::new(Runner::new(platform, liminal_functions::runner::Events::silent()))
    };
    let body = message(&record, "only");
    let handle = |runner: Arc<Runner<AwsPlatform<Held>>>| {
        let body = body.clone();
        tokio::spawn(async move { runner.handle(&body, watch::channel(Stop::No).1).await.expect("handled") })
    };
    let first = handle(worker(clocks[0]));
    while held.begun.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let second = handle(worker(clocks[1])).await.expect("no panic");
    assert!(matches!(second, Handled::PutBack(_)), "{second:?}");
    assert_eq!(held.begun.load(Ordering::SeqCst), 1);
    held.go.notify_one();
    assert_eq!(first.await.expect("no panic"), Handled::Done);
    let commit = world.commit(&record, "only").await.expect("a commit");
    assert_eq!(commit.status, CommitStatus::Succeeded);
    assert_eq!(world.ended(&record).await.status, RunStatus::Succeeded);
    assert_eq!(world.attempts(&record, "only").await, ["1.json"], "no other attempt was opened");
}

/// A lease is written by one worker and judged by another. Both go by the clock of the store.
#[tokio::test(flavor = "multi_thread")]
async fn case_15_clocks_that_are_wrong_take_no_step_away_early_and_lead_to_no_second_attempt() {
    for clocks in [[RIGHT, AHEAD], [BEHIND, RIGHT], [RIGHT, BEHIND], [AHEAD, RIGHT], [BEHIND, AHEAD], [AHEAD, BEHIND]] {
        two_workers(60, clocks).await;
    }
}
