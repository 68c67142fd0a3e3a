//! A small project that tests edit, and an environment in memory that they apply it to.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::PathBuf;

use git2::ObjectType;
use git2::Oid;
use liminal_infra::apply::ApplyError;
use liminal_infra::apply::ApplyReport;
use liminal_infra::apply::ApplyRequest;
use liminal_infra::apply::Ports;
use liminal_infra::apply::apply;
use liminal_infra::desired::AwsDesired;
use liminal_infra::desired::AwsInput;
use liminal_infra::desired::aws_resources;
use liminal_infra::memory::MemoryClock;
use liminal_infra::memory::MemoryCloud;
use liminal_infra::memory::MemoryObjects;
use liminal_infra::memory::MemoryPython;
use liminal_infra::observe::observe;
use liminal_infra::observe::observe_deployed;
use liminal_infra::plan::Desired;
use liminal_infra::plan::PlanError;
use liminal_infra::plan::Revised;
use liminal_infra::plan::Rollout;
use liminal_infra::plan::Target;
use liminal_infra::plan::plan;
use liminal_infra::plan::plan_destroy;
use liminal_infra::plan::plan_rollback;
use liminal_infra::resources::LocalResources;
use liminal_infra::state::LoadedState;
use liminal_infra::state::LockRequest;
use liminal_infra::state::load;
use liminal_schemas::aws::Arch;
use liminal_schemas::aws::AwsPlace;
use liminal_schemas::aws::AwsSpec;
use liminal_schemas::aws::FargateSettings;
use liminal_schemas::aws::resource::CloudResource;
use liminal_schemas::digest::Digest;
use liminal_schemas::files::ProjectFile;
use liminal_schemas::files::ProjectFiles;
use liminal_schemas::files::RefusedFile;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::name::StepName;
use liminal_schemas::plan::Plan;
use liminal_schemas::release::PACKER_VERSION;
use liminal_schemas::release::PackageFile;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::release::PythonSpec;
use liminal_schemas::release::RELEASE_SCHEMA;
use liminal_schemas::release::Release;
use liminal_schemas::release::RequirementsFile;
use liminal_schemas::run::SourceVersion;
use liminal_schemas::run_policy::RunPolicy;
use liminal_schemas::state::LockHolder;
use liminal_schemas::state::ResourceAddress;
use liminal_schemas::step::Action;
use liminal_schemas::step::CachePolicy;
use liminal_schemas::step::Resources;
use liminal_schemas::step::Retries;
use liminal_schemas::step::StepSpec;
use liminal_schemas::time::UtcTime;
use liminal_schemas::trigger::Trigger;

pub(crate) fn pipeline(name: &str) -> PipelineName {
    PipelineName::new(name).expect("a test writes valid names")
}

pub(crate) fn step(name: &str) -> StepName {
    StepName::new(name).expect("a test writes valid names")
}

pub(crate) fn environment() -> EnvironmentName {
    EnvironmentName::new("local").expect("valid")
}

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(work)
}

/// Files in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files(pub(crate) BTreeMap<String, Vec<u8>>);

pub(crate) fn blob(bytes: &[u8]) -> String {
    Oid::hash_object(ObjectType::Blob, bytes).expect("a hash").to_string()
}

impl ProjectFiles for Files {
    fn file(&self, path: &str) -> Result<Option<ProjectFile>, RefusedFile> {
        Ok(self.0.get(path).map(|bytes| ProjectFile { blob: blob(bytes), executable: false }))
    }

    fn under(&self, folder: &str) -> Result<Vec<(String, ProjectFile)>, (String, RefusedFile)> {
        let below = self.0.iter().filter(|(path, _)| path.starts_with(folder));
        Ok(below.map(|(path, bytes)| (path.clone(), ProjectFile { blob: blob(bytes), executable: false })).collect())
    }

    fn read(&self, path: &str, _: usize) -> Result<Vec<u8>, String> {
        self.0.get(path).cloned().ok_or_else(|| "there is no such file".to_owned())
    }
}

/// A project: per pipeline and step, a text that is its code, and a timeout.
#[derive(Clone, Debug, Default)]
pub(crate) struct Project {
    pub(crate) pipelines: BTreeMap<String, BTreeMap<String, (String, u64)>>,
    pub(crate) requirements: Option<String>,
    pub(crate) keep: usize,
    pub(crate) triggers: BTreeMap<String, Vec<Trigger>>,
    /// What the environment is in the cloud; none for one on this machine.
    pub(crate) aws: Option<Aws>,
    /// How what is new comes to be live.
    pub(crate) rollout: Rollout,
    /// What is live beside a release on trial, in the cloud.
    pub(crate) live: BTreeMap<PipelineName, Revised>,
}

/// An environment in the cloud.
#[derive(Clone, Debug)]
pub(crate) struct Aws {
    pub(crate) spec: AwsSpec,
    /// What the runner is made of.
    pub(crate) runner: String,
}

impl Default for Aws {
    fn default() -> Self {
        let spec = AwsSpec {
            region: "eu-central-1".to_owned(),
            account: None,
            bucket: None,
            arch: Arch::X86_64,
            log_retention_days: 30,
            fargate: FargateSettings { subnets: vec!["subnet-0a1b2c3d".to_owned()], ..FargateSettings::default() },
        };
        Self { spec, runner: "r1".to_owned() }
    }
}

pub(crate) fn place() -> AwsPlace {
    AwsPlace {
        partition: "aws".to_owned(),
        region: "eu-central-1".to_owned(),
        account: "123456789012".to_owned(),
        bucket: "data".to_owned(),
        endpoint: None,
    }
}

impl Project {
    pub(crate) fn new(pipelines: &[(&str, &[(&str, &str)])]) -> Self {
        let mut project = Self { keep: 2, ..Self::default() };
        for (name, steps) in pipelines {
            for (step, code) in *steps {
                project.edit(name, step, code);
            }
        }
        project
    }

    pub(crate) fn edit(&mut self, pipeline: &str, step: &str, code: &str) -> &mut Self {
        let steps = self.pipelines.entry(pipeline.to_owned()).or_default();
        steps.insert(step.to_owned(), (code.to_owned(), 60));
        self
    }

    pub(crate) fn files(&self) -> Files {
        let mut files = Files::default();
        for (pipeline, steps) in &self.pipelines {
            for (step, (code, _)) in steps {
                files.0.insert(format!("{pipeline}/{step}.py"), code.clone().into_bytes());
            }
        }
        if let Some(requirements) = &self.requirements {
            files.0.insert("requirements.txt".to_owned(), requirements.clone().into_bytes());
        }
        files
    }

    pub(crate) fn target(&self) -> Target {
        Target {
            project: ProjectName::new("shop").expect("valid"),
            environment: environment(),
            source: SourceVersion::default(),
            tree: Digest::of_document(&self.files().0),
            keep: self.keep,
        }
    }

    pub(crate) fn desired(&self) -> Desired {
        let files = self.files();
        let python = self.requirements.as_ref().map(|text| PythonSpec {
            version: None,
            requirements: Some(RequirementsFile { path: "requirements.txt".to_owned(), blob: blob(text.as_bytes()) }),
        });
        let mut packages = BTreeMap::new();
        let mut releases = BTreeMap::new();
        for (name, steps) in &self.pipelines {
            let mut specs = BTreeMap::new();
            for (step_name, (_, timeout)) in steps {
                let path = format!("{name}/{step_name}.py");
                let file = PackageFile { blob: blob(&files.0[&path]), executable: false };
                let package = PackageSpec {
                    packer: PACKER_VERSION,
                    root: String::new(),
                    files: BTreeMap::from([(path, file)]),
                    python: python.clone(),
                };
                specs.insert(step(step_name), call(step_name, Some(package.digest()), *timeout));
                packages.insert(package.digest(), package);
            }
            let mut release = release(name, specs);
            release.triggers = self.triggers.get(name).cloned().unwrap_or_default();
            releases.insert(pipeline(name), Revised::from(release));
        }
        let target = self.target();
        let aws = self.aws.as_ref().map(|aws| {
            let input = AwsInput {
                place: &place(),
                spec: &aws.spec,
                project: &target.project,
                environment: &target.environment,
                releases: &releases,
                live: &self.live,
                packages: &packages,
                runner: Digest::of_bytes(aws.runner.as_bytes()),
                sizes: &BTreeMap::new(),
            };
            aws_resources(&input).expect("it can be carried out")
        });
        let AwsDesired { resources: cloud, placements } = aws.unwrap_or_default();
        Desired { target, releases, packages, cloud, placements, rollout: self.rollout, notes: Vec::new() }
    }

    pub(crate) fn revision(&self, name: &str) -> Digest {
        self.desired().releases[name].revision
    }
}

pub(crate) fn release(name: &str, steps: BTreeMap<StepName, StepSpec>) -> Release {
    Release {
        schema: RELEASE_SCHEMA,
        project: ProjectName::new("shop").expect("valid"),
        owner: None,
        pipeline: pipeline(name),
        params: BTreeMap::new(),
        secrets: BTreeMap::new(),
        triggers: Vec::new(),
        runs: RunPolicy::default(),
        steps,
    }
}

pub(crate) fn call(module: &str, package: Option<Digest>, timeout_seconds: u64) -> StepSpec {
    StepSpec {
        phase: None,
        action: Action::Call { module: module.to_owned(), function: "main".to_owned() },
        inputs: BTreeMap::new(),
        outputs: BTreeMap::new(),
        env: BTreeMap::new(),
        after: BTreeSet::new(),
        when: None,
        map: None,
        reads_metrics: BTreeSet::new(),
        reads_params: BTreeSet::new(),
        finally: false,
        package,
        retries: Retries::default(),
        timeout_seconds,
        resources: Resources::default(),
        cache: CachePolicy::On,
        compute: liminal_schemas::step::Compute::Auto,
        image: None,
        names: Default::default(),
        within: Vec::new(),
    }
}

/// An environment in memory.
pub(crate) struct World {
    pub(crate) objects: MemoryObjects,
    pub(crate) python: MemoryPython,
    pub(crate) clock: MemoryClock,
    pub(crate) spill: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            objects: MemoryObjects::default(),
            python: MemoryPython::default(),
            clock: MemoryClock::starting_at(UtcTime::from_millis(1_764_000_000_000)),
            spill: tempfile::tempdir().expect("a folder"),
        }
    }

    pub(crate) fn spill_file(&self) -> PathBuf {
        self.spill.path().join("spilled.json")
    }

    pub(crate) async fn state(&self) -> Option<LoadedState> {
        load(&self.objects, &environment()).await.expect("a readable state")
    }

    pub(crate) fn resources<'a>(
        &'a self,
        files: &'a Files,
        packages: &'a BTreeMap<Digest, PackageSpec>,
        (state, documents): (Option<&LoadedState>, &BTreeMap<ResourceAddress, CloudResource>),
    ) -> MemoryCloud<'a, LocalResources<'a, MemoryObjects, MemoryPython>> {
        let others = LocalResources { objects: &self.objects, python: &self.python, files, packages };
        let mut known = BTreeMap::new();
        if let Some(LoadedState { state, .. }) = state {
            let made = state.resources.iter();
            known.extend(made.filter_map(|(address, made)| Some((address.clone(), *made.resource.clone()?))));
            known.extend(state.journal.iter().flat_map(|journal| journal.resources.clone()));
        }
        known.extend(documents.clone());
        MemoryCloud { objects: &self.objects, documents: known, others }
    }

    pub(crate) async fn plan(&self, project: &Project) -> Result<Plan, PlanError> {
        let (files, desired, state) = (project.files(), project.desired(), self.state().await);
        let resources = self.resources(&files, &desired.packages, (state.as_ref(), &desired.cloud));
        let observed = observe(&self.objects, &resources, &desired, state.as_ref()).await.expect("it can be observed");
        plan(&desired, state.as_ref(), &observed)
    }

    pub(crate) async fn plan_rollback(
        &self,
        project: &Project,
        name: &str,
        to: Option<Digest>,
    ) -> Result<Plan, PlanError> {
        let (files, state) = (Files::default(), self.state().await);
        let packages = BTreeMap::new();
        let resources = self.resources(&files, &packages, (state.as_ref(), &BTreeMap::new()));
        let concerned = BTreeSet::from([pipeline(name)]);
        let observed = observe_deployed(&self.objects, &resources, state.as_ref(), Some(&concerned));
        let observed = observed.await.expect("it can be observed");
        let place = project.aws.as_ref().map(|_| place());
        let wanted = BTreeMap::from([(pipeline(name), to)]);
        plan_rollback(&project.target(), state.as_ref(), &observed, &wanted, place.as_ref())
    }

    pub(crate) async fn plan_destroy(&self, project: &Project) -> Plan {
        self.plan_destroy_of(project, false).await
    }

    pub(crate) async fn plan_destroy_of(&self, project: &Project, delete_data: bool) -> Plan {
        let (files, state) = (Files::default(), self.state().await);
        let packages = BTreeMap::new();
        let resources = self.resources(&files, &packages, (state.as_ref(), &BTreeMap::new()));
        let observed =
            observe_deployed(&self.objects, &resources, state.as_ref(), None).await.expect("it can be observed");
        plan_destroy(&project.target(), state.as_ref(), &observed, delete_data).expect("a plan")
    }

    pub(crate) async fn apply(&self, project: &Project, plan: &Plan) -> Result<ApplyReport, ApplyError> {
        self.apply_as(1, project, plan, false).await
    }

    pub(crate) async fn apply_as(
        &self,
        pid: u32,
        project: &Project,
        plan: &Plan,
        delete_data: bool,
    ) -> Result<ApplyReport, ApplyError> {
        self.apply_until(pid, project, plan, delete_data, &|| false).await
    }

    pub(crate) async fn apply_until(
        &self,
        pid: u32,
        project: &Project,
        plan: &Plan,
        delete_data: bool,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<ApplyReport, ApplyError> {
        let (files, state) = (project.files(), self.state().await);
        let resources = self.resources(&files, &plan.documents.packages, (state.as_ref(), &plan.documents.resources));
        let ports = Ports { objects: &self.objects, resources: &resources, clock: &self.clock };
        let spill = self.spill_file();
        let request = ApplyRequest {
            tree: Some(plan.base.tree),
            id: format!("apply-{pid}"),
            lineage: format!("lineage-{pid}"),
            by: None,
            trigger: None,
            lock: LockRequest { holder: holder(pid), timeout: std::time::Duration::ZERO, is_alive: &|_| false },
            spill: &spill,
            lifetime: None,
            delete_data,
            stop,
            events: &|_| {},
        };
        apply(plan, &ports, request).await
    }

    /// Plans and applies.
    pub(crate) async fn deploy(&self, project: &Project) -> ApplyReport {
        let plan = self.plan(project).await.expect("a plan");
        self.apply(project, &plan).await.expect("an apply")
    }

    pub(crate) async fn retired(&self, name: &str) -> Vec<Digest> {
        self.state().await.expect("a state").state.pipelines[name].retired.clone()
    }

    pub(crate) async fn live(&self, name: &str) -> Option<Digest> {
        self.state().await.and_then(|loaded| loaded.state.pipelines.get(name).map(|deployed| deployed.live))
    }
}

pub(crate) fn holder(pid: u32) -> LockHolder {
    LockHolder {
        id: format!("holder-{pid}"),
        user: Some("ada".to_owned()),
        host: "here".to_owned(),
        pid,
        command: "apply".to_owned(),
        commit: Some("0123456789abcdef0123".to_owned()),
        since: UtcTime::from_millis(0),
        until: UtcTime::from_millis(0),
    }
}
