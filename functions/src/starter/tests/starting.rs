use std::collections::BTreeMap;

use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::message::TriggerMessage;
use liminal_schemas::name::ModelName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::release::ParamSpec;
use liminal_schemas::release::Release;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunStatus;
use liminal_schemas::step::ArtifactKind;
use liminal_schemas::step::InputSource;
use liminal_schemas::step::ModelSelector;
use liminal_schemas::trigger::Trigger;
use liminal_schemas::trigger::TriggerSource;
use liminal_schemas::value::Value;
use liminal_schemas::value::ValueType;

use super::world::Place;
use super::world::landed;
use super::world::landed_in;
use super::world::waiting;
use crate::simulated::Faults;
use crate::simulated::World;
use crate::simulated::pipeline::field;
use crate::simulated::pipeline::release;
use crate::simulated::pipeline::step;
use crate::simulated::pipeline::with_inputs;
use crate::simulated::polling;
use crate::starter::Report;
use crate::starter::StarterError;

fn two_steps() -> Release {
    let mut fetch = step("fetch");
    fetch.inputs.insert(field("object"), InputSource::Trigger);
    waiting(release([("fetch", fetch), ("next", with_inputs(step("next"), &["fetch"]))]))
}

fn handle(place: &Place, body: &str) -> Result<Report, StarterError> {
    polling::until(&place.world, place.handle(body), Vec::new())
}

fn records(place: &Place) -> Vec<RunRecord> {
    place.documents("runs/", "/run.json")
}

fn in_full(error: &StarterError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

#[test]
fn an_object_that_lands_starts_a_run_that_is_pinned_to_its_content() {
    let place = Place::new(World::calm(1));
    place.deploy(&two_steps());
    place.buckets.put("home", "in/a b.csv", "v1", "content");
    let report = handle(&place, &landed("in/a+b.csv", "v1")).expect("handled");
    let started: Vec<String> = report.started.iter().map(|(pipeline, run)| format!("{pipeline}/{run}")).collect();
    insta::assert_snapshot!(started.join(", "), @"pipeline/20261124-230239-8b63980cf9");
    polling::until(&place.world, place.ended(1), vec![place.worker("worker")]);
    assert_eq!(place.results()[0].status, RunStatus::Succeeded);
    let record = records(&place).remove(0);
    assert_eq!(record.started_by.as_deref(), Some("object s3://home/in/a b.csv"));
    let object = record.object.expect("the object");
    assert_eq!((object.uri.as_str(), object.version.as_deref()), ("s3://home/in/a b.csv", Some("v1")));
    assert_eq!(object.artifact.digest, Digest::of_bytes(b"content"));
    assert!(place.world.objects().keys().all(|key| !key.starts_with(keys::OPEN_PREFIX)), "no mark is left");
}

#[test]
fn events_that_come_twice_in_any_order_and_at_once_give_one_run_each_whatever_goes_wrong() {
    for seed in 0..60 {
        let faults = Faults {
            refusals: 0.03,
            lost_responses: 0.03,
            crashes: 0.02,
            duplicates: 0.2,
            at_most: 6,
            ..Faults::default()
        };
        let place = Place::new(World::new(seed, faults));
        place.deploy(&two_steps());
        let objects = ["in/a.csv", "in/b.csv", "in/c.csv"];
        for key in objects {
            place.buckets.put("home", key, "v1", key);
        }
        // Each event comes at least twice, to starters that work at the same time, until one has handled it.
        let mut starters: Vec<polling::Background> = Vec::new();
        for number in 0..9_u64 {
            let (place, key) = (place.clone(), objects[usize::try_from((number + seed) % 3).expect("small")]);
            starters.push(Box::pin(async move {
                for life in 0..20 {
                    let process = format!("starter-{number}-{life}");
                    let (starter, now) = (place.starter(&process), place.world.now());
                    let body = landed(key, "v1");
                    let handled = starter.handle(&body, now, now.plus_millis(60_000));
                    let died = async {
                        let clock = crate::simulated::SimulatedClock::new(place.world.clone());
                        while !place.world.is_dead(&process) {
                            crate::ports::Clock::sleep(&clock, std::time::Duration::from_secs(1)).await;
                        }
                    };
                    tokio::select! {
                        result = handled => if result.is_ok() { return },
                        () = died => {}
                    }
                }
            }));
        }
        starters.extend((0..12).map(|number| place.worker(&format!("worker-{number}"))));
        starters.push(place.sweeper());
        polling::until(&place.world, place.ended(3), starters);
        let started: Vec<String> = records(&place).into_iter().filter_map(|record| record.started_by).collect();
        assert_eq!(started.len(), 3, "seed {seed}: {started:?}");
        assert!(place.results().iter().all(|result| result.status == RunStatus::Succeeded), "seed {seed}");
    }
}

#[test]
fn a_run_stays_on_the_release_that_was_live_when_it_started() {
    let place = Place::new(World::calm(1));
    place.deploy(&two_steps());
    place.buckets.put("home", "in/a.csv", "v1", "content");
    handle(&place, &landed("in/a.csv", "v1")).expect("handled");
    let mut newer = two_steps();
    newer.owner = Some("somebody".to_owned());
    place.deploy(&newer);
    let report = handle(&place, &landed("in/a.csv", "v1")).expect("handled");
    assert_eq!(report.started.len(), 1);
    let records = records(&place);
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].revision, two_steps().revision());
}

#[test]
fn what_no_trigger_waits_for_and_what_liminal_wrote_itself_starts_nothing() {
    let place = Place::new(World::calm(1));
    let mut all = two_steps();
    all.triggers[0].on = TriggerSource::Object { bucket: None, prefix: String::new(), suffix: ".csv".to_owned() };
    place.deploy(&all);
    for (bucket, key) in [("home", "in/a.txt"), ("other", "in/a.csv"), ("home", "project/prod/artifacts/a.csv")] {
        place.buckets.put(bucket, key, "v1", "content");
        let report = handle(&place, &landed_in(bucket, key, "v1")).expect("handled");
        assert_eq!(report, Report::default(), "{key}");
    }
    // A suffix may not take back what the prefix already took.
    let mut narrow = two_steps();
    narrow.triggers[0].on =
        TriggerSource::Object { bucket: None, prefix: "in/x".to_owned(), suffix: "x.csv".to_owned() };
    place.deploy(&narrow);
    place.buckets.put("home", "in/x.csv", "v1", "content");
    assert_eq!(handle(&place, &landed("in/x.csv", "v1")).expect("handled"), Report::default());
    assert!(records(&place).is_empty());
}

#[test]
fn an_object_that_is_gone_by_then_starts_nothing_and_says_so() {
    let place = Place::new(World::calm(1));
    place.deploy(&two_steps());
    let report = handle(&place, &landed("in/a.csv", "v1")).expect("handled");
    assert_eq!(report.notes, ["s3://home/in/a.csv is gone or was replaced, so that it starts no run"]);
    assert!(records(&place).is_empty());
}

#[test]
fn a_schedule_starts_one_run_for_each_time_it_fires_for_with_the_triggers_parameters() {
    let place = Place::new(World::calm(1));
    let mut scheduled = release([("fetch", step("fetch"))]);
    let number = |default: Option<i64>| ParamSpec {
        value_type: ValueType::Int,
        default: default.map(Value::Int),
        min: None,
        max: Some(10.0),
        choices: Vec::new(),
    };
    scheduled.params = BTreeMap::from([(field("seed"), number(Some(1))), (field("size"), number(Some(2)))]);
    let on = TriggerSource::Schedule { expression: "rate(1 hour)".to_owned(), timezone: "UTC".to_owned() };
    let trigger = Trigger { on, params: BTreeMap::from([(field("seed"), Value::Int(7))]) };
    scheduled.triggers.push(trigger.clone());
    place.deploy(&scheduled);
    let fired = |time: &str| {
        let message = TriggerMessage::schedule(scheduled.pipeline.clone(), trigger.digest());
        message.body().replace(liminal_schemas::message::SCHEDULED_TIME, time)
    };
    for time in ["2026-11-24T06:00:00Z", "2026-11-24T07:00:00Z", "2026-11-24T06:00:00Z"] {
        handle(&place, &fired(time)).expect("handled");
    }
    let started = records(&place);
    assert_eq!(started.len(), 2);
    assert!(started[0].run.as_str().starts_with("20261124-060000-"));
    assert_eq!(started[0].started_by.as_deref(), Some("schedule rate(1 hour)"));
    assert_eq!(started[0].params, BTreeMap::from([(field("seed"), Value::Int(7)), (field("size"), Value::Int(2))]));
    // One that fires for a time it does not tell goes by when its message was sent.
    handle(&place, &fired("<aws.scheduler.scheduled-time>")).expect("handled");
    assert_eq!(records(&place).len(), 3);
    // A schedule that the live release no longer has starts nothing.
    place.deploy(&release([("fetch", step("fetch"))]));
    let report = handle(&place, &fired("2026-11-24T08:00:00Z")).expect("handled");
    assert_eq!(report.notes, ["a schedule of pipeline fired that its live release does not have"]);
    assert_eq!(records(&place).len(), 3);
}

#[test]
fn a_run_that_can_not_start_leaves_its_message_until_it_can() {
    let place = Place::new(World::calm(1));
    let mut needy = two_steps();
    let spec = ParamSpec { value_type: ValueType::Int, default: None, min: None, max: None, choices: Vec::new() };
    needy.params.insert(field("seed"), spec.clone());
    place.deploy(&needy);
    place.buckets.put("home", "in/a.csv", "v1", "content");
    let error = handle(&place, &landed("in/a.csv", "v1")).expect_err("no value");
    insta::assert_snapshot!(in_full(&error), @"pipeline pipeline can not start: neither its trigger nor a default gives parameter seed a value");
    needy.params.insert(field("seed"), ParamSpec { default: Some(Value::Int(1)), ..spec });
    let model = ModelName::new("toy").expect("valid");
    let source = InputSource::Model { name: model.clone(), version: ModelSelector::Alias(field("champion")) };
    let fetch = needy.steps.values_mut().next().expect("a step");
    fetch.inputs.insert(field("model"), source);
    place.deploy(&needy);
    let error = handle(&place, &landed("in/a.csv", "v1")).expect_err("no model");
    insta::assert_snapshot!(in_full(&error), @"pipeline pipeline can not start: input model of step fetch needs models.toy@champion, which does not exist");
    assert!(records(&place).is_empty());
    let artifact = Artifact { digest: Digest::of_bytes(b"m"), kind: ArtifactKind::File, bytes: 1 };
    let version = format!(
        r#"{{"schema":1,"model":"toy","version":3,"artifact":{},"run":"20261124-000000-test","pipeline":"pipeline","step":"s",
        "revision":"{}","source":{{}},"registered_at":"2026-11-24T06:00:00Z"}}"#,
        serde_json::to_string(&artifact).expect("serialises"),
        artifact.digest.hex()
    );
    place.world.put(&keys::model_version(&model, 3), version.as_bytes());
    let alias = br#"{"schema":1,"version":3,"moved_at":"2026-11-24T06:00:00Z"}"#;
    place.world.put(&keys::model_alias(&model, &field("champion")), alias);
    handle(&place, &landed("in/a.csv", "v1")).expect("handled");
    let pinned = records(&place).remove(0).models;
    assert_eq!(pinned.get("fetch.model").map(|pinned| pinned.version), Some(3));
}

#[test]
fn one_pipeline_that_can_not_start_keeps_none_of_the_others_from_starting() {
    let place = Place::new(World::calm(1));
    place.deploy(&two_steps());
    let mut other = two_steps();
    other.pipeline = PipelineName::new("another").expect("valid");
    place.deploy(&other);
    place.world.put(&keys::release(&other.pipeline, &other.revision()), b"{\"schema\":1,\"damaged\":");
    place.buckets.put("home", "in/a.csv", "v1", "content");
    handle(&place, &landed("in/a.csv", "v1")).expect_err("the other pipeline is damaged");
    assert_eq!(records(&place).len(), 1);
}

#[test]
fn messages_that_make_no_sense_are_dropped_with_a_note() {
    let place = Place::new(World::calm(1));
    for body in ["", "null", "{}", "\u{fffd}", r#"{"Records":{}}"#, r#"{"liminal":"schedule","pipeline":"../x"}"#] {
        let report = handle(&place, body).expect("handled");
        assert_eq!((report.started.len(), report.notes.len()), (0, 1), "{body}: {report:?}");
    }
}
