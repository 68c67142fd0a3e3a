use std::collections::BTreeMap;
use std::time::Duration;

use liminal_schemas::digest::Digest;
use liminal_schemas::graph::Graph;
use liminal_schemas::keys;
use liminal_schemas::map::MapRecord;
use liminal_schemas::map::joined_name;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::StepName;
use liminal_schemas::release::Release;
use liminal_schemas::run::AttemptFailure;
use liminal_schemas::run::AttemptRecord;
use liminal_schemas::run::Commit;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::run::DirectoryListing;
use liminal_schemas::run::ModelVersion;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunResult;
use liminal_schemas::step::InputSource;
use liminal_schemas::unit::Unit;

use super::scheduler;
use super::scheduler::Recovery;
use crate::protocol::attempt::lost_worker;
use crate::simulated::Faults;
use crate::simulated::World;
use crate::simulated::pipeline;

/// What a run left, without times and names of processes.
#[derive(Debug, PartialEq)]
struct Outcome {
    result: RunResult,
    outputs: BTreeMap<StepName, (CommitStatus, BTreeMap<FieldName, Digest>)>,
    model_versions: Vec<(StepName, Digest)>,
}

fn document<T: serde::de::DeserializeOwned>(world: &World, key: &str) -> T {
    let state = world.state();
    let (bytes, _) = state.objects.get(key).unwrap_or_else(|| panic!("{key} is there"));
    serde_json::from_slice(bytes).expect("a document")
}

/// Checks what must hold in every world, and tells what the run left.
fn examine(world: &World, release: &Release, record: &RunRecord) -> Outcome {
    let (pipeline, run) = (&record.pipeline, &record.run);
    let created = world.created();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, key) in created.iter().enumerate() {
        // The mark of a run that has ended goes, and may come again for a moment.
        let is_mark = key.starts_with(keys::OPEN_PREFIX);
        assert!(places.insert(key, place).is_none() || is_mark, "{key} was created twice");
    }
    let place = |key: &str| places.get(key).copied();
    let graph = Graph::new(&release.steps).expect("a graph");
    let mut outputs = BTreeMap::new();
    for (step, spec) in &release.steps {
        let committed = place(&keys::commit(pipeline, run, step)).expect("every step has a commit");
        let commit: Commit = document(world, &keys::commit(pipeline, run, step));
        let opened = place(&keys::attempt(pipeline, run, step, 1)).unwrap_or(committed);
        for parent in graph.parents(step) {
            let before = place(&keys::commit(pipeline, run, parent)).expect("every parent has a commit");
            assert!(before < opened, "{step} started before {parent} was committed");
        }
        match &spec.map {
            None => check_attempts(world, record, &Unit::step(step.clone())),
            Some(_) if commit.items.is_none() => {}
            Some(_) => check_items(world, record, &commit, &place),
        }
        for (input, digest) in &commit.inputs {
            let Some(InputSource::Output { step: maker, output }) = spec.inputs.get(input) else { continue };
            let made: Commit = document(world, &keys::commit(pipeline, run, maker));
            assert_eq!(made.outputs.get(output).map(|made| made.digest), Some(*digest), "{step} got what {maker} left");
        }
        let digests = commit.outputs.iter().map(|(name, artifact)| (name.clone(), artifact.digest)).collect();
        // A result from the cache is the same result.
        let status = if commit.status == CommitStatus::Cached { CommitStatus::Succeeded } else { commit.status };
        outputs.insert(step.clone(), (status, digests));
    }
    let ended = place(&keys::result(pipeline, run)).expect("the run ended");
    for step in release.steps.keys() {
        assert!(place(&keys::commit(pipeline, run, step)) < Some(ended), "the run ended before {step}");
    }
    let mut result: RunResult = document(world, &keys::result(pipeline, run));
    result.ended_at = record.started_at;
    for status in result.steps.values_mut().filter(|status| **status == CommitStatus::Cached) {
        *status = CommitStatus::Succeeded;
    }
    let versions: Vec<String> = created.iter().filter(|key| key.contains("/versions/")).cloned().collect();
    let mut model_versions: Vec<(StepName, Digest)> = versions
        .iter()
        .map(|key| document::<ModelVersion>(world, key))
        .map(|version| (version.step, version.artifact.digest))
        .collect();
    model_versions.sort();
    Outcome { result, outputs, model_versions }
}

/// Every item of a step has its commit, made before that of the step, and what it left is in its place.
fn check_items(world: &World, record: &RunRecord, commit: &Commit, place: &dyn Fn(&str) -> Option<usize>) {
    let (pipeline, run, step) = (&record.pipeline, &record.run, &commit.step);
    let map: MapRecord = document(world, &keys::map(pipeline, run, step));
    let ended = place(&keys::commit(pipeline, run, step));
    let listing: DirectoryListing = match commit.outputs.get("data") {
        Some(data) => document(world, &keys::artifact(&data.digest)),
        None => DirectoryListing::default(),
    };
    assert_eq!(commit.items.map(|counts| counts.items), Some(map.items), "{step} counts its items");
    for item in 0..map.items {
        let unit = Unit::item(step.clone(), item);
        let settled = place(&keys::commit(pipeline, run, &unit)).expect("every item has a commit");
        assert!(Some(settled) < ended, "{step} ended before its item {item}");
        check_attempts(world, record, &unit);
        let of_item: Commit = document(world, &keys::commit(pipeline, run, &unit));
        if let (Some(left), Some(_)) = (of_item.outputs.get("data"), commit.outputs.get("data")) {
            let joined = listing.files.get(&joined_name(item, "data")).map(|file| file.digest);
            assert_eq!(joined, Some(left.digest), "{step} joins what item {item} left");
        }
    }
}

/// Nobody is given up for lost who is alive and in time.
fn check_attempts(world: &World, record: &RunRecord, step: &Unit) {
    let (pipeline, run) = (&record.pipeline, &record.run);
    let created = world.created();
    for number in 1.. {
        let next = keys::attempt(pipeline, run, step, number + 1);
        if !created.contains(&next) {
            return;
        }
        let next: AttemptRecord = document(world, &next);
        let attempt: AttemptRecord = document(world, &keys::attempt(pipeline, run, step, number));
        let failed: AttemptFailure = document(world, &keys::attempt_failure(pipeline, run, step, number));
        let lost = failed.failure == lost_worker();
        let in_time = next.started_at < attempt.lease_until && !world.is_dead(&attempt.worker);
        assert!(!(lost && in_time), "attempt {number} at {step} was given up for lost too early");
    }
}

fn outcome(seed: u64, faults: Faults, processes: usize, recovery: Recovery) -> (Outcome, u64) {
    let release = pipeline::draw(&World::calm(seed));
    let record = pipeline::run_record(&release, "20261124-000000-test");
    let world = World::new(seed, faults);
    if seed.is_multiple_of(3) {
        world.limit_delays(Duration::from_secs(1));
    }
    scheduler::carry_out(&world, &release, &record, processes, recovery);
    (examine(&world, &release, &record), world.operations())
}

#[test]
fn faults_change_neither_digests_nor_the_end_of_a_run() {
    for seed in 0..400_u64 {
        let faults = Faults {
            refusals: 0.02,
            lost_responses: 0.02,
            crashes: 0.01,
            failed_attempts: 0.1,
            overruns: 0.05,
            duplicates: 0.2,
            at_most: 5,
            crash_at: None,
        };
        let compared = std::panic::catch_unwind(|| {
            let recovery = if seed.is_multiple_of(2) { Recovery::BySweeping } else { Recovery::ByMessages };
            let (expected, _) = outcome(seed, Faults::default(), 1, recovery);
            let (found, _) = outcome(seed, faults, 1 + usize::try_from(seed / 2 % 3).expect("small"), recovery);
            assert_eq!(found, expected);
        });
        if let Err(panic) = compared {
            eprintln!("the seed is {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn a_process_may_die_before_and_after_every_single_operation() {
    for (seed, recovery) in [(3, Recovery::ByMessages), (8, Recovery::ByMessages), (8, Recovery::BySweeping)] {
        let (expected, operations) = outcome(seed, Faults::default(), 1, recovery);
        for crash_at in 0..operations * 2 {
            let faults = Faults { crash_at: Some(crash_at), ..Faults::default() };
            let compared = std::panic::catch_unwind(|| assert_eq!(outcome(seed, faults, 1, recovery).0, expected));
            if let Err(panic) = compared {
                eprintln!("the seed is {seed}, and with recovery {recovery:?} the process dies at {crash_at}");
                std::panic::resume_unwind(panic);
            }
        }
    }
}
