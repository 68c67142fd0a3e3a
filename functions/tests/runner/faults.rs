//! What goes wrong in a function, and what comes of it. The numbers of cases are those of the list of faults.

use std::time::Duration;

use liminal_emulators::Fault;
use liminal_emulators::FaultProxy;
use liminal_emulators::Rule;
use liminal_functions::ports::ObjectStore as _;
use liminal_schemas::keys;
use liminal_schemas::run::AttemptRecord;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunStatus;
use liminal_schemas::step::FailureClass;
use liminal_schemas::step::StepSpec;
use liminal_schemas::time::UtcTime;

use crate::direct::Serving;
use crate::pipeline::call;
use crate::pipeline::leaves;
use crate::pipeline::release;
use crate::pipeline::sh;
use crate::pipeline::step_name;
use crate::world::World;
use crate::world::message;

const LONG: Duration = Duration::from_secs(300);

/// A run of one step, and a runner for it.
struct Alone {
    world: World,
    queue: String,
    record: RunRecord,
    runner: Serving,
}

impl Alone {
    async fn new(step: StepSpec) -> Self {
        Self::within(World::new().await, step).await
    }

    async fn within(world: World, step: StepSpec) -> Self {
        let release = release([("only", step)]);
        world.publish(&release, LONG).await;
        let record = world.start(&release).await;
        let queue = world.queue(&release, "only");
        let runner = Serving::start(&world, &world.emulator.env());
        Self { world, queue, record, runner }
    }

    fn handle(&mut self) -> bool {
        self.runner.handles(&self.queue, &message(&self.record, "only"))
    }

    /// How the step failed, as a text.
    async fn failure(&self) -> String {
        let commit = self.world.commit(&self.record, "only").await.expect("a commit");
        assert_eq!(self.world.ended(&self.record).await.status, RunStatus::Failed);
        let failure = commit.failure.expect("a failure");
        format!("{}: {}\n{}", failure.class, failure.message, failure.detail)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_1_a_message_that_reaches_two_runners_at_once_starts_its_step_once_and_its_child_once() {
    let world = World::new().await;
    let first = leaves(sh("sleep 1; echo > {{ outputs.data }}"), "data", "data");
    let next = StepSpec { after: [step_name("first")].into(), ..sh("sleep 1") };
    let release = release([("first", first), ("next", next)]);
    world.publish(&release, LONG).await;
    let record = world.start(&release).await;
    let mut runners = [(); 2].map(|()| Serving::start(&world, &world.emulator.env()));
    for step in ["first", "next"] {
        let (queue, body) = (world.queue(&release, step), message(&record, step));
        for runner in &mut runners {
            runner.send(&queue, &body, 1, LONG);
        }
        let put_back = runners.iter_mut().map(|runner| {
            let answer = runner.answer().expect("an answer");
            answer["result"]["batchItemFailures"].as_array().map_or(0, Vec::len)
        });
        assert!(put_back.sum::<usize>() <= 1, "one of them carries the step out");
        // Whoever met the other at work gets the message again.
        assert!(runners.iter_mut().all(|runner| runner.handles(&queue, &body)));
        assert_eq!(world.attempts(&record, step).await, ["1.json"], "{step} is started once");
        let commit = world.commit(&record, step).await.expect("a commit");
        assert_eq!((commit.status, commit.attempt), (CommitStatus::Succeeded, Some(1)));
    }
    assert_eq!(world.ended(&record).await.status, RunStatus::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_3_a_runner_that_is_killed_between_commit_and_sends_is_made_up_for_by_the_next_delivery() {
    let world = World::new().await;
    let next = StepSpec { after: [step_name("first")].into(), ..sh("true") };
    let first = leaves(sh("echo > {{ outputs.data }}"), "data", "data");
    let release = release([("first", first), ("next", next)]);
    world.publish(&release, LONG).await;
    let record = world.start(&release).await;
    let proxy = FaultProxy::start(world.emulator);
    // The first thing after the commit is to ask for the address of the child's queue.
    proxy.add(Rule::always(Fault::Slow(LONG)).containing("GetQueueUrl"));
    let mut killed = Serving::start(&world, &proxy.env());
    let queue = world.queue(&release, "first");
    killed.send(&queue, &message(&record, "first"), 1, LONG);
    let commit = world.appears(&keys::commit(&record.pipeline, &record.run, &step_name("first"))).await;
    killed.kill();
    assert_eq!(world.deploy(&["messages", &world.queue(&release, "next")]), "0");

    let mut again = Serving::start(&world, &world.emulator.env());
    assert!(again.handles(&queue, &message(&record, "first")));
    assert_eq!(world.deploy(&["messages", &world.queue(&release, "next")]), "1");
    assert_eq!(world.attempts(&record, "first").await, ["1.json"]);
    let key = keys::commit(&record.pipeline, &record.run, &step_name("first"));
    assert_eq!(world.object(&key).await, Some(commit));
    assert!(again.handles(&world.queue(&release, "next"), &message(&record, "next")));
    assert_eq!(world.ended(&record).await.status, RunStatus::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_12_a_message_that_makes_no_sense_is_acknowledged_and_fails_the_step_that_it_names() {
    let mut alone = Alone::new(sh("true")).await;
    assert!(alone.runner.handles(&alone.queue, "{\"schema\":"));
    assert!(alone.world.commit(&alone.record, "only").await.is_none());
    let newer = message(&alone.record, "only").replace("\"schema\":1", "\"schema\":9");
    assert!(alone.runner.handles(&alone.queue, &newer));
    insta::assert_snapshot!(alone.failure().await.trim_end(), @"poison: the message has schema 9, and this liminal knows only 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_12_what_follows_a_step_whose_message_makes_no_sense_is_skipped_and_the_run_ends() {
    let world = World::new().await;
    let next = StepSpec { after: [step_name("first")].into(), ..sh("true") };
    let last = StepSpec { after: [step_name("next")].into(), ..sh("true") };
    let release = release([("first", sh("true")), ("next", next), ("last", last)]);
    world.publish(&release, LONG).await;
    let record = world.start(&release).await;
    let mut runner = Serving::start(&world, &world.emulator.env());
    let newer = message(&record, "first").replace("\"schema\":1", "\"schema\":9");
    assert!(runner.handles(&world.queue(&release, "first"), &newer), "it is acknowledged");
    for (step, status) in
        [("first", CommitStatus::Failed), ("next", CommitStatus::Skipped), ("last", CommitStatus::Skipped)]
    {
        assert_eq!(world.commit(&record, step).await.expect("a commit").status, status, "{step}");
    }
    assert_eq!(world.ended(&record).await.status, RunStatus::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_13_a_step_that_ends_itself_by_a_signal_fails_with_the_signal() {
    let mut killed = Alone::new(sh("echo working; kill -9 $$")).await;
    assert!(killed.handle());
    insta::assert_snapshot!(killed.failure().await, @"
    user: `sh` was ended by SIGKILL, most often because memory ran out
    working
    ");
    let world = World::new().await;
    let files = [("crash.py", "import os\ndef dump():\n    print('working', flush=True)\n    os.abort()\n")];
    let package = world.put_package(&files).await;
    std::fs::write(world.folder.path().join(files[0].0), files[0].1).expect("written");
    let mut dumped = Alone::within(world, call("crash", "dump", package)).await;
    assert!(dumped.handle());
    insta::assert_snapshot!(dumped.failure().await, @"
    user: `python3` was ended by SIGABRT
    working
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_14_a_step_that_takes_too_long_is_ended_and_leaves_no_lease() {
    let mut late = Alone::new(StepSpec { timeout_seconds: 1, ..sh("echo begun; sleep 600") }).await;
    assert!(late.handle());
    insta::assert_snapshot!(late.failure().await, @"
    timeout: the step took longer than its timeout of 1s
    begun
    hint: raise `timeout:` of the step, if it needs that long
    ");
    assert_eq!(late.world.attempts(&late.record, "only").await, ["1.failed.json", "1.json", "1.log"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_would_outlast_its_function_is_ended_in_time_to_say_so() {
    let mut cut = Alone::new(StepSpec { timeout_seconds: 600, ..sh("sleep 600") }).await;
    cut.runner.send(&cut.queue, &message(&cut.record, "only"), 1, Duration::from_secs(7));
    let answer = cut.runner.answer().expect("an answer");
    assert_eq!(answer["result"]["batchItemFailures"], serde_json::json!([]), "{answer}");
    let failure = cut.failure().await;
    assert!(failure.contains("hint: the function had no more time than that"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_cancelled_stops_the_step_and_ends() {
    let mut alone = Alone::new(sh("echo begun; sleep 600")).await;
    alone.runner.send(&alone.queue, &message(&alone.record, "only"), 1, LONG);
    let (pipeline, run) = (alone.record.pipeline.clone(), alone.record.run.clone());
    // The log is in the store while the step runs.
    let log = alone.world.appears(&keys::attempt_log(&pipeline, &run, &step_name("only"), 1)).await;
    assert_eq!(log, b"begun\n");
    alone.world.store.put_if_absent(&keys::cancel(&pipeline, &run), b"{}").await.expect("written");
    let answer = alone.runner.answer().expect("an answer");
    assert_eq!(answer["result"]["batchItemFailures"], serde_json::json!([]), "{answer}");
    let commit = alone.world.commit(&alone.record, "only").await.expect("a commit");
    assert_eq!(commit.failure.map(|failure| failure.class), Some(FailureClass::Cancelled));
    assert_eq!(alone.world.ended(&alone.record).await.status, RunStatus::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_meets_a_live_lease_is_put_back_and_later_sent_anew() {
    let mut alone = Alone::new(sh("true")).await;
    let lease = AttemptRecord {
        item: None,
        schema: RUN_SCHEMA,
        run: alone.record.run.clone(),
        step: step_name("only"),
        attempt: 1,
        nonce: "other".to_owned(),
        worker: "other".to_owned(),
        started_at: UtcTime::from_millis(0),
        lease_until: UtcTime::from_millis(4_000_000_000_000),
    };
    let key = keys::attempt(&alone.record.pipeline, &alone.record.run, &lease.step, 1);
    let bytes = serde_json::to_vec(&lease).expect("JSON");
    alone.world.store.put_if_absent(&key, &bytes).await.expect("written");
    assert!(!alone.handle(), "it is kept");
    assert!(alone.world.commit(&alone.record, "only").await.is_none());
    let before = alone.world.deploy(&["messages", &alone.queue]);
    assert_eq!(before, "1", "the one that started the run");
    // A message that is received often would end in the dead-letter queue.
    alone.runner.send(&alone.queue, &message(&alone.record, "only"), 4, LONG);
    let answer = alone.runner.answer().expect("an answer");
    assert_eq!(answer["result"]["batchItemFailures"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_made_in_a_process_of_its_own_each_time_with_libraries_imported_once() {
    let world = World::new().await;
    let code = "import decimal\nimport os\nimport sys\nMINE = []\ndef look(data):\n    MINE.append(1)\n    data.write_text(\
                f\"{os.environ['LIMINAL_ATTEMPT']} {len(MINE)} {os.getppid()}\")\n    sys.exit(0 if os.environ['LIMINAL_ATTEMPT'] == '3' else 3)\n";
    let package = world.put_package(&[("look.py", code)]).await;
    std::fs::write(world.folder.path().join("look.py"), code).expect("written");
    let mut step = leaves(call("look", "look", package), "data", "data");
    step.retries.max = 5;
    step.retries.backoff_seconds = 0.0;
    let mut alone = Alone::within(world, step).await;
    for _ in 0..3 {
        assert!(alone.handle());
    }
    let commit = alone.world.commit(&alone.record, "only").await.expect("a commit");
    assert_eq!(commit.status, CommitStatus::Succeeded, "{commit:?}");
    let output = commit.outputs.values().next().expect("an output");
    let text = alone.world.object(&keys::artifact(&output.digest)).await.expect("an object");
    let text = String::from_utf8(text).expect("a text");
    let [attempt, calls, worker] = text.split(' ').collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert_eq!((attempt, calls), ("3", "1"));
    let command = std::fs::read_to_string(format!("/proc/{worker}/cmdline")).expect("the worker runs");
    assert!(command.contains("worker.py"), "{command:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_ends_its_worker_costs_an_attempt_and_the_next_has_a_new_one() {
    let world = World::new().await;
    // The worker is given time to say that the call has begun: before that, the runner would call anew without it.
    let code = "import os, signal, time\ndef end(data):\n    if os.environ['LIMINAL_ATTEMPT'] == '1':\n        \
                time.sleep(1)\n        os.kill(os.getppid(), signal.SIGKILL)\n        signal.pause()\n    data.write_text('done')\n";
    let package = world.put_package(&[("end.py", code)]).await;
    std::fs::write(world.folder.path().join("end.py"), code).expect("written");
    let mut step = leaves(call("end", "end", package), "data", "data");
    step.retries.jitter = 1.0;
    let mut alone = Alone::within(world, step).await;
    assert!(alone.handle());
    assert_eq!(alone.world.attempts(&alone.record, "only").await, ["1.failed.json", "1.json"]);
    while alone.world.commit(&alone.record, "only").await.is_none() {
        // The pause between attempts may not be over yet.
        alone.handle();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(alone.world.ended(&alone.record).await.status, RunStatus::Succeeded);
}
