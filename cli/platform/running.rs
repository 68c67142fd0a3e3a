//! Runs, started, resumed and cancelled: on this machine by driving them, elsewhere by asking for it.

use std::num::NonZeroU32;

use liminal_functions::executor::Stop;
use liminal_functions::ports::ObjectStore as _;
use liminal_schemas::keys;
use liminal_schemas::name::PipelineName;
use liminal_schemas::release::Release;
use liminal_schemas::run::CancelRequest;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunStatus;
use tokio::sync::watch;

use super::Environment;
use super::environment::Platform;
use crate::app::Context;
use crate::args::Format;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::error::While as _;
use crate::exit_code::ExitCode;
use crate::interrupt;
use crate::project::Project;
use crate::records::RunName;

/// How a run is carried out.
pub(crate) struct Carry {
    /// How many steps may run at once on this machine; the number of cores where that is not said.
    pub(crate) jobs: Option<NonZeroU32>,
    /// The form of the summary; none for a run of many, whose ends are told together.
    pub(crate) output: Option<Format>,
    /// Whether to leave a run alone once it is started, where others carry it forward.
    pub(crate) detach: bool,
    /// What Ctrl-C asks for.
    pub(crate) interrupt: watch::Receiver<Stop>,
}

/// How a cancelled run came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cancelled {
    /// It has ended.
    Ended,
    /// It was asked to end, and has not yet.
    Asked,
}

impl Environment {
    /// Whether a run takes what is in the work tree, without an apply.
    pub(crate) const fn runs_work_tree(&self) -> bool {
        match &self.platform {
            Platform::Local(_) => true,
            Platform::Aws(_) => false,
        }
    }

    /// Puts in place what a run of something that was not applied needs.
    pub(crate) async fn prepare_run(
        &self,
        context: &Context,
        project: &Project,
        record: &RunRecord,
        release: &Release,
    ) -> Result<(), CliError> {
        match &self.platform {
            Platform::Local(local) => {
                let starts_python = local.starts_python(self, project, record, release).await?;
                local.publish(context, project, release, starts_python).await
            }
            // What runs there was applied, and is in place.
            Platform::Aws(_) => Ok(()),
        }
    }

    /// Starts a run, and shows how it comes out.
    pub(crate) async fn start_run(
        &self,
        context: &Context,
        release: &Release,
        record: RunRecord,
        carry: Carry,
    ) -> CommandResult {
        self.mark_canary(&record).await?;
        let (pipeline, is_canary) = (record.pipeline.clone(), record.canary.is_some());
        let outcome = match &self.platform {
            Platform::Local(local) => local.start(context, self, release, record, carry).await,
            Platform::Aws(aws) => aws.start(context, self, release, record, carry).await,
        };
        if is_canary {
            self.settle_canary(context, &pipeline).await?;
        }
        outcome
    }

    /// Goes on with a run that has not ended, and shows how it comes out.
    pub(crate) async fn resume_run(
        &self,
        context: &Context,
        name: &RunName,
        release: &Release,
        carry: Carry,
    ) -> CommandResult {
        let outcome = match &self.platform {
            Platform::Local(local) => local.resume(context, self, name, release, carry).await,
            Platform::Aws(aws) => aws.resume(context, self, name, release, carry).await,
        };
        self.settle_canary(context, &name.pipeline).await?;
        outcome
    }

    /// Asks a run to end, and sees to it that it does.
    pub(crate) async fn cancel_run(&self, context: &Context, name: &RunName) -> Result<Cancelled, CliError> {
        let key = keys::cancel(&name.pipeline, &name.run);
        let request = CancelRequest { schema: RUN_SCHEMA, by: self.settings().user.clone(), requested_at: self.now() };
        let bytes = serde_json::to_vec(&request).or_failed(|| format!("{key} can not be written"))?;
        self.store().put_if_absent(&key, &bytes).await.or_failed(|| format!("{key} can not be written"))?;
        match &self.platform {
            Platform::Local(local) => local.cancel(context, self, name).await,
            Platform::Aws(aws) => aws.cancel(context, self, name).await,
        }
    }

    /// Carries out tasks that a service only records.
    pub(crate) async fn emulate_tasks(&self, context: &Context, once: bool) -> Result<(), CliError> {
        match &self.platform {
            Platform::Local(_) => {
                Err(CliError::new(format!("environment {} has no tasks: it is on `local`", self.name()))
                    .hint("-e ENV names an environment on `aws`")
                    .exit(ExitCode::Usage))
            }
            Platform::Aws(aws) => {
                let stop = interrupt::listen(&context.printer, interrupt::ENDS_TASKS)?;
                aws.emulate_tasks(context, once, stop).await
            }
        }
    }

    /// The pipelines that are live.
    pub(crate) async fn live_pipelines(&self) -> Result<Vec<PipelineName>, CliError> {
        let listed = self.store().list(keys::LIVE_PREFIX).await.or_failed(|| "what is live is unknown".to_owned())?;
        let name = |key: &String| key.strip_prefix(keys::LIVE_PREFIX)?.strip_suffix(".json").map(str::to_owned);
        Ok(listed.iter().filter_map(name).filter_map(|name| PipelineName::new(name).ok()).collect())
    }
}

/// The exit code of a run that ended.
pub(super) const fn exit_of(status: RunStatus) -> ExitCode {
    match status {
        RunStatus::Succeeded => ExitCode::Ok,
        RunStatus::Rejected => ExitCode::Refused,
        RunStatus::Failed | RunStatus::Cancelled => ExitCode::RunFailed,
    }
}
