//! Applies that remove what nobody needs, while runs start on it: the real engine and the real runner over one simulated
//! store, in every order and with every fault that a seed gives.

use std::cell::Cell;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Context;
use std::task::Waker;
use std::time::Duration;

use liminal_functions::executor::Stop;
use liminal_functions::ports::Clock as _;
use liminal_functions::ports::Etag;
use liminal_functions::ports::ObjectStore as _;
use liminal_functions::ports::Platform as _;
use liminal_functions::ports::Put;
use liminal_functions::ports::Queue as _;
use liminal_functions::ports::Swap;
use liminal_functions::runner::Events;
use liminal_functions::runner::Handled;
use liminal_functions::runner::Runner;
use liminal_functions::runner::RunnerError;
use liminal_functions::simulated::Faults;
use liminal_functions::simulated::SimulatedClock;
use liminal_functions::simulated::SimulatedPlatform;
use liminal_functions::simulated::SimulatedStore;
use liminal_functions::simulated::World;
use liminal_infra::apply::ApplyRequest;
use liminal_infra::apply::Ports;
use liminal_infra::apply::apply;
use liminal_infra::memory::MemoryPython;
use liminal_infra::observe::observe;
use liminal_infra::plan::Desired;
use liminal_infra::plan::Revised;
use liminal_infra::plan::Rollout;
use liminal_infra::plan::Target;
use liminal_infra::plan::plan;
use liminal_infra::ports::Clock;
use liminal_infra::ports::Object;
use liminal_infra::ports::Objects;
use liminal_infra::ports::PortError;
use liminal_infra::resources::LocalResources;
use liminal_infra::state::LockRequest;
use liminal_infra::state::load;
use liminal_schemas::digest::Digest;
use liminal_schemas::files::ProjectFile;
use liminal_schemas::files::ProjectFiles;
use liminal_schemas::files::RefusedFile;
use liminal_schemas::keys;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::name::RunId;
use liminal_schemas::plan::Operation;
use liminal_schemas::release::RELEASE_SCHEMA;
use liminal_schemas::release::Release;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunResult;
use liminal_schemas::run::RunStatus;
use liminal_schemas::run::SourceVersion;
use liminal_schemas::state::LivePointer;
use liminal_schemas::state::LockHolder;
use liminal_schemas::time::UtcTime;
use serde_json::json;
use tokio::sync::watch;

const SEEDS: u64 = 300;
const VERSIONS: u32 = 4;
const RUNS: u32 = 4;

/// More polls than any of these worlds takes.
const MAX_POLLS: u32 = 100_000;

/// How much time passes at least when nobody does anything.
const TICK: Duration = Duration::from_millis(50);
const VISIBILITY: Duration = Duration::from_secs(45);

const FAULTS: Faults = Faults {
    refusals: 0.01,
    lost_responses: 0.01,
    crashes: 0.01,
    failed_attempts: 0.0,
    overruns: 0.0,
    duplicates: 0.1,
    late_duplicates: 0.0,
    skew_seconds: 5,
    at_most: 4,
    crash_at: None,
};

#[test]
fn a_run_that_starts_while_its_release_is_collected_runs_to_its_end_all_the_same() {
    let mut happened = Happened::default();
    for seed in 0..SEEDS {
        let course = Course::new(seed, Start::Looking);
        course.carry_out();
        for (run, result) in course.results() {
            let result = result.unwrap_or_else(|| panic!("seed {seed}: {run} has not ended"));
            assert_eq!((result.status, result.reason), (RunStatus::Succeeded, None), "seed {seed}: {run}");
        }
        for (run, revision) in course.pinned() {
            let key = keys::release(&pipeline(), &revision);
            assert!(course.world.objects().contains_key(&key), "seed {seed}: the release of {run} is gone");
        }
        happened.add(&course.happened.borrow());
    }
    eprintln!("{happened:?}");
    let Happened { replaced, skipped, deleted } = happened;
    assert!(replaced > 0 && skipped > 0 && deleted > 0, "each came about: {replaced}, {skipped}, {deleted}");
}

#[test]
fn a_run_that_starts_without_looking_loses_its_release_in_some_order() {
    let loses = |seed: &u64| {
        let course = Course::new(*seed, Start::Blindly);
        course.carry_out();
        course.results().values().flatten().any(|result| result.reason.is_some())
    };
    let seed = (0..SEEDS).find(loses);
    eprintln!("seed {seed:?}");
    assert!(seed.is_some(), "the simulation finds nothing");
}

/// How runs start.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    /// As the runner does it.
    Looking,
    /// With the record of the run alone.
    Blindly,
}

/// How often something came about.
#[derive(Debug, Default)]
struct Happened {
    /// A run found that its release does not stand.
    replaced: u32,
    /// An apply left a deletion out.
    skipped: usize,
    /// A release was deleted.
    deleted: usize,
}

impl Happened {
    fn add(&mut self, other: &Self) {
        self.replaced += other.replaced;
        self.skipped += other.skipped;
        self.deleted += other.deleted;
    }
}

/// Applies of one version after another, and runs that start meanwhile.
#[derive(Clone)]
struct Course {
    world: World,
    start: Start,
    applied: Rc<Cell<u32>>,
    begun: Rc<Cell<u32>>,
    happened: Rc<RefCell<Happened>>,
}

impl Course {
    fn new(seed: u64, start: Start) -> Self {
        let world = World::new(seed, FAULTS);
        Self { world, start, applied: Rc::default(), begun: Rc::default(), happened: Rc::default() }
    }

    fn carry_out(&self) {
        // Applies wait by this clock, which is set on with that of the world.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(self.carry_on());
    }

    /// Lets processes apply, start and carry out, and replaces those that die.
    async fn carry_on(&self) {
        let mut born = 0;
        let mut new_task = |role: Role| {
            born += 1;
            let name = format!("process-{born}");
            let course = self.clone();
            let future: Pin<Box<dyn Future<Output = ()>>> = match role {
                Role::Applies => Box::pin({
                    let name = name.clone();
                    async move { course.apply_all(&name).await }
                }),
                Role::Starts => Box::pin({
                    let name = name.clone();
                    async move { course.start_all(&name).await }
                }),
                Role::Works => Box::pin({
                    let name = name.clone();
                    async move { course.work(&name).await }
                }),
            };
            Task { role, name, ended: false, future }
        };
        let mut tasks: Vec<Task> = [Role::Applies, Role::Starts, Role::Starts, Role::Works].map(&mut new_task).into();
        for _ in 0..MAX_POLLS {
            let before = self.world.activity();
            let mut changed = false;
            let first = usize::try_from(self.world.draw(4)).expect("few");
            for offset in 0..tasks.len() {
                let index = (first + offset) % tasks.len();
                // Whoever is slow is left alone for a while, at any moment.
                if tasks[index].ended || self.world.draw(3) == 0 {
                    changed |= !tasks[index].ended;
                    continue;
                }
                let poll = tasks[index].future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                tasks[index].ended = poll.is_ready();
                changed |= tasks[index].ended;
                if self.world.is_dead(&tasks[index].name) {
                    tasks[index] = new_task(tasks[index].role);
                    changed = true;
                }
            }
            if tasks.iter().all(|task| task.ended) {
                return;
            }
            if !changed && self.world.activity() == before {
                let now = self.world.now();
                self.world.pass_time();
                tokio::time::advance(Duration::from_secs_f64(self.world.now().seconds_since(now)).max(TICK)).await;
            }
        }
        panic!("it does not end");
    }

    async fn apply_all(&self, process: &str) {
        let clock = SimulatedClock::new(self.world.clone());
        while self.applied.get() < VERSIONS {
            clock.sleep(Duration::from_secs(self.world.draw(8))).await;
            if self.deploy(process, self.applied.get()).await.is_ok() {
                self.applied.set(self.applied.get() + 1);
            }
        }
    }

    async fn deploy(&self, process: &str, version: u32) -> Result<(), PortError> {
        let objects = Shared(SimulatedStore::new(self.world.clone(), process));
        let (python, packages) = (MemoryPython::default(), BTreeMap::new());
        let resources = LocalResources { objects: &objects, python: &python, files: &NoFiles, packages: &packages };
        let desired = desired(version);
        let state = load(&objects, &environment()).await?;
        let observed = observe(&objects, &resources, &desired, state.as_ref()).await?;
        let plan = plan(&desired, state.as_ref(), &observed)?;
        let clock = Time(self.world.clone());
        let ports = Ports { objects: &objects, resources: &resources, clock: &clock };
        let request = ApplyRequest {
            tree: Some(plan.base.tree),
            id: process.to_owned(),
            lineage: "lineage".to_owned(),
            by: None,
            trigger: None,
            lock: LockRequest { holder: holder(process), timeout: Duration::ZERO, is_alive: &|_| false },
            spill: Path::new("/dev/null"),
            lifetime: None,
            delete_data: false,
            stop: &|| false,
            events: &|_| {},
        };
        let report = apply(&plan, &ports, request).await?;
        let deletes = |operation: &&Operation| operation.deleted_release().is_some();
        let mut happened = self.happened.borrow_mut();
        happened.skipped += report.skipped.iter().filter(deletes).count();
        happened.deleted += plan.operations.iter().filter(deletes).count();
        Ok(())
    }

    async fn start_all(&self, process: &str) {
        let runner = self.runner(process);
        let clock = SimulatedClock::new(self.world.clone());
        while self.begun.get() < RUNS {
            let number = self.begun.get();
            clock.sleep(Duration::from_secs(self.world.draw(8))).await;
            if self.begin(&runner, &run_id(number)).await.is_ok() && self.begun.get() == number {
                self.begun.set(number + 1);
            }
        }
    }

    /// Starts a run on what is live, unless it was started.
    async fn begin(&self, runner: &Runner<SimulatedPlatform>, run: &RunId) -> Result<(), RunnerError> {
        let store = runner.platform().store();
        let key = keys::run(&pipeline(), run);
        let record = match store.get(&key).await? {
            Some(there) => serde_json::from_slice(&there.bytes).expect("a record"),
            None => {
                let Some(live) = store.get(&keys::live(&pipeline())).await? else {
                    return Err(RunnerError::NoRun { pipeline: pipeline(), run: run.clone() });
                };
                let live: LivePointer = serde_json::from_slice(&live.bytes).expect("a pointer");
                // Whoever starts a run may be held up just here.
                runner.platform().clock().sleep(Duration::from_secs(self.world.draw(6))).await;
                record(run, live.revision)
            }
        };
        let started = match self.start {
            Start::Looking => runner.start(record).await,
            Start::Blindly => {
                store.put_if_absent(&key, &serde_json::to_vec(&record).expect("JSON")).await?;
                runner.sweep(&pipeline(), run).await
            }
        };
        if matches!(started, Err(RunnerError::Replaced { .. })) {
            self.happened.borrow_mut().replaced += 1;
        }
        started
    }

    /// Handles messages, and looks after open runs, until all runs have ended.
    async fn work(&self, process: &str) {
        let runner = self.runner(process);
        let clock = SimulatedClock::new(self.world.clone());
        let (_stop, stopped) = watch::channel(Stop::No);
        let queue = runner.platform().queue();
        loop {
            match queue.receive(SimulatedPlatform::QUEUE, VISIBILITY).await {
                Ok(Some(delivery)) => {
                    if let Ok(Handled::Done) = runner.handle(&delivery.body, stopped.clone()).await {
                        // What is not deleted comes again.
                        drop(queue.delete(&delivery.receipt).await);
                    }
                }
                Ok(None) | Err(_) => {
                    clock.sleep(Duration::from_secs(5)).await;
                    for number in 0..self.begun.get() {
                        // What can not be looked at now is looked at the next time.
                        drop(runner.heal(&pipeline(), &run_id(number)).await);
                    }
                    let all_begun = self.begun.get() == RUNS && self.applied.get() == VERSIONS;
                    if all_begun && self.results().values().all(Option::is_some) {
                        return;
                    }
                }
            }
        }
    }

    fn runner(&self, process: &str) -> Runner<SimulatedPlatform> {
        Runner::new(SimulatedPlatform::new(&self.world, process, false), Events::silent())
    }

    fn results(&self) -> BTreeMap<RunId, Option<RunResult>> {
        let objects = self.world.objects();
        let result = |run: RunId| {
            let bytes = objects.get(&keys::result(&pipeline(), &run));
            let result = bytes.map(|bytes| serde_json::from_slice(bytes).expect("a result"));
            (run, result)
        };
        (0..RUNS).map(run_id).map(result).collect()
    }

    fn pinned(&self) -> BTreeMap<RunId, Digest> {
        let objects = self.world.objects();
        let revision = |run: RunId| {
            let record: RunRecord = serde_json::from_slice(&objects[&keys::run(&pipeline(), &run)]).expect("a record");
            (run, record.revision)
        };
        (0..RUNS).map(run_id).map(revision).collect()
    }
}

#[derive(Clone, Copy)]
enum Role {
    Applies,
    Starts,
    Works,
}

struct Task {
    role: Role,
    name: String,
    ended: bool,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

fn pipeline() -> PipelineName {
    PipelineName::new("train").expect("a name")
}

fn environment() -> EnvironmentName {
    EnvironmentName::new("simulated").expect("a name")
}

fn run_id(number: u32) -> RunId {
    RunId::new(format!("20261128-00000{number}-test")).expect("an id")
}

fn record(run: &RunId, revision: Digest) -> RunRecord {
    serde_json::from_value(json!({
        "schema": RUN_SCHEMA, "run": run, "pipeline": pipeline(), "revision": revision, "source": {},
        "started_at": UtcTime::from_millis(1_800_000_000_000),
    }))
    .expect("a record")
}

/// One pipeline of two steps, which keeps nothing that is replaced.
fn desired(version: u32) -> Desired {
    let release: Release = serde_json::from_value(json!({
        "schema": RELEASE_SCHEMA, "project": "shop", "pipeline": pipeline(), "params": {}, "steps": {
            "fetch": step(&["work", &format!("v{version}")], &[]),
            "fit": step(&["work", "fit"], &["fetch"]),
        },
    }))
    .expect("a release");
    let target = Target {
        project: ProjectName::new("shop").expect("a name"),
        environment: environment(),
        source: SourceVersion::default(),
        tree: Digest::of_document(&version),
        keep: 0,
    };
    Desired {
        target,
        releases: BTreeMap::from([(pipeline(), Revised::from(release))]),
        packages: BTreeMap::new(),
        cloud: BTreeMap::new(),
        placements: Vec::new(),
        rollout: Rollout::default(),
        notes: Vec::new(),
    }
}

fn step(argv: &[&str], after: &[&str]) -> serde_json::Value {
    json!({
        "action": {"run": {"argv": argv}}, "after": after,
        "retries": {"max": 0, "backoff_seconds": 1.0, "jitter": 0.5, "on": []},
        "timeout_seconds": 60, "resources": {"cpu": 1}, "cache": "off",
    })
}

fn holder(process: &str) -> LockHolder {
    LockHolder {
        id: process.to_owned(),
        user: None,
        host: "here".to_owned(),
        pid: 1,
        command: "apply".to_owned(),
        commit: None,
        since: UtcTime::from_millis(0),
        until: UtcTime::from_millis(0),
    }
}

/// The simulated store as the control plane sees it.
struct Shared(SimulatedStore);

impl Objects for Shared {
    async fn get(&self, key: &str) -> Result<Option<Object>, PortError> {
        let there = self.0.get(key).await?;
        Ok(there.map(|there| Object { bytes: there.bytes, etag: there.etag.as_str().to_owned() }))
    }

    async fn put_if_absent(&self, key: &str, bytes: Vec<u8>) -> Result<Option<String>, PortError> {
        Ok(match self.0.put_if_absent(key, &bytes).await? {
            Put::Created(etag) => Some(etag.as_str().to_owned()),
            Put::Exists => None,
        })
    }

    async fn put_if_match(&self, key: &str, etag: &str, bytes: Vec<u8>) -> Result<Option<String>, PortError> {
        Ok(match self.0.put_if_match(key, &bytes, &Etag::new(etag.to_owned())).await? {
            Swap::Swapped(etag) => Some(etag.as_str().to_owned()),
            Swap::Changed => None,
        })
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, PortError> {
        Ok(self.0.list(prefix).await?)
    }

    async fn delete(&self, key: &str) -> Result<(), PortError> {
        Ok(self.0.delete(key).await?)
    }

    async fn exists(&self, key: &str) -> Result<bool, PortError> {
        Ok(self.0.exists(key).await?)
    }
}

struct Time(World);

impl Clock for Time {
    fn now(&self) -> UtcTime {
        self.0.now()
    }
}

/// A project without files: its steps run programs.
struct NoFiles;

impl ProjectFiles for NoFiles {
    fn file(&self, _: &str) -> Result<Option<ProjectFile>, RefusedFile> {
        Ok(None)
    }

    fn under(&self, _: &str) -> Result<Vec<(String, ProjectFile)>, (String, RefusedFile)> {
        Ok(Vec::new())
    }

    fn read(&self, _: &str, _: usize) -> Result<Vec<u8>, String> {
        Err("there are no files".to_owned())
    }
}
