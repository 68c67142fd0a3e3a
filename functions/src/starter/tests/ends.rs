use std::collections::BTreeMap;
use std::time::Duration;

use liminal_schemas::keys;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::release::ParamSpec;
use liminal_schemas::release::Release;
use liminal_schemas::run::EndedRun;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunStatus;
use liminal_schemas::trigger::EndFact;
use liminal_schemas::trigger::RunEnd;
use liminal_schemas::trigger::Trigger;
use liminal_schemas::trigger::TriggerSource;
use liminal_schemas::value::Value;
use liminal_schemas::value::ValueType;

use super::world::Place;
use crate::ports::Clock;
use crate::runner::Events;
use crate::runner::Runner;
use crate::simulated::Faults;
use crate::simulated::SimulatedClock;
use crate::simulated::SimulatedPlatform;
use crate::simulated::World;
use crate::simulated::pipeline::field;
use crate::simulated::pipeline::gate;
use crate::simulated::pipeline::release;
use crate::simulated::pipeline::run_record;
use crate::simulated::pipeline::step;
use crate::simulated::polling;

const RUN: &str = "20261124-000000-test";

fn named(name: &str, mut release: Release) -> Release {
    release.pipeline = PipelineName::new(name).expect("valid");
    release
}

/// Starts when `train` has ended like this, and is told which run that was.
fn follower(name: &str, result: RunEnd) -> Release {
    let mut release = named(name, release([("score", step("score"))]));
    let text = |value: &str| ParamSpec {
        value_type: ValueType::String,
        default: Some(Value::Text(value.to_owned())),
        min: None,
        max: None,
        choices: Vec::new(),
    };
    release.params = BTreeMap::from([(field("of"), text("none")), (field("how"), text("none"))]);
    let params = BTreeMap::from([(field("of"), EndFact::Run), (field("how"), EndFact::Result)]);
    let on = TriggerSource::Finished { pipeline: PipelineName::new("train").expect("valid"), result, params };
    release.triggers.push(Trigger { on, params: BTreeMap::new() });
    release
}

fn start(place: &Place, release: &Release, follows: Option<EndedRun>) {
    place.deploy(release);
    let record = RunRecord { follows, ..run_record(release, RUN) };
    let runner = Runner::new(SimulatedPlatform::new(&place.world, "terminal", false), Events::silent());
    polling::until(&place.world, runner.start(record), Vec::new()).expect("started");
}

fn sweep(place: &Place) -> Vec<String> {
    polling::until(&place.world, place.handle(r#"{"liminal":"sweep"}"#), Vec::new()).expect("swept").notes
}

fn records(place: &Place, pipeline: &str) -> Vec<RunRecord> {
    place.documents(&format!("runs/{pipeline}/"), "/run.json")
}

fn marks(place: &Place) -> usize {
    place.world.objects().keys().filter(|key| key.starts_with(keys::OPEN_PREFIX)).count()
}

#[test]
fn the_end_of_a_run_starts_what_waits_for_such_an_end_once() {
    let place = Place::new(World::calm(1));
    for (name, result) in [("score", RunEnd::Succeeded), ("tell", RunEnd::Any), ("mend", RunEnd::Failed)] {
        place.deploy(&follower(name, result));
    }
    sweep(&place);
    start(&place, &named("train", release([("fit", step("fit"))])), None);
    polling::until(&place.world, place.ended(1), vec![place.worker("worker")]);
    assert_eq!(marks(&place), 1, "its mark is left to the starter");
    assert_eq!(sweep(&place), Vec::<String>::new());
    assert_eq!(
        (records(&place, "score").len(), records(&place, "tell").len(), records(&place, "mend").len()),
        (1, 1, 0)
    );
    let record = records(&place, "score").remove(0);
    assert_eq!(record.params[&field("of")], Value::Text(RUN.to_owned()));
    assert_eq!(record.params[&field("how")], Value::Text("succeeded".to_owned()));
    assert_eq!(record.started_by.as_deref(), Some("end of run 20261124-000000-test of train"));
    assert_eq!(record.scheduled(), records(&place, "train").remove(0).scheduled(), "it is for the same time");
    let follows = record.follows.clone().expect("it follows");
    assert_eq!((follows.run.as_str(), follows.status, follows.hops), (RUN, RunStatus::Succeeded, 1));
    // A crash after the start and before the mark went leads to the same again.
    place.world.put(
        &keys::open_run(&PipelineName::new("train").expect("valid"), &RunId::new(RUN).expect("valid")),
        br#"{"schema":1,"since":"2026-11-24T00:00:00.000Z"}"#,
    );
    sweep(&place);
    assert_eq!(records(&place, "score"), [record]);
    polling::until(&place.world, place.ended(3), vec![place.worker("worker"), place.sweeper()]);
    sweep(&place);
    assert_eq!(marks(&place), 0);
}

#[test]
fn a_run_that_nobody_waits_for_takes_its_own_mark_away() {
    let place = Place::new(World::calm(1));
    place.deploy(&follower("score", RunEnd::Succeeded));
    sweep(&place);
    start(&place, &named("other", release([("fit", step("fit"))])), None);
    polling::until(&place.world, place.ended(1), vec![place.worker("worker")]);
    assert_eq!(marks(&place), 0);
    assert!(records(&place, "score").is_empty());
    // What no longer waits is forgotten.
    place.deploy(&named("score", release([("score", step("score"))])));
    sweep(&place);
    assert!(!place.world.objects().keys().any(|key| key.starts_with(keys::LISTENERS_PREFIX)));
}

#[test]
fn a_gate_that_refuses_is_an_end_of_its_own_kind() {
    let place = Place::new(World::calm(1));
    for (name, result) in [("score", RunEnd::Succeeded), ("mend", RunEnd::Failed), ("ask", RunEnd::Rejected)] {
        place.deploy(&follower(name, result));
    }
    sweep(&place);
    start(&place, &named("train", release([("good", gate("1 > 2", &[]))])), None);
    polling::until(&place.world, place.ended(1), vec![place.worker("worker")]);
    sweep(&place);
    assert_eq!(
        (records(&place, "score").len(), records(&place, "mend").len(), records(&place, "ask").len()),
        (0, 0, 1)
    );
}

#[test]
fn what_follows_too_often_or_too_late_starts_nothing_and_the_log_says_so() {
    let train = named("train", release([("fit", step("fit"))]));
    let place = Place::new(World::calm(1));
    place.deploy(&follower("score", RunEnd::Any));
    sweep(&place);
    let (pipeline, run) = (train.pipeline.clone(), RunId::new("20261123-000000-test").expect("valid"));
    start(&place, &train, Some(EndedRun { pipeline, run, status: RunStatus::Succeeded, hops: 16 }));
    polling::until(&place.world, place.ended(1), vec![place.worker("worker")]);
    insta::assert_snapshot!(sweep(&place).join("\n"), @"run 20261124-000000-test of train ended as the last of 17 that follow from each other, so that it starts no run of score");
    assert_eq!((records(&place, "score").len(), marks(&place)), (0, 0));

    let place = Place::new(World::calm(1));
    place.deploy(&follower("score", RunEnd::Any));
    sweep(&place);
    start(&place, &train, None);
    polling::until(&place.world, place.ended(1), vec![place.worker("worker")]);
    let clock = SimulatedClock::new(place.world.clone());
    polling::until(&place.world, clock.sleep(Duration::from_secs(25 * 60 * 60)), Vec::new());
    insta::assert_snapshot!(sweep(&place).join("\n"), @"run 20261124-000000-test of train ended a day ago, so that it starts no run of score");
    assert_eq!((records(&place, "score").len(), marks(&place)), (0, 0));
}

#[test]
fn every_end_starts_one_run_whatever_goes_wrong() {
    for seed in 0..60 {
        let faults = Faults { refusals: 0.03, lost_responses: 0.03, duplicates: 0.2, at_most: 10, ..Faults::default() };
        let place = Place::new(World::new(seed, faults));
        place.deploy(&follower("score", RunEnd::Any));
        let train = named("train", release([("fit", step("fit")), ("test", step("test"))]));
        place.deploy(&train);
        let starter = {
            let (place, train) = (place.clone(), train.clone());
            Box::pin(async move {
                let clock = SimulatedClock::new(place.world.clone());
                while place.handle(r#"{"liminal":"sweep"}"#).await.is_err()
                    || !place.world.objects().contains_key(&keys::listeners(&train.pipeline))
                {
                    clock.sleep(Duration::from_secs(1)).await;
                }
                for number in 0..3 {
                    let record = run_record(&train, &format!("20261124-00000{number}-test"));
                    let runner = Runner::new(SimulatedPlatform::new(&place.world, "terminal", false), Events::silent());
                    while runner.start(record.clone()).await.is_err() {
                        clock.sleep(Duration::from_secs(1)).await;
                    }
                }
            })
        };
        let background: Vec<polling::Background> = vec![starter, place.worker("worker"), place.sweeper()];
        polling::until(&place.world, place.ended(6), background);
        assert_eq!((records(&place, "train").len(), records(&place, "score").len()), (3, 3), "seed {seed}");
    }
}
