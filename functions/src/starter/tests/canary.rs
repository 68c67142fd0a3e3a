use std::collections::BTreeMap;

use liminal_schemas::canary::Canary;
use liminal_schemas::canary::DEFAULT_TOLERATED;
use liminal_schemas::canary::Share;
use liminal_schemas::canary::WHOLE;
use liminal_schemas::keys;
use liminal_schemas::release::ParamSpec;
use liminal_schemas::release::Release;
use liminal_schemas::run::RunRecord;
use liminal_schemas::state::LivePointer;
use liminal_schemas::step::InputSource;
use liminal_schemas::time::UtcTime;
use liminal_schemas::value::ValueType;

use super::world::Place;
use super::world::landed;
use super::world::waiting;
use crate::simulated::World;
use crate::simulated::pipeline::field;
use crate::simulated::pipeline::release;
use crate::simulated::pipeline::step;
use crate::simulated::polling;

fn version(timeout: u64) -> Release {
    let mut fetch = step("fetch");
    fetch.inputs.insert(field("object"), InputSource::Trigger);
    fetch.timeout_seconds = timeout;
    waiting(release([("fetch", fetch)]))
}

/// A place with a live release and another one on trial.
fn place(tried: &Release, share: u32) -> Place {
    let place = Place::new(World::calm(1));
    let live = version(60);
    place.deploy(&live);
    let (revision, since) = (tried.revision(), UtcTime::from_millis(1_000));
    place.world.put(&keys::release(&tried.pipeline, &revision), &serde_json::to_vec(tried).expect("serialises"));
    let canary = Canary { revision, share: Share::new(share), tolerated: DEFAULT_TOLERATED, since };
    let pointer = LivePointer { canary: Some(canary), ..LivePointer::new(live.revision(), since) };
    place.world.put(&keys::live(&live.pipeline), &serde_json::to_vec(&pointer).expect("serialises"));
    place
}

fn land(place: &Place, number: usize) -> Vec<String> {
    let (key, version) = (format!("in/{number}.csv"), "v1");
    place.buckets.put("home", &key, version, "content");
    let report = polling::until(&place.world, place.handle(&landed(&key, version)), Vec::new());
    report.expect("handled").notes
}

fn records(place: &Place) -> Vec<RunRecord> {
    place.documents("runs/", "/run.json")
}

#[test]
fn events_that_come_twice_go_to_the_release_that_their_run_id_chooses() {
    let tried = version(61);
    let place = place(&tried, WHOLE / 2);
    for number in 0..40 {
        assert_eq!(land(&place, number), [""; 0]);
        assert_eq!(land(&place, number), [""; 0]);
    }
    let records = records(&place);
    assert_eq!(records.len(), 40);
    let pointer: LivePointer = place.documents(keys::LIVE_PREFIX, ".json").remove(0);
    let canary = pointer.canary.expect("on trial");
    for record in &records {
        let is_taken = canary.takes(&record.run);
        assert_eq!(record.canary.is_some(), is_taken, "{}", record.run);
        assert_eq!(record.revision == tried.revision(), is_taken, "{}", record.run);
    }
    let taken = records.iter().filter(|record| record.canary.is_some()).count();
    assert!((10..30).contains(&taken), "{taken}");
}

#[test]
fn the_ends_of_runs_are_counted_once_by_the_sweeper_and_no_mark_is_left() {
    let place = place(&version(61), WHOLE);
    for number in 0..5 {
        land(&place, number);
    }
    polling::until(&place.world, place.ended(5), vec![place.worker("worker")]);
    for _ in 0..2 {
        let swept = polling::until(&place.world, place.handle(r#"{"liminal":"sweep"}"#), Vec::new());
        assert_eq!(swept.expect("swept").notes, [""; 0]);
    }
    let objects = place.world.objects();
    let count = |prefix: &str| objects.keys().filter(|key| key.starts_with(prefix)).count();
    assert_eq!((count(keys::CANARY_OPEN_PREFIX), count("canary/ended/")), (0, 5));
}

#[test]
fn a_canary_that_can_not_take_a_run_comes_off_and_the_run_goes_to_what_is_live() {
    let mut tried = version(61);
    let needed = ParamSpec { value_type: ValueType::Int, default: None, min: None, max: None, choices: Vec::new() };
    tried.params = BTreeMap::from([(field("needed"), needed)]);
    let place = place(&tried, WHOLE);
    let notes = land(&place, 0);
    assert!(notes.len() == 1 && notes[0].contains("is aborted: run"), "{notes:?}");
    assert!(notes[0].contains("gives parameter needed a value"), "{notes:?}");
    let record = records(&place).remove(0);
    assert_eq!((record.canary, record.revision), (None, version(60).revision()));
    let pointer: LivePointer = place.documents(keys::LIVE_PREFIX, ".json").remove(0);
    assert_eq!((pointer.canary, pointer.aborted.map(|it| it.revision)), (None, Some(tried.revision())));
    assert_eq!(land(&place, 1), [""; 0]);
}
