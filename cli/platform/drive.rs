//! Drives a run on this machine and shows how it came out.

use std::sync::Arc;
use std::time::Duration;

use liminal_functions::local::LocalEnvironment;
use liminal_functions::local::clock::SystemClock;
use liminal_functions::local::drive;
use liminal_functions::local::drive::Drive;
use liminal_functions::local::drive::DriveError;
use liminal_functions::local::drive::DriveOptions;
use liminal_functions::local::drive::Driven;
use liminal_functions::local::executor::LocalExecutor;
use liminal_functions::local::executor::LocalExecutorConfig;
use liminal_functions::local::queue::SqliteQueue;
use liminal_functions::runner::Events;
use liminal_schemas::release::Release;
use liminal_schemas::release::SecretRef;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunStatus;
use liminal_schemas::template::Reference;
use liminal_schemas::template::Template;
use tokio::sync::mpsc;
use tokio::sync::watch;

use super::Local;
use super::effects::EffectQueue;
use super::effects::EffectStore;
use crate::app::Context;
use crate::args::Format;
use crate::env_vars;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::error::While as _;
use crate::exit_code::ExitCode;
use crate::progress::Progress;
use crate::records::Records;
use crate::records::RunName;

/// How long a step has to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);

/// How a run is carried out.
pub(crate) struct Carry {
    /// How many steps may run at once; the number of cores where that is not said.
    pub(crate) jobs: Option<std::num::NonZeroU32>,
    /// The form of the summary.
    pub(crate) output: Format,
    /// What Ctrl-C asks for.
    pub(crate) interrupt: watch::Receiver<liminal_functions::executor::Stop>,
}

impl Local {
    /// Drives a run to its end and shows how it came out. A record starts a new run, without one an old run goes on.
    pub(crate) async fn carry_out(
        &self,
        context: &Context,
        name: &RunName,
        release: &Release,
        start: Option<RunRecord>,
        carry: Carry,
    ) -> CommandResult {
        self.check_secrets(release)?;
        let environment = self.environment(context)?;
        let executor = Arc::new(self.executor());
        let (sender, events) = mpsc::unbounded_channel();
        let options = DriveOptions {
            jobs: carry.jobs.map_or_else(cores, std::num::NonZero::get),
            stop: carry.interrupt,
            events: Events::to(sender),
        };
        let what = match start {
            Some(record) => Drive::Start(Box::new(record)),
            None => Drive::Resume { pipeline: name.pipeline.clone(), run: name.run.clone() },
        };
        let progress = Progress::new(&context.printer);
        let title = format!("run {}", name.run);
        let driving = drive::drive(&environment, executor, what, options);
        let (driven, ()) = tokio::join!(driving, progress.follow_run(title, release.steps.len(), events));
        let driven = driven.map_err(|error| explain_drive(name, &error))?;
        let view = Records::new(self.store()).view(name).await?;
        self.show_run(context, &view, carry.output);
        match driven {
            Driven::Interrupted => {
                context.printer.complain(&format!(
                    "Run {run} is stopped, and nothing that is done is lost. Go on with: liminal resume {run}\n",
                    run = name.run
                ));
                Ok(ExitCode::Interrupted)
            }
            Driven::Finished(result) => Ok(exit_of(result.status)),
        }
    }

    /// Ends a run that nobody drives as cancelled.
    pub(crate) async fn cancel_idle(&self, context: &Context, name: &RunName) -> Result<(), CliError> {
        let environment = self.environment(context)?;
        drive::cancel_idle(&environment, &name.pipeline, &name.run)
            .await
            .map_err(|error| explain_drive(name, &error))?;
        Ok(())
    }

    /// Opens the queue beside the store. A damaged one is set aside, since runs derive their messages again.
    fn environment(&self, context: &Context) -> Result<LocalEnvironment<EffectStore, EffectQueue>, CliError> {
        let opened = SqliteQueue::open(self.root().join("queue.sqlite"), SystemClock)
            .or_failed(|| "the queue can not be opened".to_owned())?;
        if let Some(aside) = opened.set_aside {
            context.printer.warn(&format!(
                "the queue's file was corrupt and is set aside as {}; nothing is lost, since runs derive their messages again",
                aside.display()
            ));
        }
        Ok(LocalEnvironment {
            store: Arc::clone(self.effect_store()),
            queue: Arc::new(self.effects().queue(opened.queue)),
            locks: self.locks(),
        })
    }

    fn executor(&self) -> LocalExecutor {
        LocalExecutor::new(LocalExecutorConfig {
            root: self.root().to_owned(),
            cache_dir: self.settings().cache_dir.clone(),
            grace: GRACE,
            sandbox: self.settings().sandbox,
            warden: std::env::current_exe().ok(),
            path: self.settings().path.clone(),
            secrets: Arc::new(secret_value),
        })
    }

    /// A secret without a value would fail its step in the middle of the run: better to say so before it starts.
    fn check_secrets(&self, release: &Release) -> Result<(), CliError> {
        for (step, spec) in &release.steps {
            for reference in spec.templates().flat_map(Template::references) {
                let Reference::Secret(name) = reference else { continue };
                let missing = release.secrets.get(name).filter(|secret| secret_value(secret).is_none());
                if let Some(SecretRef::Env(variable)) = missing {
                    return Err(CliError::new(format!(
                        "step {step} needs the secret {name}, and {variable} is not set"
                    ))
                    .hint(format!("set the environment variable {variable} and run again")));
                }
            }
        }
        Ok(())
    }
}

fn secret_value(secret: &SecretRef) -> Option<String> {
    match secret {
        SecretRef::Env(name) => env_vars::read(name),
    }
}

fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX))
}

const fn exit_of(status: RunStatus) -> ExitCode {
    match status {
        RunStatus::Succeeded => ExitCode::Ok,
        RunStatus::Rejected => ExitCode::Refused,
        RunStatus::Failed | RunStatus::Cancelled => ExitCode::RunFailed,
    }
}

fn explain_drive(name: &RunName, error: &DriveError) -> CliError {
    let run = &name.run;
    let explained = CliError::because(format!("run {run} did not get to its end"), error);
    match error {
        DriveError::Lock(_) => {
            explained.hint(format!("`liminal status {run}` shows how far it is")).exit(ExitCode::LockHeld)
        }
        DriveError::Runner(_)
        | DriveError::Queue(_)
        | DriveError::Store(_)
        | DriveError::Panicked(_)
        | DriveError::Stuck(_) => explained.hint(format!("once the cause is gone, `liminal resume {run}` goes on")),
    }
}
