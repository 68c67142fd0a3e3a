//! A state folder, an executor over it, and jobs for it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use liminal_functions::executor::AttemptJob;
use liminal_functions::executor::AttemptOutcome;
use liminal_functions::executor::Executor as _;
use liminal_functions::executor::Stop;
use liminal_functions::local::executor::LocalExecutor;
use liminal_functions::local::executor::LocalExecutorConfig;
use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::release::PackageFile;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::release::PythonSpec;
use liminal_schemas::release::SecretRef;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::Failure;
use liminal_schemas::run::Scheduled;
use liminal_schemas::step::Action;
use liminal_schemas::step::ArtifactKind;
use liminal_schemas::step::CachePolicy;
use liminal_schemas::step::InputSource;
use liminal_schemas::step::OutputRole;
use liminal_schemas::step::OutputSpec;
use liminal_schemas::step::Resources;
use liminal_schemas::step::Retries;
use liminal_schemas::step::StepSpec;
use liminal_schemas::template::Template;
use liminal_schemas::time::UtcTime;
use liminal_schemas::unit::Unit;
use liminal_schemas::value::Value;
use tokio::sync::watch;

/// A state folder of its own.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    pub(crate) config: LocalExecutorConfig,
}

/// A step to be carried out, and what it is given.
pub(crate) struct Step {
    pub(crate) spec: StepSpec,
    pub(crate) package: Option<Digest>,
    pub(crate) params: BTreeMap<FieldName, Value>,
    pub(crate) inputs: BTreeMap<FieldName, Artifact>,
    pub(crate) timeout: Duration,
    pub(crate) attempt: u32,
}

pub(crate) fn name(text: &str) -> FieldName {
    FieldName::new(text).expect("a name")
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        #[expect(clippy::disallowed_methods, reason = "tests look for programs where the machine has them")]
        let path = std::env::var("PATH").expect("a PATH");
        let config = LocalExecutorConfig {
            root: folder.path().join("state"),
            cache_dir: folder.path().join("cache"),
            grace: Duration::from_millis(300),
            sandbox: true,
            warden: None,
            path,
            buckets: Default::default(),
            secrets: Arc::new(|secret| {
                (*secret == SecretRef::Env("API_KEY".to_owned())).then(|| "hunter2-secret".to_owned())
            }),
        };
        Self { folder, config }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn work(&self, attempt: u32) -> PathBuf {
        self.config.root.join(format!("work/20261124-000000-test/train.{attempt}"))
    }

    pub(crate) fn object(&self, key: &str) -> PathBuf {
        self.config.root.join("objects").join(key)
    }

    pub(crate) fn log(&self) -> Vec<u8> {
        let (pipeline, run, step) = ids();
        fs::read(self.object(&keys::attempt_log(&pipeline, &run, &step, 1))).expect("a log")
    }

    pub(crate) fn put_artifact(&self, content: &[u8]) -> Artifact {
        let digest = Digest::of_bytes(content);
        let path = self.object(&keys::artifact(&digest));
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, content).expect("an object");
        Artifact { digest, kind: ArtifactKind::File, bytes: content.len() as u64 }
    }

    /// Puts a package into the store, made of files by path.
    pub(crate) fn put_package(&self, root: &str, files: &[(&str, &str)], python: Option<PythonSpec>) -> Digest {
        let listed = files.iter().map(|(path, content)| {
            let file =
                PackageFile { blob: Digest::of_bytes(content.as_bytes()).hex(), executable: content.starts_with("#!") };
            ((*path).to_owned(), file)
        });
        let spec = PackageSpec { packer: 1, root: root.to_owned(), files: listed.collect(), python };
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (path, content) in files {
            let mode = if content.starts_with("#!") { 0o755 } else { 0o644 };
            let options = zip::write::SimpleFileOptions::default().unix_permissions(mode);
            zip.start_file(*path, options).expect("an entry");
            std::io::Write::write_all(&mut zip, content.as_bytes()).expect("content");
        }
        self.put_package_zip(&spec, &zip.finish().expect("a zip").into_inner())
    }

    pub(crate) fn put_package_zip(&self, spec: &PackageSpec, zip: &[u8]) -> Digest {
        let digest = spec.digest();
        let path = self.object(&keys::package(&digest));
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, zip).expect("a zip");
        fs::write(self.object(&keys::package_spec(&digest)), serde_json::to_vec(spec).expect("JSON"))
            .expect("a document");
        digest
    }

    pub(crate) async fn run(&self, step: &Step) -> AttemptOutcome {
        let (_sender, stop) = watch::channel(Stop::No);
        self.run_until(step, stop).await
    }

    pub(crate) async fn run_until(&self, step: &Step, stop: watch::Receiver<Stop>) -> AttemptOutcome {
        LocalExecutor::new(self.config.clone()).execute(step.job(stop)).await
    }

    pub(crate) async fn succeed(&self, step: &Step) -> (BTreeMap<FieldName, Artifact>, BTreeMap<String, f64>) {
        match self.run(step).await {
            AttemptOutcome::Succeeded { outputs, metrics } => (outputs, metrics),
            other => panic!("{other:#?}\n{}", String::from_utf8_lossy(&self.log())),
        }
    }

    pub(crate) async fn fail(&self, step: &Step) -> Failure {
        match self.run(step).await {
            AttemptOutcome::Failed(failure) => failure,
            other => panic!("{other:#?}"),
        }
    }

    /// A failure as text, with this place's path left out.
    pub(crate) async fn fail_text(&self, step: &Step) -> String {
        let failure = self.fail(step).await;
        let text = format!("{}: {}\n{}", failure.class, failure.message, failure.detail);
        text.replace(&self.folder.path().to_string_lossy().into_owned(), "PLACE").trim_end().to_owned()
    }
}

fn ids() -> (PipelineName, RunId, StepName) {
    (
        PipelineName::new("train").expect("a name"),
        RunId::new("20261124-000000-test").expect("an id"),
        StepName::new("train").expect("a name"),
    )
}

impl Step {
    fn new(action: Action) -> Self {
        let spec = StepSpec {
            phase: None,
            action,
            inputs: BTreeMap::new(),
            outputs: BTreeMap::new(),
            env: BTreeMap::new(),
            after: Default::default(),
            when: None,
            map: None,
            reads_metrics: Default::default(),
            reads_params: Default::default(),
            finally: false,
            package: None,
            retries: Retries::default(),
            timeout_seconds: 60,
            resources: Resources::default(),
            cache: CachePolicy::On,
            compute: Default::default(),
            image: None,
            names: Default::default(),
            within: Vec::new(),
        };
        Self {
            spec,
            package: None,
            params: BTreeMap::new(),
            inputs: BTreeMap::new(),
            timeout: Duration::from_secs(60),
            attempt: 1,
        }
    }

    pub(crate) fn argv(argv: &[&str]) -> Self {
        Self::new(Action::Run { argv: argv.iter().map(|item| Template::parse(item).expect("a template")).collect() })
    }

    /// A step whose program is a shell, which is the test's choice.
    pub(crate) fn sh(script: &str) -> Self {
        Self::argv(&["sh", "-c", script])
    }

    pub(crate) fn call(target: &str) -> Self {
        let (module, function) = target.split_once(':').expect("module:function");
        Self::new(Action::Call { module: module.to_owned(), function: function.to_owned() })
    }

    pub(crate) fn output(mut self, output: &str, path: &str) -> Self {
        let kind = if path.ends_with('/') { ArtifactKind::Directory } else { ArtifactKind::File };
        let role = if output == "metrics" { OutputRole::Metrics } else { OutputRole::Data };
        self.spec.outputs.insert(name(output), OutputSpec { path: path.trim_end_matches('/').to_owned(), kind, role });
        self
    }

    pub(crate) fn input(mut self, input: &str, artifact: Artifact) -> Self {
        let source = InputSource::Output { step: StepName::new("fetch").expect("a name"), output: name("raw") };
        self.spec.inputs.insert(name(input), source);
        self.inputs.insert(name(input), artifact);
        self
    }

    pub(crate) fn param(mut self, input: &str, value: Value) -> Self {
        self.spec.inputs.insert(name(input), InputSource::Param { name: name(input) });
        self.params.insert(name(input), value);
        self
    }

    pub(crate) fn env(mut self, variable: &str, template: &str) -> Self {
        self.spec.env.insert(variable.to_owned(), Template::parse(template).expect("a template"));
        self
    }

    pub(crate) fn package(mut self, package: Digest) -> Self {
        self.package = Some(package);
        self
    }

    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub(crate) fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    pub(crate) fn resources(mut self, memory_mib: Option<u64>, disk_mib: Option<u64>) -> Self {
        self.spec.resources = Resources { memory_mib, cpu: 1, disk_mib };
        self
    }

    pub(crate) fn job(&self, stop: watch::Receiver<Stop>) -> AttemptJob {
        let (pipeline, run, step) = ids();
        let secrets = BTreeMap::from([
            (name("api_key"), SecretRef::Env("API_KEY".to_owned())),
            (name("absent"), SecretRef::Env("ABSENT".to_owned())),
        ]);
        AttemptJob {
            project: ProjectName::new("demo").expect("a name"),
            pipeline,
            run,
            unit: Unit::step(step),
            item: None,
            attempt: self.attempt,
            spec: Arc::new(self.spec.clone()),
            package: self.package,
            params: Arc::new(self.params.clone()),
            inputs: self.inputs.clone(),
            objects: Default::default(),
            secrets: Arc::new(secrets),
            run_status: None,
            scheduled: Scheduled::in_utc(UtcTime::from_millis(1_800_000_000_000)),
            timeout: self.timeout,
            stop,
        }
    }
}

/// Whether a process is there and no zombie.
pub(crate) fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Waits until a process has ended.
pub(crate) async fn gone(pid: &str) {
    for _ in 0..500 {
        if !is_alive(pid) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("process {pid} is still there");
}

/// The content of a file that comes to be.
pub(crate) async fn appears(path: &Path) -> String {
    for _ in 0..500 {
        if let Ok(text) = fs::read_to_string(path)
            && text.ends_with('\n')
        {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} does not appear", path.display());
}
