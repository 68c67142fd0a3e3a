//! Plans, applies and state of a local environment: the control plane over the ports of this machine.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use liminal_functions::executor::Stop;
use liminal_functions::local::clock::SystemClock;
use liminal_functions::local::clock::SystemNonces;
use liminal_functions::local::lock;
use liminal_functions::ports::Nonces as _;
use liminal_infra::apply;
use liminal_infra::apply::ApplyError;
use liminal_infra::apply::ApplyEvent;
use liminal_infra::apply::ApplyReport;
use liminal_infra::apply::ApplyRequest;
use liminal_infra::apply::Ports;
use liminal_infra::apply::history;
use liminal_infra::observe;
use liminal_infra::plan;
use liminal_infra::plan::Desired;
use liminal_infra::plan::Observed;
use liminal_infra::plan::Revised;
use liminal_infra::plan::Target;
use liminal_infra::plan::forecast::default_params;
use liminal_infra::resources::LocalResources;
use liminal_infra::source::Snapshot;
use liminal_infra::state;
use liminal_infra::state::LoadedState;
use liminal_infra::state::LockError;
use liminal_infra::state::LockRequest;
use liminal_infra::state::Pushed;
use liminal_schemas::digest::Digest;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::plan::Operation;
use liminal_schemas::plan::Plan;
use liminal_schemas::state::HistoryEntry;
use liminal_schemas::state::LockHolder;
use liminal_schemas::state::ResourceKind;

use super::Local;
use super::objects::ControlClock;
use super::objects::ControlObjects;
use super::python::MachinePython;
use crate::app::Context;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::error::While as _;
use crate::exit_code::ExitCode;
use crate::progress::Progress;
use crate::project::Project;
use crate::render::units;

/// How a plan is carried out.
pub(crate) struct ApplyOptions {
    /// Whether nobody need be asked.
    pub(crate) approved: bool,
    /// Whether a destroy also deletes data.
    pub(crate) delete_data: bool,
    /// How long to wait for the lock.
    pub(crate) lock_timeout: Duration,
}

/// What the last entries of a history are, where all are wanted.
const ALL: usize = usize::MAX;

impl Local {
    /// The plan that makes this environment what the definition says, with what the next runs would do.
    pub(crate) async fn plan(&self, project: &Project) -> Result<Plan, CliError> {
        let resolved = &project.loaded.resolved;
        let desired = Desired {
            target: Target {
                project: resolved.project.clone(),
                environment: resolved.environment.clone(),
                source: project.snapshot.version(),
                tree: project.snapshot.tree_digest(),
                keep: resolved.keep,
            },
            releases: resolved
                .releases
                .iter()
                .map(|(name, release)| (name.clone(), Revised::from(release.clone())))
                .collect(),
            packages: resolved.packages.clone(),
        };
        let objects = ControlObjects(self.store());
        let progress = Progress::silent();
        let python = MachinePython { environments: self.environments(), progress: &progress };
        let resources = LocalResources {
            objects: &objects,
            python: &python,
            files: &project.snapshot,
            packages: &desired.packages,
        };
        let state = self.state().await?;
        let observed = observe::observe(&objects, &resources, &desired, state.as_ref())
            .await
            .map_err(|error| CliError::because("what is deployed can not be looked at", error.as_ref()))?;
        let mut plan = plan::plan(&desired, state.as_ref(), &observed).or_failed(|| "there is no plan".to_owned())?;
        for change in &mut plan.pipelines {
            if let Some(release) = resolved.releases.get(&change.pipeline) {
                change.forecast = self.forecast(project, release, &default_params(release)).await?;
            }
        }
        Ok(plan)
    }

    /// The plan that makes an earlier release live.
    pub(crate) async fn plan_rollback(
        &self,
        pipeline: Option<&PipelineName>,
        to: Option<&str>,
    ) -> Result<Plan, CliError> {
        let loaded = self
            .state()
            .await?
            .ok_or_else(|| CliError::new("nothing was applied yet, so there is nothing to roll back"))?;
        let deployed: Vec<&PipelineName> = loaded.state.pipelines.keys().collect();
        let pipeline = match (pipeline, deployed.as_slice()) {
            (Some(pipeline), _) => pipeline.clone(),
            (None, [only]) => (*only).clone(),
            (None, several) => {
                let names: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
                return Err(CliError::new("which pipeline?")
                    .hint(format!("deployed are {}", names.join(", ")))
                    .exit(ExitCode::Usage));
            }
        };
        let kept = loaded.state.pipelines.get(&pipeline).map(|deployed| deployed.retired.clone()).unwrap_or_default();
        let to = match to {
            Some(text) => Some(find_revision(&kept, text)?),
            None => None,
        };
        let wanted = BTreeMap::from([(pipeline.clone(), to)]);
        let observed = self.observe_deployed(&loaded, Some(&BTreeSet::from([pipeline]))).await?;
        plan::plan_rollback(&target_of(&loaded), Some(&loaded), &observed, &wanted)
            .or_failed(|| "there is no rollback".to_owned())
    }

    /// The plan that removes everything.
    pub(crate) async fn plan_destroy(&self) -> Result<Plan, CliError> {
        let loaded = self
            .state()
            .await?
            .ok_or_else(|| CliError::new("nothing was applied yet, so there is nothing to destroy"))?;
        let observed = self.observe_deployed(&loaded, None).await?;
        plan::plan_destroy(&target_of(&loaded), Some(&loaded), &observed).or_failed(|| "there is no plan".to_owned())
    }

    /// What is deployed, of some pipelines or of all, for plans that need no definition.
    async fn observe_deployed(
        &self,
        loaded: &LoadedState,
        pipelines: Option<&BTreeSet<PipelineName>>,
    ) -> Result<Observed, CliError> {
        let objects = ControlObjects(self.store());
        let (progress, packages) = (Progress::silent(), BTreeMap::new());
        let python = MachinePython { environments: self.environments(), progress: &progress };
        let resources = LocalResources { objects: &objects, python: &python, files: &NoFiles, packages: &packages };
        observe::observe_deployed(&objects, &resources, Some(loaded), pipelines)
            .await
            .map_err(|error| CliError::because("what is deployed can not be looked at", error.as_ref()))
    }

    /// Carries a plan out.
    pub(crate) async fn apply(
        &self,
        context: &Context,
        files: &Snapshot,
        tree: Option<Digest>,
        plan: &Plan,
        options: &ApplyOptions,
    ) -> CommandResult {
        let progress = Progress::new(&context.printer);
        let objects = ControlObjects(&**self.effect_store());
        let python = MachinePython { environments: self.environments(), progress: &progress };
        let resources =
            LocalResources { objects: &objects, python: &python, files, packages: &plan.documents.packages };
        let clock = ControlClock(SystemClock);
        let ports = Ports { objects: &objects, resources: &resources, clock: &clock };
        let stopped = stop_flag(crate::interrupt::listen(&context.printer)?);
        let bar = progress.bar(u64::try_from(plan.operations.len()).unwrap_or(u64::MAX), plan.purpose.as_str());
        let spill = self.root().join(format!("errored-{}.json", plan.environment));
        let request = ApplyRequest {
            tree,
            id: SystemNonces.nonce(),
            lineage: SystemNonces.nonce(),
            by: self.settings().user.clone(),
            lock: LockRequest {
                holder: self.holder(plan.purpose.as_str(), plan.base.source.commit.clone()),
                timeout: options.lock_timeout,
                is_alive: &lock::is_alive,
            },
            spill: &spill,
            delete_data: options.delete_data,
            stop: &|| stopped.load(Ordering::Relaxed),
            events: &|event| match event {
                ApplyEvent::Started { .. } | ApplyEvent::DataDeleted { .. } => {}
                ApplyEvent::OperationStarted { index: _, operation } => bar.set_message(describe(&operation)),
                ApplyEvent::OperationDone { .. } => bar.inc(1),
            },
        };
        let outcome = apply::apply(plan, &ports, request).await;
        bar.finish_and_clear();
        match outcome {
            Ok(report) => {
                context.printer.data(&format!("{}\n", summary(plan, &report)));
                Ok(ExitCode::Ok)
            }
            Err(error) => Err(explain(plan, &error)),
        }
    }

    /// The state of this environment.
    pub(crate) async fn state(&self) -> Result<Option<LoadedState>, CliError> {
        state::load(&ControlObjects(self.store()), self.environment_name())
            .await
            .or_failed(|| "the state can not be read".to_owned())
    }

    /// What happened to this environment, newest first.
    pub(crate) async fn history(&self) -> Result<Vec<HistoryEntry>, CliError> {
        history::history(&ControlObjects(self.store()), self.environment_name(), ALL)
            .await
            .map_err(|error| CliError::because("the history can not be read", error.as_ref()))
    }

    /// Who holds the lock.
    pub(crate) async fn lock_holder(&self) -> Result<Option<LockHolder>, CliError> {
        state::holder(&ControlObjects(self.store()), self.environment_name())
            .await
            .or_failed(|| "the lock can not be read".to_owned())
    }

    /// Takes the lock away from whoever holds it.
    pub(crate) async fn unlock(&self) -> Result<(), CliError> {
        state::unlock(&ControlObjects(self.store()), self.environment_name())
            .await
            .or_failed(|| "the lock can not be taken away".to_owned())?;
        Ok(())
    }

    /// Puts a state back that an apply had to save to a file.
    pub(crate) async fn push_state(&self, bytes: &[u8]) -> Result<&'static str, CliError> {
        let pushed = state::push(&ControlObjects(self.store()), self.environment_name(), bytes)
            .await
            .or_failed(|| "the state was not put back".to_owned())?;
        Ok(match pushed {
            Pushed::Written => "The state is put back.",
            Pushed::Unchanged => "The state is that of the file already.",
        })
    }

    fn environment_name(&self) -> &EnvironmentName {
        &self.settings().environment
    }

    /// This process as a holder of the lock; the lock itself fills in the times.
    fn holder(&self, command: &str, commit: Option<String>) -> LockHolder {
        LockHolder {
            id: SystemNonces.nonce(),
            user: self.settings().user.clone(),
            host: lock::host(),
            pid: std::process::id(),
            command: command.to_owned(),
            commit,
            since: self.now(),
            until: self.now(),
        }
    }
}

/// A rollback and a destroy build nothing, so that they need no files.
struct NoFiles;

impl liminal_schemas::files::ProjectFiles for NoFiles {
    fn file(
        &self,
        _: &str,
    ) -> Result<Option<liminal_schemas::files::ProjectFile>, liminal_schemas::files::RefusedFile> {
        Ok(None)
    }
    fn under(
        &self,
        _: &str,
    ) -> Result<Vec<(String, liminal_schemas::files::ProjectFile)>, (String, liminal_schemas::files::RefusedFile)> {
        Ok(Vec::new())
    }
    fn read(&self, path: &str, _: usize) -> Result<Vec<u8>, String> {
        Err(format!("{path} is not read here"))
    }
}

fn target_of(loaded: &LoadedState) -> Target {
    let source = loaded.state.applied.as_ref().map(|applied| applied.source.clone()).unwrap_or_default();
    Target {
        project: loaded.state.project.clone(),
        environment: loaded.state.environment.clone(),
        source,
        tree: Digest::of_bytes(b""),
        keep: plan::DEFAULT_KEEP,
    }
}

fn find_revision(kept: &[Digest], text: &str) -> Result<Digest, CliError> {
    if let Ok(whole) = text.parse() {
        return Ok(whole);
    }
    let near: Vec<&Digest> = kept.iter().filter(|digest| text.len() >= 4 && digest.hex().starts_with(text)).collect();
    match near.as_slice() {
        [only] => Ok(**only),
        _ => {
            let shorts: Vec<String> = kept.iter().map(Digest::short).collect();
            let kept =
                if shorts.is_empty() { "none is kept".to_owned() } else { format!("kept are {}", shorts.join(", ")) };
            Err(CliError::new(format!("no kept revision begins with `{text}`")).hint(kept).exit(ExitCode::Usage))
        }
    }
}

/// A flag that Ctrl-C raises.
fn stop_flag(mut interrupt: tokio::sync::watch::Receiver<Stop>) -> std::sync::Arc<AtomicBool> {
    let flag = std::sync::Arc::new(AtomicBool::new(false));
    let raised = std::sync::Arc::clone(&flag);
    tokio::spawn(async move {
        if interrupt.wait_for(|stop| *stop != Stop::No).await.is_ok() {
            raised.store(true, Ordering::Relaxed);
        }
    });
    flag
}

fn describe(operation: &Operation) -> String {
    match operation {
        Operation::CreateResource { address } if address.kind == ResourceKind::Python => {
            format!("Python environment {}", address.digest.short())
        }
        Operation::WriteRelease { pipeline, revision } | Operation::DeleteRelease { pipeline, revision } => {
            format!("release {} of {pipeline}", revision.short())
        }
        Operation::MoveLive { pipeline, .. } | Operation::RemoveLive { pipeline, .. } => format!("live {pipeline}"),
        Operation::CreateResource { address } | Operation::DeleteResource { address } => {
            format!("{} {}", address.kind.as_str(), address.digest.short())
        }
    }
}

fn summary(plan: &Plan, report: &ApplyReport) -> String {
    let verb = match plan.purpose {
        liminal_schemas::plan::PlanPurpose::Apply => "Applied",
        liminal_schemas::plan::PlanPurpose::Rollback => "Rolled back",
        liminal_schemas::plan::PlanPurpose::Destroy => "Destroyed",
    };
    let mut live: Vec<String> = report
        .pipelines
        .iter()
        .take(5)
        .map(|(name, revision)| match revision {
            Some(revision) => format!("{name} is live as {}", revision.short()),
            None => format!("{name} is gone"),
        })
        .collect();
    if report.pipelines.len() > live.len() {
        live.push(format!("{} more", report.pipelines.len() - live.len()));
    }
    let mut text = format!("{verb}: {}", units::count(report.operations, "operation"));
    if !live.is_empty() {
        text = format!("{text}; {}", live.join(", "));
    }
    if report.deleted_objects > 0 {
        text = format!("{text}; {} deleted", units::count(report.deleted_objects, "object"));
    }
    format!("{text}.")
}

fn explain(plan: &Plan, error: &ApplyError) -> CliError {
    let command = plan.purpose.as_str();
    let explained = CliError::because(format!("the {command} did not get to its end"), error);
    match error {
        ApplyError::Stale(_) | ApplyError::Overtaken => {
            explained.hint("`liminal plan` makes a new one").exit(ExitCode::StalePlan)
        }
        ApplyError::Lock(LockError::Held { .. }) => explained
            .hint("wait for it, or --lock-timeout 5m waits for you")
            .hint("if that process is gone for good: liminal state unlock")
            .exit(ExitCode::LockHeld),
        ApplyError::Stopped { .. } => explained.hint("`liminal apply` takes up the rest").exit(ExitCode::Interrupted),
        ApplyError::Lock(_)
        | ApplyError::State(_)
        | ApplyError::NotStarted(_)
        | ApplyError::Operations(_)
        | ApplyError::Spilled { .. }
        | ApplyError::NotSpilled { .. }
        | ApplyError::Unrecorded { .. }
        | ApplyError::Data { .. }
        | ApplyError::Json(_) => explained,
    }
}
