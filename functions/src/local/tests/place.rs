//! A local environment for tests, and pipelines to run in it.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::release::Release;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::Commit;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunResult;
use liminal_schemas::step::ArtifactKind;
use liminal_schemas::step::FailureClass;
use liminal_schemas::step::StepSpec;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::executor::AttemptJob;
use crate::executor::AttemptOutcome;
use crate::executor::Executor;
use crate::executor::Stop;
use crate::local::LocalEnvironment;
use crate::local::drive::Drive;
use crate::local::drive::DriveError;
use crate::local::drive::DriveOptions;
use crate::local::drive::Driven;
use crate::local::drive::drive;
use crate::local::store::DirectoryStore;
use crate::ports::ObjectStore;
use crate::protocol::attempt::failure;
use crate::runner::Events;
use crate::simulated::pipeline::field;
use crate::simulated::pipeline::gate;
use crate::simulated::pipeline::output;
use crate::simulated::pipeline::register;
use crate::simulated::pipeline::release;
use crate::simulated::pipeline::run_record;
use crate::simulated::pipeline::step;
use crate::simulated::pipeline::step_name;
use crate::simulated::pipeline::with_inputs;

/// Leaves outputs that depend on the step and its inputs, without starting anything.
pub(in crate::local) struct Executes {
    pub(in crate::local) store: Arc<DirectoryStore>,
    pub(in crate::local) log: Mutex<Vec<String>>,
    pub(in crate::local) running: AtomicU32,
    pub(in crate::local) most: AtomicU32,
}

impl Executes {
    pub(in crate::local) fn new(store: Arc<DirectoryStore>) -> Self {
        Self { store, log: Mutex::default(), running: AtomicU32::new(0), most: AtomicU32::new(0) }
    }

    pub(in crate::local) fn started(&self) -> Vec<String> {
        self.log.lock().expect("whole").clone()
    }
}

impl Executor for Executes {
    async fn execute(&self, mut job: AttemptJob) -> AttemptOutcome {
        self.log.lock().expect("whole").push(format!("{}#{}", job.unit.step, job.attempt));
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        let name = job.unit.step.as_str();
        let mut stopped = false;
        if name.starts_with("slow") {
            let pause = tokio::time::sleep(Duration::from_millis(40));
            tokio::select! {
                () = pause => {}
                _ = job.stop.changed() => stopped = true,
            }
        }
        if name.starts_with("endless") {
            stopped = job.stop.changed().await.is_ok();
        }
        self.running.fetch_sub(1, Ordering::SeqCst);
        if stopped {
            return AttemptOutcome::Stopped;
        }
        if name.starts_with("broken") || (name.starts_with("flaky") && job.attempt < 3) {
            return AttemptOutcome::Failed(failure(FailureClass::User, "it exited with status 1"));
        }
        let mut outputs = BTreeMap::new();
        for output in job.spec.outputs.keys() {
            let inputs: Vec<&Digest> = job.inputs.values().map(|artifact| &artifact.digest).collect();
            let content = Digest::of_document(&(&job.unit.step, output, inputs)).hex();
            let digest = Digest::of_bytes(content.as_bytes());
            self.store.put_if_absent(&keys::artifact(&digest), content.as_bytes()).await.expect("written");
            outputs.insert(output.clone(), Artifact { digest, kind: ArtifactKind::File, bytes: 64 });
        }
        AttemptOutcome::Succeeded { outputs, metrics: BTreeMap::from([("auc".to_owned(), 0.9)]) }
    }
}

/// A project's local environment, and what is run in it.
pub(in crate::local) struct Place {
    _folder: TempDir,
    pub(in crate::local) environment: LocalEnvironment,
    pub(in crate::local) executor: Arc<Executes>,
    pub(in crate::local) release: Release,
    pub(in crate::local) stop: watch::Sender<Stop>,
    pub(in crate::local) runs: AtomicU32,
}

impl Place {
    pub(in crate::local) async fn new(release: Release) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Arc::new(DirectoryStore::open(folder.path().join("objects")).expect("a store"));
        let environment = LocalEnvironment {
            name: EnvironmentName::new("local").expect("valid"),
            store: Arc::clone(&store),
            queue: Arc::default(),
            locks: folder.path().join("locks"),
            buckets: Default::default(),
        };
        let executor = Arc::new(Executes::new(store));
        let place = Self {
            _folder: folder,
            environment,
            executor,
            release,
            stop: watch::channel(Stop::No).0,
            runs: AtomicU32::new(0),
        };
        place.publish().await;
        place
    }

    pub(in crate::local) async fn publish(&self) {
        let key = keys::release(&self.release.pipeline, &self.release.revision());
        let bytes = serde_json::to_vec(&self.release).expect("serialises");
        self.environment.store.put_if_absent(&key, &bytes).await.expect("written");
    }

    pub(in crate::local) fn record(&self) -> RunRecord {
        let number = self.runs.fetch_add(1, Ordering::SeqCst);
        run_record(&self.release, &format!("20261124-00000{number}-test"))
    }

    pub(in crate::local) fn options(&self, events: Events) -> DriveOptions {
        DriveOptions { jobs: 2, stop: self.stop.subscribe(), events }
    }

    pub(in crate::local) async fn drive(&self, what: Drive) -> Result<Driven, DriveError> {
        let driving = drive(&self.environment, Arc::clone(&self.executor), what, self.options(Events::silent()));
        tokio::time::timeout(Duration::from_secs(20), driving).await.expect("no run hangs")
    }

    pub(in crate::local) async fn run(&self, record: &RunRecord) -> RunResult {
        match self.drive(Drive::Start(Box::new(record.clone()))).await.expect("driven") {
            Driven::Finished(result) => result,
            Driven::Interrupted => panic!("nobody interrupts"),
        }
    }

    pub(in crate::local) async fn resume(&self, record: &RunRecord) -> Result<Driven, DriveError> {
        self.drive(Drive::Resume { pipeline: record.pipeline.clone(), run: record.run.clone() }).await
    }

    pub(in crate::local) async fn commit(&self, record: &RunRecord, step: &str) -> Commit {
        self.read(&keys::commit(&record.pipeline, &record.run, &step_name(step))).await
    }

    pub(in crate::local) async fn read<T: serde::de::DeserializeOwned>(&self, key: &str) -> T {
        let object = self.environment.store.get(key).await.expect("read").expect("there");
        serde_json::from_slice(&object.bytes).expect("a document")
    }

    pub(in crate::local) fn overwrite(&self, key: &str, bytes: &[u8]) {
        let path = self.environment.store.path_of(key).expect("a key");
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, bytes).expect("written");
    }
}

pub(in crate::local) fn statuses(result: &RunResult) -> String {
    let steps: Vec<String> = result.steps.iter().map(|(step, status)| format!("{step} {status}")).collect();
    format!("{}: {}", result.status, steps.join(", "))
}

pub(in crate::local) fn reading(mut step: StepSpec, after: &[&str]) -> StepSpec {
    step.after = after.iter().map(|name| step_name(name)).collect();
    step
}

pub(in crate::local) fn training() -> Release {
    release([
        ("fetch", step("fetch")),
        ("slow-a", with_inputs(step("a"), &["fetch"])),
        ("slow-b", with_inputs(step("b"), &["fetch"])),
        ("evaluate", {
            let mut evaluate = step("evaluate");
            for (name, maker) in [("a", "slow-a"), ("b", "slow-b")] {
                evaluate.inputs.insert(field(name), output(maker));
            }
            evaluate
        }),
        ("validate", gate("metrics.evaluate.auc > 0.8", &["evaluate"])),
        ("register", reading(register("model", "evaluate"), &["validate"])),
    ])
}
