use std::time::Duration;

use liminal_schemas::keys;
use liminal_schemas::name::RunId;
use liminal_schemas::release::Release;
use liminal_schemas::run::Commit;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunStatus;
use liminal_schemas::step::StepSpec;
use tokio::sync::watch;

use super::world::Place;
use super::world::TRIGGERS;
use crate::executor::AttemptJob;
use crate::executor::AttemptOutcome;
use crate::executor::Executor;
use crate::executor::Stop;
use crate::ports::Clock;
use crate::ports::Platform;
use crate::ports::Queue;
use crate::protocol::attempt::PLATFORM_RETRIES;
use crate::runner::Events;
use crate::runner::Runner;
use crate::simulated::Faults;
use crate::simulated::SimulatedClock;
use crate::simulated::SimulatedPlatform;
use crate::simulated::World;
use crate::simulated::pipeline::gate;
use crate::simulated::pipeline::release;
use crate::simulated::pipeline::run_record;
use crate::simulated::pipeline::step;
use crate::simulated::pipeline::step_name;
use crate::simulated::pipeline::with_inputs;
use crate::simulated::polling;

const RUN: &str = "20261124-000000-test";

fn start(place: &Place, release: &Release, run: &str) -> RunRecord {
    place.deploy(release);
    let record = run_record(release, run);
    let runner = Runner::new(SimulatedPlatform::new(&place.world, "terminal", false), Events::silent());
    polling::until(&place.world, runner.start(record.clone()), Vec::new()).expect("started");
    record
}

fn sweep(place: &Place) -> Vec<String> {
    let swept = place.handle(r#"{"liminal":"sweep"}"#);
    polling::until(&place.world, swept, Vec::new()).expect("swept").notes
}

fn wait(place: &Place, duration: Duration) {
    let clock = SimulatedClock::new(place.world.clone());
    polling::until(&place.world, clock.sleep(duration), Vec::new());
}

fn chain(length: usize) -> Release {
    let names: [&'static str; 20] = [
        "s01", "s02", "s03", "s04", "s05", "s06", "s07", "s08", "s09", "s10", "s11", "s12", "s13", "s14", "s15", "s16",
        "s17", "s18", "s19", "s20",
    ];
    let steps = (0..length).map(|index| {
        let before: Vec<&str> = index.checked_sub(1).map(|before| names[before]).into_iter().collect();
        (names[index], with_inputs(step(names[index]), &before))
    });
    release(steps)
}

#[test]
fn a_run_whose_messages_were_all_lost_is_healed_by_the_sweeper() {
    let place = Place::new(World::calm(1));
    start(&place, &chain(3), RUN);
    assert!(place.world.lose_messages() > 0);
    polling::until(&place.world, place.ended(1), vec![place.worker("worker"), place.sweeper()]);
    assert_eq!(place.results()[0].status, RunStatus::Succeeded);
    assert!(!place.world.objects().contains_key(&format!("open/pipeline/{RUN}")), "no mark is left");
}

#[test]
fn a_chain_of_twenty_steps_ends_though_messages_are_lost_again_and_again() {
    for seed in 0..10 {
        let faults =
            Faults { refusals: 0.01, lost_responses: 0.01, failed_attempts: 0.05, at_most: 20, ..Faults::default() };
        let place = Place::new(World::new(seed, faults));
        let calm = Place::new(World::calm(seed));
        start(&calm, &chain(20), RUN);
        place.deploy(&chain(20));
        let record = run_record(&chain(20), RUN);
        let thief = place.clone();
        let loses = Box::pin(async move {
            let clock = SimulatedClock::new(thief.world.clone());
            let runner = Runner::new(SimulatedPlatform::new(&thief.world, "terminal", false), Events::silent());
            while runner.start(record.clone()).await.is_err() {}
            for _ in 0..10 {
                clock.sleep(Duration::from_secs(60 + thief.world.draw(300))).await;
                thief.world.lose_messages();
            }
        });
        let others: Vec<polling::Background> =
            vec![loses, place.worker("worker-1"), place.worker("worker-2"), place.sweeper()];
        polling::until(&place.world, place.ended(1), others);
        assert_eq!(place.results()[0].status, RunStatus::Succeeded, "seed {seed}");
        polling::until(&calm.world, calm.ended(1), vec![calm.worker("worker")]);
        let outputs = |place: &Place| -> Vec<_> {
            place.documents::<Commit>("runs/", "/commit.json").into_iter().map(|commit| commit.outputs).collect()
        };
        assert_eq!(outputs(&place), outputs(&calm), "seed {seed}");
    }
}

#[test]
fn a_sweep_during_a_live_attempt_changes_nothing() {
    let place = Place::new(World::calm(1));
    start(&place, &chain(2), RUN);
    let runner =
        Runner::new(SimulatedPlatform::with_executor(&place.world, "worker", false, Vanishes), Events::silent());
    assert!(polling::until(&place.world, begin_and_die(&runner), Vec::new()));
    place.world.lose_messages();
    for _ in 0..3 {
        wait(&place, Duration::from_secs(50));
        let before = place.world.objects();
        assert_eq!(sweep(&place), Vec::<String>::new());
        assert_eq!(sweep(&place), Vec::<String>::new());
        assert_eq!(place.world.objects(), before);
        assert_eq!(place.world.messages(), 0);
    }
    // The lease of the attempt ends three minutes after it was opened.
    wait(&place, Duration::from_secs(40));
    assert_eq!(sweep(&place), [format!("run {RUN} of pipeline: sent 1 messages in place of lost ones")]);
    assert_eq!(place.world.messages(), 1);
}

#[test]
fn a_step_whose_worker_always_dies_fails_by_the_sweeper_alone_and_the_run_ends() {
    let place = Place::new(World::calm(1));
    start(&place, &chain(2), RUN);
    let worker = place.clone();
    let dies = Box::pin(async move {
        loop {
            let platform = SimulatedPlatform::with_executor(&worker.world, "worker", false, Vanishes);
            if begin_and_die(&Runner::new(platform, Events::silent())).await {
                // What is never acknowledged goes to the dead-letter queue.
                worker.world.lose_messages();
            }
        }
    });
    polling::until(&place.world, place.ended(1), vec![dies, place.sweeper()]);
    let commits: Vec<Commit> = place.documents("runs/", "/commit.json");
    let failed = commits[0].failure.as_ref().expect("it failed");
    assert_eq!((commits[0].status, commits[0].attempt), (CommitStatus::Failed, Some(PLATFORM_RETRIES + 1)));
    insta::assert_snapshot!(failed.message, @"the process that ran the attempt ended without a word");
    assert_eq!(commits[1].status, CommitStatus::Skipped);
    assert_eq!(place.results()[0].status, RunStatus::Failed);
}

#[test]
fn a_step_that_no_worker_ever_begins_fails_after_a_day() {
    let place = Place::new(World::calm(1));
    start(&place, &chain(1), RUN);
    let worker = place.clone();
    let loses = Box::pin(async move {
        loop {
            SimulatedClock::new(worker.world.clone()).sleep(Duration::from_secs(30)).await;
            worker.world.lose_messages();
        }
    });
    polling::until(&place.world, place.ended(1), vec![loses, place.sweeper()]);
    let commit: Commit = place.documents("runs/", "/commit.json").remove(0);
    insta::assert_snapshot!(commit.failure.expect("it failed").message, @"no worker began the step within 24 hours, though it was ready");
    assert_eq!(place.results()[0].status, RunStatus::Failed);
}

#[test]
fn a_step_that_only_waits_to_be_settled_is_settled_by_the_sweeper() {
    let place = Place::new(World::calm(1));
    let steps: [(&'static str, StepSpec); 3] =
        [("fetch", step("fetch")), ("check", gate("1 > 2", &["fetch"])), ("last", step("last"))];
    let [fetch, check, (last, mut spec)] = steps;
    spec.after.insert(step_name("check"));
    let record = start(&place, &release([fetch, check, (last, spec)]), RUN);
    let worker = Runner::new(SimulatedPlatform::new(&place.world, "worker", false), Events::silent());
    // The worker dies after its commit, before it goes on.
    let dies = async {
        let body = format!(r#"{{"schema":1,"pipeline":"pipeline","run":"{RUN}","step":"fetch"}}"#);
        let key = keys::commit(&record.pipeline, &record.run, &step_name("fetch"));
        let (_stop, stopped) = watch::channel(Stop::No);
        let committed = std::future::poll_fn(|_| match place.world.objects().contains_key(&key) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        });
        tokio::select! {
            biased;
            () = committed => {}
            _ = worker.handle(&body, stopped) => panic!("it dies before"),
        }
    };
    polling::until(&place.world, dies, Vec::new());
    place.world.lose_messages();
    polling::until(&place.world, place.ended(1), vec![place.sweeper()]);
    assert_eq!(place.results()[0].status, RunStatus::Rejected);
}

#[test]
fn a_run_that_somebody_cancelled_is_ended_by_the_sweeper() {
    let place = Place::new(World::calm(1));
    start(&place, &chain(2), RUN);
    let cancel = br#"{"schema":1,"requested_at":"2026-11-24T06:00:00Z"}"#;
    place.world.put(&format!("runs/pipeline/{RUN}/cancel.json"), cancel);
    sweep(&place);
    assert_eq!(place.results()[0].status, RunStatus::Cancelled);
}

#[test]
fn marks_of_runs_that_have_ended_and_of_runs_that_never_came_to_be_are_removed() {
    let place = Place::new(World::calm(1));
    let record = start(&place, &chain(1), RUN);
    polling::until(&place.world, place.ended(1), vec![place.worker("worker")]);
    let since = place.world.now();
    let mark = format!(r#"{{"schema":1,"since":"{since}"}}"#);
    let never = RunId::new("20261124-000001-never").expect("valid");
    for run in [&record.run, &never] {
        place.world.put(&keys::open_run(&record.pipeline, run), mark.as_bytes());
    }
    sweep(&place);
    let marks =
        || place.world.objects().keys().filter(|key| key.starts_with(keys::OPEN_PREFIX)).cloned().collect::<Vec<_>>();
    assert_eq!(marks(), ["open/pipeline/20261124-000001-never"], "it may be about to start");
    wait(&place, Duration::from_secs(61 * 60));
    let notes = sweep(&place);
    assert_eq!(notes, ["run 20261124-000001-never of pipeline never came to be: its mark is removed"]);
    assert_eq!(marks(), Vec::<String>::new());
}

#[test]
fn a_sweep_over_many_runs_goes_on_in_further_messages_until_all_were_looked_at() {
    let place = Place::new(World::calm(7));
    for number in 0..130 {
        start(&place, &chain(1), &format!("20261124-{number:06}-test"));
    }
    place.world.lose_messages();
    wait(&place, Duration::from_secs(130));
    let platform = SimulatedPlatform::new(&place.world, "test", false);
    let mut body = Some(r#"{"liminal":"sweep"}"#.to_owned());
    let mut messages = 0;
    while let Some(message) = body {
        polling::until(&place.world, place.handle(&message), Vec::new()).expect("swept");
        messages += 1;
        let received = platform.queue().receive(TRIGGERS, Duration::from_secs(600));
        let received = polling::until(&place.world, received, Vec::new()).expect("received");
        body = received.map(|delivery| {
            polling::until(&place.world, platform.queue().delete(&delivery.receipt), Vec::new()).expect("deleted");
            delivery.body
        });
    }
    assert_eq!(messages, 3);
    assert_eq!(place.world.messages(), 130, "every run was looked at once");
}

/// Takes a message, if there is one, and dies a moment after its attempt has begun.
async fn begin_and_die<E: Executor>(runner: &Runner<SimulatedPlatform<E>>) -> bool {
    let (queue, clock) = (runner.platform().queue(), runner.platform().clock());
    let (_stop, stopped) = watch::channel(Stop::No);
    let received = queue.receive(SimulatedPlatform::QUEUE, Duration::from_secs(600)).await;
    let Ok(Some(delivery)) = received else {
        clock.sleep(Duration::from_secs(5)).await;
        return false;
    };
    tokio::select! {
        _ = runner.handle(&delivery.body, stopped) => {}
        () = clock.sleep(Duration::from_secs(2)) => {}
    }
    true
}

/// Begins every attempt and ends none.
struct Vanishes;

impl Executor for Vanishes {
    async fn execute(&self, _: AttemptJob) -> AttemptOutcome {
        std::future::pending().await
    }
}
