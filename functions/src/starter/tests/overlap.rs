use std::time::Duration;

use liminal_schemas::keys;
use liminal_schemas::message::TriggerMessage;
use liminal_schemas::release::Release;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunStatus;
use liminal_schemas::run_policy::Overlap;
use liminal_schemas::run_policy::RunPolicy;
use liminal_schemas::step::InputSource;
use liminal_schemas::step::StepSpec;
use liminal_schemas::trigger::Trigger;
use liminal_schemas::trigger::TriggerSource;

use super::world::Place;
use super::world::landed;
use super::world::waiting;
use crate::ports::Clock;
use crate::simulated::Faults;
use crate::simulated::SimulatedClock;
use crate::simulated::World;
use crate::simulated::pipeline::field;
use crate::simulated::pipeline::release;
use crate::simulated::pipeline::step;
use crate::simulated::polling;

fn scoring(overlap: Overlap, most: u32) -> Release {
    let mut score = step("score");
    score.inputs.insert(field("object"), InputSource::Trigger);
    let tell = StepSpec { finally: true, ..step("tell") };
    let mut release = waiting(release([("score", score), ("tell", tell)]));
    release.runs = RunPolicy { overlap, max_concurrent_runs: Some(most), deadline_seconds: None };
    release
}

/// A world in which so many objects landed, one after the other, before any worker came.
fn landed_objects(overlap: Overlap, most: u32, count: usize) -> (Place, Vec<String>) {
    let place = Place::new(World::calm(1));
    place.deploy(&scoring(overlap, most));
    let notes = (0..count).flat_map(|number| land(&place, number)).collect();
    (place, notes)
}

fn land(place: &Place, number: usize) -> Vec<String> {
    let key = format!("in/{number}.csv");
    place.buckets.put("home", &key, "v1", &key);
    // Ids of runs sort by the second of their event.
    let body = landed(&key, "v1").replace("23:02:39.512", &format!("23:02:{:02}.000", 10 + number));
    polling::until(&place.world, place.handle(&body), Vec::new()).expect("handled").notes
}

fn sweep(place: &Place) -> Vec<String> {
    polling::until(&place.world, place.handle(r#"{"liminal":"sweep"}"#), Vec::new()).expect("swept").notes
}

fn objects(place: &Place, prefix: &str, suffix: &str) -> usize {
    place.world.objects().keys().filter(|key| key.starts_with(prefix) && key.ends_with(suffix)).count()
}

#[test]
fn runs_that_may_not_overlap_do_not_start_while_one_is_open() {
    let (place, notes) = landed_objects(Overlap::Forbid, 1, 2);
    insta::assert_snapshot!(notes.join("\n"), @"run 20261124-230211-8a83dc9e19 of pipeline does not start, since run 20261124-230210-d60c48b2b3 has not ended");
    polling::until(&place.world, place.ended(1), vec![place.worker("worker")]);
    assert_eq!(land(&place, 3), Vec::<String>::new(), "there is room again");
    assert_eq!(objects(&place, "runs/", "/run.json"), 2);
}

#[test]
fn runs_wait_in_their_order_and_all_of_them_come_to_an_end() {
    let (place, notes) = landed_objects(Overlap::Queue, 2, 5);
    insta::assert_snapshot!(notes.join("\n"), @"
    run 20261124-230212-043146fe28 of pipeline waits until run 20261124-230210-d60c48b2b3, run 20261124-230211-8a83dc9e19 has ended
    run 20261124-230213-02729ea3e4 of pipeline waits until run 20261124-230210-d60c48b2b3, run 20261124-230211-8a83dc9e19 has ended
    run 20261124-230214-7449f3d2c7 of pipeline waits until run 20261124-230210-d60c48b2b3, run 20261124-230211-8a83dc9e19 has ended
    ");
    assert_eq!(objects(&place, "runs/", "/run.json"), 2);
    assert_eq!(objects(&place, keys::WAITING_PREFIX, ""), 3);
    assert_eq!(sweep(&place), Vec::<String>::new(), "there is no room yet");
    polling::until(&place.world, place.ended(5), vec![place.worker("worker"), place.sweeper()]);
    assert_eq!(objects(&place, keys::WAITING_PREFIX, ""), 0);
    let mut records: Vec<RunRecord> = place.documents("runs/", "/run.json");
    records.sort_by_key(|record| record.started_at);
    let order: Vec<&str> = records.iter().map(|record| record.run.as_str()).collect();
    assert!(order.is_sorted(), "{order:?}");
    assert!(place.results().iter().all(|result| result.status == RunStatus::Succeeded));
    assert!(records.iter().all(|record| record.object.is_some()), "each has the object of its event");
}

#[test]
fn a_run_takes_the_place_of_the_oldest_and_that_one_still_cleans_up() {
    let (place, notes) = landed_objects(Overlap::Replace, 1, 2);
    insta::assert_snapshot!(notes.join("\n"), @"run 20261124-230210-d60c48b2b3 of pipeline is cancelled: run 20261124-230211-8a83dc9e19 takes its place");
    polling::until(&place.world, place.ended(2), vec![place.worker("worker")]);
    let mut results = place.results();
    results.sort_by(|a, b| a.run.cmp(&b.run));
    assert_eq!(results[0].status, RunStatus::Cancelled);
    insta::assert_snapshot!(format!("{:?}", results[0].steps.values().collect::<Vec<_>>()), @"[Skipped, Succeeded]");
    assert_eq!(results[1].status, RunStatus::Succeeded);
}

#[test]
fn a_run_that_waited_for_a_week_is_dropped() {
    let (place, _) = landed_objects(Overlap::Queue, 1, 2);
    let clock = SimulatedClock::new(place.world.clone());
    polling::until(&place.world, clock.sleep(Duration::from_secs(8 * 24 * 60 * 60)), Vec::new());
    let notes = sweep(&place);
    assert!(notes.iter().any(|note| note.ends_with("is dropped, since it waited for a week")), "{notes:?}");
    assert_eq!(objects(&place, keys::WAITING_PREFIX, ""), 0);
}

#[test]
fn events_that_come_twice_are_one_run_whatever_goes_wrong_while_it_waits() {
    for seed in 0..40 {
        let faults = Faults { refusals: 0.03, lost_responses: 0.03, duplicates: 0.2, at_most: 8, ..Faults::default() };
        let place = Place::new(World::new(seed, faults));
        place.deploy(&scoring(Overlap::Queue, 1));
        let mut starters: Vec<polling::Background> = Vec::new();
        for number in 0..6_u64 {
            let key = format!("in/{}.csv", number % 3);
            place.buckets.put("home", &key, "v1", &key);
            let place = place.clone();
            starters.push(Box::pin(async move { while place.handle(&landed(&key, "v1")).await.is_err() {} }));
        }
        starters.push(place.worker("worker"));
        starters.push(place.sweeper());
        polling::until(&place.world, place.ended(3), starters);
        assert_eq!(objects(&place, "runs/", "/run.json"), 3, "seed {seed}");
        assert!(place.results().iter().all(|result| result.status == RunStatus::Succeeded), "seed {seed}");
    }
}

#[test]
fn a_run_past_its_deadline_is_ended_by_the_sweeper_and_says_so() {
    let place = Place::new(World::calm(1));
    let mut release = release([("work", step("work")), ("tell", StepSpec { finally: true, ..step("tell") })]);
    release.runs.deadline_seconds = Some(600);
    let on = TriggerSource::Schedule { expression: "rate(1 hour)".to_owned(), timezone: "UTC".to_owned() };
    let trigger = Trigger { on, params: std::collections::BTreeMap::new() };
    release.triggers.push(trigger.clone());
    place.deploy(&release);
    let body = TriggerMessage::schedule(release.pipeline.clone(), trigger.digest()).body();
    let body = body.replace(liminal_schemas::message::SCHEDULED_TIME, "2026-11-24T23:00:00Z");
    polling::until(&place.world, place.handle(&body), Vec::new()).expect("handled");
    let record: RunRecord = place.documents("runs/", "/run.json").remove(0);
    assert_eq!(record.deadline, Some(record.started_at.plus_millis(600_000)));
    assert_eq!(record.scheduled().partition, "2026-11-24");
    let clock = SimulatedClock::new(place.world.clone());
    polling::until(&place.world, clock.sleep(Duration::from_secs(601)), Vec::new());
    sweep(&place);
    polling::until(&place.world, place.ended(1), vec![place.worker("worker")]);
    let result = place.results().remove(0);
    assert_eq!(result.status, RunStatus::Failed);
    insta::assert_snapshot!(format!("{:?}", result.steps), @r#"{StepName("tell"): Succeeded, StepName("work"): Skipped}"#);
}
