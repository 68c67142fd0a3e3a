use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use liminal_schemas::keys;
use liminal_schemas::run::AttemptRecord;
use liminal_schemas::run::CancelRequest;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::run::EndReason;
use liminal_schemas::run::ModelAlias;
use liminal_schemas::run::ModelVersion;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::run::RunCache;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunStatus;
use liminal_schemas::run::SkipReason;
use liminal_schemas::step::FailureClass;
use liminal_schemas::step::Retries;
use liminal_schemas::step::StepSpec;
use liminal_schemas::time::UtcTime;
use tokio::sync::mpsc;
use tokio::sync::watch;

use crate::clock::SystemClock;
use crate::executor::Stop;
use crate::local::drive::Drive;
use crate::local::drive::DriveError;
use crate::local::drive::Driven;
use crate::local::drive::cancel_idle;
use crate::local::drive::drive;
use crate::local::drive::is_driven;
use crate::local::lock::DriverLock;
use crate::ports::Clock;
use crate::ports::ObjectStore;
use crate::runner::Events;
use crate::runner::RunEvent;
use crate::runner::RunnerError;
use crate::simulated::pipeline::gate;
use crate::simulated::pipeline::release;
use crate::simulated::pipeline::step;
use crate::simulated::pipeline::step_name;
use crate::simulated::pipeline::with_inputs;

use super::place::Place;
use super::place::reading;
use super::place::statuses;
use super::place::training;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_goes_from_fetch_to_a_registered_model_and_the_next_is_cached() {
    let place = Place::new(training()).await;
    let first = place.record();
    let result = place.run(&first).await;
    insta::assert_snapshot!(statuses(&result), @"succeeded: evaluate succeeded, fetch succeeded, register succeeded, slow-a succeeded, slow-b succeeded, validate succeeded");
    assert_eq!(place.executor.most.load(Ordering::SeqCst), 2, "steps that can run at once do");
    let registered = place.commit(&first, "register").await;
    let champion: ModelAlias = place.read("models/model/aliases/champion.json").await;
    assert_eq!(registered.model.expect("registered").version, champion.version);
    let version: ModelVersion = place.read("models/model/versions/00000001.json").await;
    assert_eq!(version.metrics.get("evaluate.auc"), Some(&0.9));

    let second = place.record();
    let result = place.run(&second).await;
    insta::assert_snapshot!(statuses(&result), @"succeeded: evaluate cached, fetch cached, register cached, slow-a cached, slow-b cached, validate cached");
    assert_eq!(place.executor.started().len(), 4, "nothing is started again");
    assert_eq!(place.commit(&second, "fetch").await.cached_from, Some(first.run));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fresh_steps_run_again_and_no_cache_runs_all() {
    let place = Place::new(training()).await;
    place.run(&place.record()).await;
    let fresh = RunCache { off: false, fresh: [step_name("evaluate")].into() };
    let result = place.run(&RunRecord { cache: fresh, ..place.record() }).await;
    insta::assert_snapshot!(statuses(&result), @"succeeded: evaluate succeeded, fetch cached, register cached, slow-a cached, slow-b cached, validate cached");
    let off = RunCache { off: true, ..RunCache::default() };
    let result = place.run(&RunRecord { cache: off, ..place.record() }).await;
    insta::assert_snapshot!(statuses(&result), @"succeeded: evaluate succeeded, fetch succeeded, register succeeded, slow-a succeeded, slow-b succeeded, validate succeeded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cached_result_whose_artifact_is_gone_or_whose_entry_is_corrupt_is_made_again() {
    let place = Place::new(release([("fetch", step("fetch"))])).await;
    let first = place.record();
    place.run(&first).await;
    let commit = place.commit(&first, "fetch").await;
    place.environment.store.delete(&keys::artifact(&commit.outputs["data"].digest)).await.expect("deleted");
    assert_eq!(statuses(&place.run(&place.record()).await), "succeeded: fetch succeeded");
    assert_eq!(statuses(&place.run(&place.record()).await), "succeeded: fetch cached");
    place.overwrite(&keys::cache(&commit.cache_key.expect("a key")), b"{\"schema\":1,\"pipel");
    assert_eq!(statuses(&place.run(&place.record()).await), "succeeded: fetch succeeded");
    assert_eq!(statuses(&place.run(&place.record()).await), "succeeded: fetch cached");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_step_skips_what_depends_on_it_and_finally_still_runs() {
    let place = Place::new(release([
        ("broken", step("broken")),
        ("after", with_inputs(step("after"), &["broken"])),
        ("other", step("other")),
        ("notify", StepSpec { finally: true, ..step("notify") }),
    ]))
    .await;
    let record = place.record();
    let result = place.run(&record).await;
    insta::assert_snapshot!(statuses(&result), @"failed: after skipped, broken failed, notify succeeded, other succeeded");
    let skipped = place.commit(&record, "after").await.skipped;
    assert_eq!(skipped, Some(SkipReason::Upstream(step_name("broken"))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_gate_rejects_the_run_and_keeps_the_model_from_being_registered() {
    let mut release = training();
    release.steps.insert(step_name("validate"), gate("metrics.evaluate.auc > 0.95", &["evaluate"]));
    let place = Place::new(release).await;
    let record = place.record();
    let result = place.run(&record).await;
    insta::assert_snapshot!(statuses(&result), @"rejected: evaluate succeeded, fetch succeeded, register skipped, slow-a succeeded, slow-b succeeded, validate rejected");
    let checks = place.commit(&record, "validate").await.checks;
    assert_eq!(checks.len(), 1);
    assert!(!checks[0].passed);
    assert!(place.environment.store.list("models/").await.expect("listed").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_false_condition_skips_a_step_and_those_that_need_its_data_alone() {
    let conditional = StepSpec { when: Some("1 > 2".to_owned()), ..step("maybe") };
    let place = Place::new(release([
        ("maybe", conditional),
        ("needs", with_inputs(step("needs"), &["maybe"])),
        ("follows", reading(step("follows"), &["maybe"])),
    ]))
    .await;
    let result = place.run(&place.record()).await;
    insta::assert_snapshot!(statuses(&result), @"succeeded: follows succeeded, maybe skipped, needs skipped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_retried_as_often_as_the_step_says() {
    let retries = |max| Retries { max, backoff_seconds: 0.01, ..Retries::default() };
    let place = Place::new(release([
        ("flaky", StepSpec { retries: retries(2), ..step("flaky") }),
        ("broken", StepSpec { retries: retries(1), ..step("broken") }),
    ]))
    .await;
    let (sender, mut events) = mpsc::unbounded_channel();
    let options = place.options(Events::to(sender));
    let start = Drive::Start(Box::new(place.record()));
    let driven = drive(&place.environment, Arc::clone(&place.executor), start, options).await.expect("driven");
    let Driven::Finished(result) = driven else { panic!("nobody interrupts") };
    insta::assert_snapshot!(statuses(&result), @"failed: broken failed, flaky succeeded");
    let mut started = place.executor.started();
    started.sort();
    insta::assert_snapshot!(started.join(" "), @"broken#1 broken#2 flaky#1 flaky#2 flaky#3");
    let mut last = None;
    let mut retried = 0;
    while let Ok(event) = events.try_recv() {
        retried += usize::from(matches!(event, RunEvent::AttemptFailed { retry_in: Some(_), .. }));
        last = Some(event);
    }
    assert_eq!(retried, 3);
    assert_eq!(last, Some(RunEvent::RunFinished { status: RunStatus::Failed }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_run_is_resumed_and_ends() {
    let place = Place::new(release([("endless", step("endless")), ("fetch", step("fetch"))])).await;
    let record = place.record();
    let interrupt = async {
        while place.executor.started().len() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        place.stop.send_replace(Stop::Gracefully);
    };
    let start = Drive::Start(Box::new(record.clone()));
    let (driven, ()) = tokio::join!(place.drive(start), interrupt);
    assert_eq!(driven.expect("driven"), Driven::Interrupted);
    assert_eq!(place.commit(&record, "fetch").await.status, CommitStatus::Succeeded);
    assert_eq!(is_driven(&place.environment.locks, &record.run).expect("looked"), None);

    place.stop.send_replace(Stop::No);
    let again = async {
        while place.executor.started().len() < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(is_driven(&place.environment.locks, &record.run).expect("looked").is_some());
        place.stop.send_replace(Stop::Gracefully);
    };
    let (driven, ()) = tokio::join!(place.resume(&record), again);
    assert_eq!(driven.expect("driven"), Driven::Interrupted);
    assert_eq!(place.executor.started().last().map(String::as_str), Some("endless#2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_driver_was_killed_is_resumed_without_repeating_what_is_committed() {
    let place = Place::new(training()).await;
    let record = place.record();
    let store = &place.environment.store;
    // What a driver leaves that is killed while `slow-a` runs: an attempt with a live lease, and `fetch` committed.
    place.run(&record).await;
    for step in ["slow-a", "evaluate", "validate", "register"] {
        store.delete(&keys::commit(&record.pipeline, &record.run, &step_name(step))).await.expect("deleted");
    }
    store.delete(&keys::result(&record.pipeline, &record.run)).await.expect("deleted");
    for key in store.list("cache/").await.expect("listed") {
        store.delete(&key).await.expect("deleted");
    }
    let before = place.executor.started().len();
    let Driven::Finished(result) = place.resume(&record).await.expect("driven") else { panic!("nobody interrupts") };
    insta::assert_snapshot!(statuses(&result), @"succeeded: evaluate succeeded, fetch succeeded, register succeeded, slow-a succeeded, slow-b succeeded, validate succeeded");
    let mut started = place.executor.started().split_off(before);
    started.sort();
    insta::assert_snapshot!(started.join(" "), @"evaluate#2 slow-a#2");
    let versions = store.list("models/model/versions/").await.expect("listed");
    assert_eq!(versions.len(), 1, "the registration is found again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_cancelled_through_its_driver_or_without_one() {
    let place = Place::new(release([
        ("endless", step("endless")),
        ("next", with_inputs(step("next"), &["endless"])),
        ("notify", StepSpec { finally: true, ..step("notify") }),
    ]))
    .await;
    let record = place.record();
    let asks = async {
        while place.executor.started().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        place.overwrite(&keys::cancel(&record.pipeline, &record.run), &cancel_request());
        cancel_idle(&place.environment, &record.pipeline, &record.run).await
    };
    let start = Drive::Start(Box::new(record.clone()));
    let (driven, asked) = tokio::join!(place.drive(start), asks);
    assert!(matches!(asked, Err(DriveError::Lock(_))), "whoever drives the run is left to end it");
    let Driven::Finished(result) = driven.expect("driven") else { panic!("nobody interrupts") };
    insta::assert_snapshot!(statuses(&result), @"cancelled: endless failed, next skipped, notify succeeded");

    let idle = place.record();
    let bytes = serde_json::to_vec(&idle).expect("serialises");
    place.environment.store.put_if_absent(&keys::run(&idle.pipeline, &idle.run), &bytes).await.expect("written");
    place.overwrite(&keys::cancel(&idle.pipeline, &idle.run), &cancel_request());
    let left = cancel_idle(&place.environment, &idle.pipeline, &idle.run).await.expect("cancelled");
    assert_eq!(left, None, "what stands under `finally:` is for whoever goes on with the run");
    let Driven::Finished(result) = place.resume(&idle).await.expect("driven") else { panic!("nobody interrupts") };
    insta::assert_snapshot!(statuses(&result), @"cancelled: endless skipped, next skipped, notify succeeded");
    let ended = cancel_idle(&place.environment, &idle.pipeline, &idle.run).await.expect("looked at");
    assert_eq!(ended, Some(result));
}

fn cancel_request() -> Vec<u8> {
    let request = CancelRequest { schema: RUN_SCHEMA, by: None, requested_at: SystemClock.now() };
    serde_json::to_vec(&request).expect("serialises")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_fails_at_its_deadline_and_finally_still_runs() {
    let place = Place::new(release([
        ("endless", step("endless")),
        ("next", with_inputs(step("next"), &["endless"])),
        ("slow-notify", StepSpec { finally: true, ..step("notify") }),
    ]))
    .await;
    let record = RunRecord { deadline: Some(SystemClock.now().plus_millis(300)), ..place.record() };
    let result = place.run(&record).await;
    insta::assert_snapshot!(statuses(&result), @"failed: endless failed, next skipped, slow-notify succeeded");
    let failure = place.commit(&record, "endless").await.failure.expect("it failed");
    let deadline = record.deadline.expect("set");
    assert_eq!(failure.message, format!("it was still under way at the deadline of the run, {deadline}"));
    assert_eq!(place.commit(&record, "next").await.skipped, Some(SkipReason::Deadline));

    // Nobody drove this one while its deadline passed.
    let idle = RunRecord { deadline: Some(UtcTime::from_millis(1)), ..place.record() };
    let bytes = serde_json::to_vec(&idle).expect("serialises");
    place.environment.store.put_if_absent(&keys::run(&idle.pipeline, &idle.run), &bytes).await.expect("written");
    let Driven::Finished(result) = place.resume(&idle).await.expect("driven") else { panic!("nobody interrupts") };
    insta::assert_snapshot!(statuses(&result), @"failed: endless skipped, next skipped, slow-notify succeeded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_driven_by_one_process_at_a_time() {
    let place = Place::new(training()).await;
    let record = place.record();
    let locks = place.environment.locks.clone();
    let lock = DriverLock::take(&locks, &record.run, SystemClock.now()).expect("free");
    let error = place.drive(Drive::Start(Box::new(record.clone()))).await.expect_err("held");
    let text = error.to_string();
    assert!(text.starts_with("run 20261124-000000-test is being driven by process "), "{text}");
    drop(lock);
    assert_eq!(place.run(&record).await.status, RunStatus::Succeeded);
    assert_eq!(fs::read_dir(&locks).expect("a folder").count(), 0, "no lock file is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starting_another_run_under_a_taken_id_is_refused() {
    let place = Place::new(release([("fetch", step("fetch"))])).await;
    let record = place.record();
    place.run(&record).await;
    let other = RunRecord { started_by: Some("someone else".to_owned()), ..record };
    let error = place.drive(Drive::Start(Box::new(other))).await.expect_err("taken");
    insta::assert_snapshot!(error, @"pipeline pipeline already has a run 20261124-000000-test");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_make_no_sense_are_named_and_nothing_hangs() {
    let place = Place::new(release([("fetch", step("fetch")), ("next", with_inputs(step("next"), &["fetch"]))])).await;
    let record = place.record();
    place.run(&record).await;
    let fetch = step_name("fetch");
    let commit_key = keys::commit(&record.pipeline, &record.run, &fetch);
    let result_key = keys::result(&record.pipeline, &record.run);
    place.environment.store.delete(&result_key).await.expect("deleted");

    place.overwrite(&commit_key, b"{\"schema\":1,\"run\":\"2026");
    let error = place.resume(&record).await.expect_err("corrupt");
    insta::assert_snapshot!(error, @"object runs/pipeline/20261124-000000-test/steps/fetch/commit.json is corrupt");

    place.overwrite(&commit_key, b"{\"schema\":99}");
    let error = place.resume(&record).await.expect_err("too new");
    insta::assert_snapshot!(error, @"object runs/pipeline/20261124-000000-test/steps/fetch/commit.json has schema 99, and this liminal knows only 1");

    place.environment.store.delete(&commit_key).await.expect("deleted");
    place.overwrite(&keys::attempt(&record.pipeline, &record.run, &fetch, 1), b"");
    for key in place.environment.store.list("cache/").await.expect("listed") {
        place.environment.store.delete(&key).await.expect("deleted");
    }
    let Driven::Finished(result) = place.resume(&record).await.expect("driven") else { panic!("nobody interrupts") };
    assert_eq!(result.status, RunStatus::Failed);
    let failed = place.commit(&record, "fetch").await.failure.expect("failed");
    insta::assert_snapshot!(failed.message, @"object runs/pipeline/20261124-000000-test/steps/fetch/attempts/1.json is corrupt: EOF while parsing a value at line 1 column 0");

    place.overwrite(&keys::run(&record.pipeline, &record.run), b"[]");
    place.environment.store.delete(&result_key).await.expect("deleted");
    let error = place.resume(&record).await.expect_err("corrupt");
    insta::assert_snapshot!(error, @"object runs/pipeline/20261124-000000-test/run.json is corrupt");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_is_altered_is_told_and_one_that_is_gone_ends_its_run() {
    let place = Place::new(release([("fetch", step("fetch"))])).await;
    let record = place.record();
    let key = keys::release(&record.pipeline, &record.revision);
    let other = serde_json::to_vec(&training()).expect("serialises");
    place.overwrite(&key, &other);
    let error = place.drive(Drive::Start(Box::new(record.clone()))).await.expect_err("altered");
    assert!(matches!(error, DriveError::Runner(RunnerError::AlteredRelease { .. })));
    place.environment.store.delete(&key).await.expect("deleted");
    let Driven::Finished(result) = place.resume(&record).await.expect("it ends") else { panic!("nobody stops it") };
    assert_eq!((result.status, result.reason), (RunStatus::Failed, Some(EndReason::ReleaseGone)));
    let another = place.record();
    let error = place.drive(Drive::Start(Box::new(another.clone()))).await.expect_err("gone");
    assert!(matches!(error, DriveError::Runner(RunnerError::Replaced { .. })));
    let run_key = keys::run(&another.pipeline, &another.run);
    assert!(!place.environment.store.exists(&run_key).await.expect("looked"), "nothing was started");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_kills_its_driver_every_time_comes_to_an_end() {
    let place = Place::new(release([("fetch", step("fetch"))])).await;
    let record = place.record();
    let run = serde_json::to_vec(&record).expect("serialises");
    place.environment.store.put_if_absent(&keys::run(&record.pipeline, &record.run), &run).await.expect("written");
    for attempt in 1..=6 {
        let opened = AttemptRecord {
            item: None,
            schema: RUN_SCHEMA,
            run: record.run.clone(),
            step: step_name("fetch"),
            attempt,
            nonce: format!("nonce-{attempt}"),
            worker: format!("killed-{attempt}"),
            started_at: UtcTime::from_millis(0),
            lease_until: SystemClock.now().plus_millis(3_600_000),
        };
        let bytes = serde_json::to_vec(&opened).expect("serialises");
        place.overwrite(&keys::attempt(&record.pipeline, &record.run, &opened.step, attempt), &bytes);
    }
    let Driven::Finished(result) = place.resume(&record).await.expect("driven") else { panic!("nobody interrupts") };
    assert_eq!(statuses(&result), "failed: fetch failed");
    assert!(place.executor.started().is_empty());
    let failed = place.commit(&record, "fetch").await.failure.expect("failed");
    assert_eq!(failed.class, FailureClass::Infrastructure);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_takes_as_many_slots_as_it_says_but_never_more_than_there_are() {
    let wide = |name, cpu| {
        let mut spec = step(name);
        spec.resources.cpu = cpu;
        spec
    };
    let place =
        Place::new(release([("slow-a", wide("a", 2)), ("slow-b", wide("b", 64)), ("slow-c", wide("c", 2))])).await;
    assert_eq!(place.run(&place.record()).await.status, RunStatus::Succeeded);
    assert_eq!(place.executor.most.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_goes_on_when_nobody_is_left_who_could_stop_it() {
    let mut place = Place::new(training()).await;
    let record = place.record();
    let options = place.options(Events::silent());
    place.stop = watch::channel(Stop::No).0;
    let driving = drive(&place.environment, Arc::clone(&place.executor), Drive::Start(Box::new(record)), options);
    assert!(matches!(driving.await.expect("driven"), Driven::Finished(_)));
}
