use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
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
use crate::protocol::planted;
use crate::protocol::planted::Bug;
use crate::simulated::Faults;
use crate::simulated::World;
use crate::simulated::pipeline;
use crate::simulated::pipeline::LARGE;
use crate::simulated::pipeline::SMALL;
use crate::simulated::pipeline::Size;

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
            None => check_attempts(world, record, &Unit::step(step.clone()), &place),
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
        check_attempts(world, record, &unit, place);
        let of_item: Commit = document(world, &keys::commit(pipeline, run, &unit));
        if let (Some(left), Some(_)) = (of_item.outputs.get("data"), commit.outputs.get("data")) {
            let joined = listing.files.get(&joined_name(item, "data")).map(|file| file.digest);
            assert_eq!(joined, Some(left.digest), "{step} joins what item {item} left");
        }
    }
}

/// Nobody is given up for lost who is alive and in time.
fn check_attempts(world: &World, record: &RunRecord, step: &Unit, place: &dyn Fn(&str) -> Option<usize>) {
    let (pipeline, run) = (&record.pipeline, &record.run);
    for number in 1.. {
        let next = keys::attempt(pipeline, run, step, number + 1);
        if place(&next).is_none() {
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

/// What a seed stands for: a pipeline, how many processes there are, and what brings a run forward again.
#[derive(Clone, Copy, Debug)]
struct Course {
    seed: u64,
    size: Size,
    processes: usize,
    recovery: Recovery,
}

impl Course {
    /// The course of a seed: most pipelines are small, every hundredth is large.
    fn of(seed: u64) -> Self {
        let size = if seed % 100 == 99 { LARGE } else { SMALL };
        let recovery = if seed.is_multiple_of(2) { Recovery::BySweeping } else { Recovery::ByMessages };
        Self { seed, size, processes: 1 + usize::try_from(seed / 2 % 3).expect("small"), recovery }
    }

    fn run(&self, faults: Faults) -> (Outcome, World) {
        let release = pipeline::draw(&World::calm(self.seed), self.size);
        let record = pipeline::run_record(&release, "20261124-000000-test");
        let world = World::new(self.seed, faults);
        if self.seed.is_multiple_of(3) {
            world.limit_delays(Duration::from_secs(1));
        }
        scheduler::carry_out(&world, &release, &record, self.processes, self.recovery);
        (examine(&world, &release, &record), world)
    }

    /// Whether faults change anything.
    fn check(&self) -> BTreeMap<&'static str, u64> {
        let (expected, _) = Self { processes: 1, ..*self }.run(Faults::default());
        let (found, world) = self.run(FAULTS);
        assert_eq!(found, expected);
        world.happened()
    }
}

/// Everything that goes wrong, a few times each run.
const FAULTS: Faults = Faults {
    refusals: 0.02,
    lost_responses: 0.02,
    crashes: 0.01,
    failed_attempts: 0.1,
    overruns: 0.05,
    duplicates: 0.2,
    late_duplicates: 0.02,
    skew_seconds: 15,
    at_most: 5,
    crash_at: None,
};

/// The seeds to try: `LIMINAL_SEED` for one, `LIMINAL_SEEDS` for so many, else a few hundred.
#[expect(clippy::disallowed_methods, reason = "a recipe sets them")]
fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match (number("LIMINAL_SEED"), number("LIMINAL_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(count)) => 0..count,
        (None, None) => 0..500,
    }
}

#[test]
fn faults_change_neither_digests_nor_the_end_of_a_run() {
    let seeds = seeds();
    let count = seeds.end - seeds.start;
    let next = AtomicU64::new(seeds.start);
    let happened: Mutex<BTreeMap<&str, u64>> = Mutex::default();
    let go_on = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) {
                return;
            }
            match std::panic::catch_unwind(|| Course::of(seed).check()) {
                Ok(faults) => {
                    let mut happened = happened.lock().expect("nobody panics with it");
                    faults.into_iter().for_each(|(kind, times)| *happened.entry(kind).or_default() += times);
                }
                Err(panic) => {
                    eprintln!("seed {seed} fails; to see it again: just sim SEED={seed}");
                    next.store(seeds.end, Ordering::Relaxed);
                    std::panic::resume_unwind(panic);
                }
            }
        }
    };
    // A seed is a world of its own, so that each core can have one.
    std::thread::scope(|scope| {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(go_on)).collect();
        for worker in workers {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    eprintln!("{count} seeds. What went wrong in them:");
    for (kind, times) in happened.into_inner().expect("nobody panicked with it") {
        eprintln!("  {times:>9} x {kind}");
    }
}

#[test]
fn a_process_may_die_before_and_after_every_single_operation() {
    for (seed, recovery) in [(3, Recovery::ByMessages), (8, Recovery::ByMessages), (8, Recovery::BySweeping)] {
        let course = Course { seed, size: SMALL, processes: 1, recovery };
        let (expected, calm) = course.run(Faults::default());
        for crash_at in 0..calm.operations() * 2 {
            let faults = Faults { crash_at: Some(crash_at), ..Faults::default() };
            let compared = std::panic::catch_unwind(|| assert_eq!(course.run(faults).0, expected));
            if let Err(panic) = compared {
                eprintln!("the seed is {seed}, and with recovery {recovery:?} the process dies at {crash_at}");
                std::panic::resume_unwind(panic);
            }
        }
    }
}

#[test]
fn bugs_that_are_planted_are_found() {
    let bugs = [
        Bug::CommitsReplace,
        Bug::ParentsAreNotWaitedFor,
        Bug::LeasesDoNotCount,
        Bug::BlocksCloseEarly,
        Bug::NothingFollowsASettledStep,
        Bug::RunsEndEarly,
    ];
    let found = bugs.map(|bug| {
        let fails = |seed: &u64| planted::with(bug, || std::panic::catch_unwind(|| Course::of(*seed).check())).is_err();
        (bug, (0..99).find(fails))
    });
    for (bug, seed) in found {
        eprintln!("{bug:?} is found by seed {seed:?}");
        assert!(seed.is_some(), "{bug:?} is not found");
    }
}

#[test]
fn copies_of_messages_do_not_multiply_along_a_chain_of_maps() {
    const ITEMS: u32 = 200;
    let map = |name, makers: &[&str]| pipeline::mapped(pipeline::with_inputs(pipeline::step(name), makers), ITEMS);
    let steps = [("a", map("a", &[])), ("b", map("b", &["a"])), ("c", map("c", &["b"])), ("d", map("d", &["c"]))];
    let release = pipeline::release(steps);
    let record = pipeline::run_record(&release, "20261124-000000-test");
    let world = World::new(1, Faults { duplicates: 0.5, late_duplicates: 0.2, ..Faults::default() });
    scheduler::carry_out(&world, &release, &record, 2, Recovery::ByMessages);
    examine(&world, &release, &record);
    let each = world.state().sent as f64 / f64::from(4 * ITEMS);
    eprintln!("{each:.1} messages an item");
    assert!(each < 10.0, "{each} messages an item");
}

#[test]
fn an_item_costs_as_many_requests_among_many_as_among_few() {
    let requests = |items: u32| {
        let release = pipeline::release([("score", pipeline::mapped(pipeline::step("score"), items))]);
        let record = pipeline::run_record(&release, "20261124-000000-test");
        let world = World::calm(1);
        scheduler::carry_out(&world, &release, &record, 1, Recovery::ByMessages);
        examine(&world, &release, &record);
        let each = world.operations() as f64 / f64::from(items);
        eprintln!("{items} items: {each:.2} requests each");
        each
    };
    let few = requests(1_000);
    // The largest takes a minute without optimization, so that only the nightly recipe goes that far.
    let is_nightly = std::env::var_os("LIMINAL_SEEDS").is_some();
    let larger = [10_000, 100_000];
    for items in larger.into_iter().take(if is_nightly { 2 } else { 1 }) {
        let many = requests(items);
        assert!(many <= few * 1.02, "{items} items take {many:.2} requests each, and 1000 take {few:.2}");
    }
}
