//! An environment on an emulator: its bucket, its queues, a run.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use liminal_emulators::Emulator;
use liminal_emulators::Tools;
use liminal_emulators::shared_ministack;
use liminal_emulators::tools;
use liminal_functions::aws::clients::AccessKeys;
use liminal_functions::aws::clients::Clients;
use liminal_functions::aws::clients::Connection;
use liminal_functions::aws::environment::Served;
use liminal_functions::aws::place::Place;
use liminal_functions::aws::platform::AwsPlatform;
use liminal_functions::aws::queue::SqsQueue;
use liminal_functions::aws::store::S3Store;
use liminal_functions::executor::AttemptJob;
use liminal_functions::executor::AttemptOutcome;
use liminal_functions::executor::Executor;
use liminal_functions::ports::ObjectStore as _;
use liminal_functions::ports::Platform as _;
use liminal_functions::python::handler;
use liminal_functions::runner::Events;
use liminal_functions::runner::Runner;
use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::message::StepMessage;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::release::PackageFile;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::release::Release;
use liminal_schemas::run::Commit;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunResult;
use serde_json::json;

use crate::binary;
use crate::pipeline::run_record;
use crate::pipeline::step_name;

/// How long something may take that comes: far longer than it does on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

const DEPLOY: &str = include_str!("deploy.py");

/// An environment of a test's own.
pub(crate) struct World {
    pub(crate) emulator: &'static Emulator,
    tools: Tools,
    pub(crate) served: Served,
    pub(crate) clients: Clients,
    pub(crate) store: S3Store,
    pub(crate) folder: tempfile::TempDir,
}

/// What starts runs carries nothing out.
#[derive(Debug)]
pub(crate) struct Nobody;

impl Executor for Nobody {
    async fn execute(&self, _: AttemptJob) -> AttemptOutcome {
        AttemptOutcome::Stopped
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let emulator = shared_ministack();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let environment = EnvironmentName::new(format!("dev{number}")).expect("a name");
        let project = crate::pipeline::release([]).project;
        let bucket = format!("runs-{number}");
        let prefix = liminal_schemas::aws::names::object_prefix(&project, &environment);
        let served = Served { project, environment, place: Place::new(&bucket, prefix) };
        let keys = AccessKeys { id: "test".to_owned(), secret: "test".to_owned(), session: None };
        let connection = Connection {
            region: Some(emulator.region().to_owned()),
            endpoint: Some(emulator.endpoint()),
            keys: Some(keys),
        };
        let clients = Clients::connect(connection).await;
        let store = S3Store::new(&clients, served.place.clone());
        let folder = tempfile::tempdir().expect("a folder");
        let world = Self { emulator, tools: tools(), served, clients, store, folder };
        world.deploy(&["bucket", &bucket]);
        world
    }

    pub(crate) fn deploy(&self, arguments: &[&str]) -> String {
        let mut command: Command = self.tools.python(self.emulator);
        let output = command.args(["-c", DEPLOY]).args(arguments).output().expect("Python starts");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn runner(&self) -> Runner<AwsPlatform<Nobody>> {
        Runner::new(self.platform(Nobody), Events::silent())
    }

    /// The platform of a worker.
    pub(crate) fn platform<E>(&self, executor: E) -> AwsPlatform<E> {
        AwsPlatform::new(&self.served, self.store.clone(), Arc::new(SqsQueue::new(&self.clients)), executor)
    }

    /// The queue of a step.
    pub(crate) fn queue(&self, release: &Release, step: &str) -> String {
        let step = step_name(step);
        let record = run_record(release);
        self.runner().platform().queue_for(&record.pipeline, &record.run, &step, &release.steps[&step])
    }

    /// Puts a release into the store, and makes the queues of its steps.
    pub(crate) async fn publish(&self, release: &Release, visibility: Duration) {
        self.publish_for(release, release.steps.keys().map(liminal_schemas::name::StepName::as_str), visibility).await;
    }

    /// Puts a release into the store, and makes the queues of some of its steps.
    pub(crate) async fn publish_for<'a>(
        &self,
        release: &Release,
        steps: impl IntoIterator<Item = &'a str>,
        visibility: Duration,
    ) {
        let key = keys::release(&release.pipeline, &release.revision());
        let bytes = serde_json::to_vec(release).expect("JSON");
        self.store.put_if_absent(&key, &bytes).await.expect("written");
        for step in steps {
            let seconds = visibility.as_secs().to_string();
            self.deploy(&["queue", &self.queue(release, step), &seconds]);
        }
    }

    /// Starts the run of a release.
    pub(crate) async fn start(&self, release: &Release) -> RunRecord {
        let record = run_record(release);
        self.runner().start(record.clone()).await.expect("started");
        record
    }

    /// Puts the document of a package into the store.
    pub(crate) async fn put_package(&self, files: &[(&str, &str)]) -> Digest {
        let listed = files.iter().map(|(path, content)| {
            let blob = Digest::of_bytes(content.as_bytes()).hex();
            ((*path).to_owned(), PackageFile { blob, executable: false })
        });
        let spec = PackageSpec { packer: 1, root: String::new(), files: listed.collect(), python: None };
        let key = keys::package_spec(&spec.digest());
        self.store.put_if_absent(&key, &serde_json::to_vec(&spec).expect("JSON")).await.expect("written");
        spec.digest()
    }

    pub(crate) fn variables(&self) -> BTreeMap<String, String> {
        let pairs = [
            ("LIMINAL_PROJECT", self.served.project.as_str()),
            ("LIMINAL_ENVIRONMENT", self.served.environment.as_str()),
            ("LIMINAL_BUCKET", self.served.place.bucket()),
            ("LIMINAL_MODE", "step"),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    /// Makes the function of a step, fed by the step's queue.
    pub(crate) fn function(&self, release: &Release, step: &str, runtime: &str, files: &[(&str, &str)]) -> String {
        let name = self.queue(release, step).chars().take(64).collect::<String>();
        let (main, code) = match runtime {
            "provided.al2023" => (handler::BOOTSTRAP_FILE, Vec::new()),
            _ => (handler::RUNNER_FILE, vec![(handler::FILE, handler::TEXT)]),
        };
        let zip = self.zip(main, &[&code[..], files].concat());
        let spec = json!({
            "zip": zip, "FunctionName": name, "Runtime": runtime, "Handler": "liminal_handler.handler",
            "Timeout": 70, "MemorySize": 512, "Environment": { "Variables": self.variables() },
        });
        self.deploy(&["function", &spec.to_string()]);
        self.deploy(&["mapping", &self.queue(release, step), &name]);
        name
    }

    pub(crate) fn zip(&self, runner: &str, files: &[(&str, &str)]) -> PathBuf {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let path = self.folder.path().join(format!("{}.zip", NEXT.fetch_add(1, Ordering::Relaxed)));
        let mut zip = zip::ZipWriter::new(fs::File::create(&path).expect("a file"));
        let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
        // The emulator unpacks it for each process: stored is quicker than small.
        let stored = options.compression_method(zip::CompressionMethod::Stored);
        zip.start_file(runner, stored).expect("an entry");
        zip.write_all(binary_bytes()).expect("content");
        for (path, content) in files {
            zip.start_file(*path, options).expect("an entry");
            zip.write_all(content.as_bytes()).expect("content");
        }
        zip.finish().expect("a zip");
        path
    }

    pub(crate) async fn object(&self, key: &str) -> Option<Vec<u8>> {
        self.store.get(key).await.expect("read").map(|object| object.bytes)
    }

    pub(crate) async fn commit(&self, record: &RunRecord, step: &str) -> Option<Commit> {
        let key = keys::commit(&record.pipeline, &record.run, &step_name(step));
        self.object(&key).await.map(|bytes| serde_json::from_slice(&bytes).expect("a commit"))
    }

    /// The names of what is known of the attempts at a step.
    pub(crate) async fn attempts(&self, record: &RunRecord, step: &str) -> Vec<String> {
        let prefix = keys::attempts_prefix(&record.pipeline, &record.run, &step_name(step));
        let keys = self.store.list(&prefix).await.expect("listed");
        keys.into_iter().map(|key| key[prefix.len()..].to_owned()).collect()
    }

    pub(crate) async fn log(&self, record: &RunRecord, step: &str, attempt: u32) -> String {
        let key = keys::attempt_log(&record.pipeline, &record.run, &step_name(step), attempt);
        String::from_utf8(self.object(&key).await.expect("a log")).expect("a text")
    }

    /// Waits until the run has ended.
    pub(crate) async fn ended(&self, record: &RunRecord) -> RunResult {
        let key = keys::result(&record.pipeline, &record.run);
        let bytes = self.appears(&key).await;
        serde_json::from_slice(&bytes).expect("a result")
    }

    /// Waits until there is an object of a key.
    pub(crate) async fn appears(&self, key: &str) -> Vec<u8> {
        let start = std::time::Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(bytes) = self.object(key).await {
                return bytes;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{key} does not appear; the emulator says:\n{}", self.emulator.log());
    }

    /// Waits until a queue holds no message at all.
    pub(crate) async fn drained(&self, queue: &str) {
        let start = std::time::Instant::now();
        while self.deploy(&["messages", queue]) != "0" {
            assert!(start.elapsed() < PATIENCE, "{queue} still holds messages:\n{}", self.emulator.log());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    pub(crate) async fn send(&self, queue: &str, body: &str) {
        use liminal_functions::ports::Queue as _;
        self.runner().platform().queue().send(queue, body, Duration::ZERO).await.expect("sent");
    }
}

/// The message for a step.
pub(crate) fn message(record: &RunRecord, step: &str) -> String {
    StepMessage::new(record.pipeline.clone(), record.run.clone(), step_name(step)).body()
}

fn binary_bytes() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| fs::read(binary::stripped()).expect("the runner"))
}
