//! Carrying plans out.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use liminal_functions::clock::SystemClock;
use liminal_functions::clock::SystemNonces;
use liminal_functions::executor::Stop;
use liminal_functions::local::lock;
use liminal_functions::ports::Nonces as _;
use liminal_infra::apply;
use liminal_infra::apply::ApplyError;
use liminal_infra::apply::ApplyReport;
use liminal_infra::apply::ApplyRequest;
use liminal_infra::apply::Ports;
use liminal_infra::source::Snapshot;
use liminal_infra::state::LockError;
use liminal_infra::state::LockRequest;
use liminal_schemas::digest::Digest;
use liminal_schemas::gitops::Trigger;
use liminal_schemas::plan::Plan;
use liminal_schemas::plan::PlanPurpose;
use liminal_schemas::state::HistoryResult;
use liminal_schemas::state::LockHolder;
use tokio::sync::watch;

use super::Environment;
use super::Undone;
use super::apply_bars::ApplyBars;
use super::environment::Platform;
use super::objects::ControlClock;
use super::objects::ControlObjects;
use super::resources::Material;
use super::resources::recorded;
use crate::app::Context;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::interrupt;
use crate::progress::Progress;
use crate::render::units;

/// How a plan is carried out.
pub(crate) struct ApplyOptions {
    /// Whether nobody need be asked.
    pub(crate) approved: bool,
    /// Whether a destroy also deletes data.
    pub(crate) delete_data: bool,
    /// How long to wait for the lock.
    pub(crate) lock_timeout: Duration,
    /// What set it going, where it was no person at a terminal.
    pub(crate) trigger: Option<Trigger>,
    /// How long an environment lives that is made from a template, where that is said.
    pub(crate) ttl: Option<Duration>,
}

/// Why a plan was not carried out.
pub(crate) enum ApplyFailure {
    /// What it is carried out with could not be had.
    Setup(CliError),
    /// The environment is protected, and nobody has approved the plan.
    NotApproved(CliError),
    /// The apply did not get to its end.
    Apply(ApplyError),
}

impl ApplyFailure {
    /// The failure as it is shown.
    pub(crate) fn explain(self, plan: &Plan) -> CliError {
        match self {
            Self::Setup(error) | Self::NotApproved(error) => error,
            Self::Apply(error) => explain(plan, &error),
        }
    }
}

impl Environment {
    /// Carries a plan out, and says what came of it.
    pub(crate) async fn apply(
        &self,
        context: &Context,
        files: Arc<Snapshot>,
        tree: Option<Digest>,
        plan: &Plan,
        options: &ApplyOptions,
    ) -> CommandResult {
        let stopped = stop_flag(interrupt::listen(&context.printer, interrupt::ENDS_APPLY)?);
        match self.attempt(context, (files, tree), plan, options, &stopped).await {
            Ok(report) => {
                context.printer.data(&format!("{}\n", summary(plan, &report)));
                if plan.purpose == PlanPurpose::Destroy {
                    self.tell_what_stays(context, options.delete_data);
                }
                Ok(ExitCode::Ok)
            }
            Err(failure) => Err(failure.explain(plan)),
        }
    }

    /// Carries a plan out, or tells what kept it from its end. `stopped` is looked at before every operation.
    pub(crate) async fn attempt(
        &self,
        context: &Context,
        (files, tree): (Arc<Snapshot>, Option<Digest>),
        plan: &Plan,
        options: &ApplyOptions,
        stopped: &AtomicBool,
    ) -> Result<ApplyReport, ApplyFailure> {
        self.check_approved(plan).await?;
        let lifetime = self.lifetime(plan, options.ttl).map_err(ApplyFailure::Setup)?;
        if lifetime.is_some() {
            self.register(context).await.map_err(ApplyFailure::Setup)?;
        }
        let progress = Progress::new(&context.printer);
        let mut documents = recorded(self.state().await.map_err(ApplyFailure::Setup)?.as_ref());
        documents.extend(plan.documents.resources.clone());
        let packages = &plan.documents.packages;
        let bars = ApplyBars::new(&progress, plan, documents.clone());
        let material = Material { files, packages, documents, delete_messages: options.delete_data };
        let workshop = self.workshop(&progress, material);
        let resources = workshop.resources();
        let clock = ControlClock(SystemClock);
        let ports = Ports { objects: &workshop.objects, resources: &resources, clock: &clock };
        let spill = self.folder().join(format!("errored-{}.json", plan.environment));
        let request = ApplyRequest {
            tree,
            id: SystemNonces.nonce(),
            lineage: SystemNonces.nonce(),
            by: self.settings().user.clone(),
            trigger: options.trigger,
            lock: self.lock_request(plan, options.lock_timeout),
            spill: &spill,
            lifetime,
            delete_data: options.delete_data,
            stop: &|| stopped.load(Ordering::Relaxed),
            events: &|event| bars.show(event),
        };
        let outcome = apply::apply(plan, &ports, request).await;
        bars.finish();
        if let Err(error) = &outcome
            && was_begun(error)
        {
            let (command, source) = (plan.purpose.as_str(), plan.base.source.clone());
            let undone = Undone {
                command,
                source,
                trigger: options.trigger,
                result: HistoryResult::Failed,
                reason: error.to_string(),
            };
            self.record_undone(undone).await;
        }
        outcome.map_err(ApplyFailure::Apply)
    }

    /// Records that this environment is what the commit of an empty plan says.
    pub(crate) async fn record_commit(&self, plan: &Plan, options: &ApplyOptions) -> Result<(), ApplyFailure> {
        let objects = ControlObjects(self.store());
        let (clock, who) = (ControlClock(SystemClock), (self.settings().user.clone(), options.trigger));
        let lifetime = self.lifetime(plan, options.ttl).map_err(ApplyFailure::Setup)?;
        let lock = self.lock_request(plan, options.lock_timeout);
        let recorded = apply::record_commit(plan, (&objects, &clock), who, lifetime.as_ref(), lock);
        recorded.await.map_err(ApplyFailure::Apply)
    }

    /// The request of this process for the lock.
    fn lock_request(&self, plan: &Plan, timeout: Duration) -> LockRequest<'static> {
        let holder = self.holder(plan.purpose.as_str(), plan.base.source.commit.clone());
        LockRequest { holder, timeout, is_alive: &lock::is_alive }
    }

    /// Says what a destroy leaves where others would look for it.
    fn tell_what_stays(&self, context: &Context, delete_data: bool) {
        let Platform::Aws(aws) = &self.platform else { return };
        let owner = &aws.site.owner;
        let objects = self.store().uri("");
        let say = |text: &str| context.printer.say(text);
        say("what stays, since others may need it:");
        if delete_data {
            say(&format!("  state and history in {objects}"));
        } else {
            say(&format!(
                "  runs, artifacts, models, state and history in {objects}; --allow-destroy removes the data"
            ));
            say(&format!("  the log groups below /liminal/{}/{}/", owner.project, owner.environment));
        }
        say("  what `liminal bootstrap` made for all environments of the account");
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

/// A flag that Ctrl-C raises.
pub(crate) fn stop_flag(mut interrupt: watch::Receiver<Stop>) -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    tokio::spawn(async move {
        if interrupt.wait_for(|stop| *stop != Stop::No).await.is_ok() {
            raised.store(true, Ordering::Relaxed);
        }
    });
    flag
}

/// What an apply did, in one line.
pub(crate) fn summary(plan: &Plan, report: &ApplyReport) -> String {
    let verb = match plan.purpose {
        PlanPurpose::Apply => "Applied",
        PlanPurpose::Rollback => "Rolled back",
        PlanPurpose::Promote => "Promoted",
        PlanPurpose::Abort => "Aborted",
        PlanPurpose::Heal => "Healed",
        PlanPurpose::Destroy => "Destroyed",
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
    live.extend(report.canaries.iter().take(5).map(|(name, tried)| {
        let revision = tried.revision.short();
        match tried.share {
            Some(share) => format!("{name} gives {share} of its runs to {revision}"),
            None => format!("{name} tries {revision} no longer"),
        }
    }));
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

/// Whether an apply had begun when it failed.
const fn was_begun(error: &ApplyError) -> bool {
    match error {
        ApplyError::Operations(_)
        | ApplyError::Overtaken
        | ApplyError::Stopped { .. }
        | ApplyError::Spilled { .. }
        | ApplyError::NotSpilled { .. }
        | ApplyError::Data { .. } => true,
        ApplyError::Stale(_)
        | ApplyError::Lock(_)
        | ApplyError::State(_)
        | ApplyError::NotStarted(_)
        | ApplyError::Unrecorded { .. }
        | ApplyError::Json(_) => false,
    }
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
            .hint("if that process is gone for good: `liminal state unlock`")
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
