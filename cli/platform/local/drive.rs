//! Drives a run on this machine and shows how it came out.

use std::sync::Arc;
use std::time::Duration;

use liminal_functions::clock::SystemClock;
use liminal_functions::local::LocalEnvironment;
use liminal_functions::local::buckets::FolderBuckets;
use liminal_functions::local::drive;
use liminal_functions::local::drive::Drive;
use liminal_functions::local::drive::DriveError;
use liminal_functions::local::drive::DriveOptions;
use liminal_functions::local::drive::Driven;
use liminal_functions::local::executor::LocalExecutor;
use liminal_functions::local::executor::LocalExecutorConfig;
use liminal_functions::local::queue::MemoryQueue;
use liminal_functions::local::store::DirectoryStore;
use liminal_functions::runner::Events;
use liminal_functions::runner::RunnerError;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::release::Release;
use liminal_schemas::release::SecretRef;
use liminal_schemas::run::RunRecord;
use liminal_schemas::template::Reference;
use liminal_schemas::template::Template;
use tokio::sync::mpsc;

use super::Local;
use crate::app::Context;
use crate::env_vars;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::platform::Cancelled;
use crate::platform::Carry;
use crate::platform::Environment;
use crate::platform::effects::EffectQueue;
use crate::platform::effects::EffectStore;
use crate::platform::running::exit_of;
use crate::progress::Progress;
use crate::records::RunName;

/// How long a step has to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);

/// How long the process that drives a run has to notice that it is to end.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often it is looked whether it has.
const POLL: Duration = Duration::from_millis(50);

/// Opened for the effects of this process to be counted.
pub(super) type Opened = LocalEnvironment<EffectStore<DirectoryStore>, EffectQueue<MemoryQueue>>;

impl Local {
    /// Starts a run, drives it to its end and shows how it came out.
    pub(in crate::platform) async fn start(
        &self,
        context: &Context,
        environment: &Environment,
        release: &Release,
        record: RunRecord,
        carry: Carry,
    ) -> CommandResult {
        self.drive(context, environment, release, Drive::Start(Box::new(record)), carry).await
    }

    /// Drives a run on to its end and shows how it came out.
    pub(in crate::platform) async fn resume(
        &self,
        context: &Context,
        environment: &Environment,
        name: &RunName,
        release: &Release,
        carry: Carry,
    ) -> CommandResult {
        self.check_environments(release).await?;
        let what = Drive::Resume { pipeline: name.pipeline.clone(), run: name.run.clone() };
        self.drive(context, environment, release, what, carry).await
    }

    async fn drive(
        &self,
        context: &Context,
        environment: &Environment,
        release: &Release,
        what: Drive,
        carry: Carry,
    ) -> CommandResult {
        self.check_secrets(release)?;
        let name = &match &what {
            Drive::Start(record) => RunName { run: record.run.clone(), pipeline: record.pipeline.clone() },
            Drive::Resume { pipeline, run } => RunName { run: run.clone(), pipeline: pipeline.clone() },
        };
        let opened = self.opened(environment.name());
        let executor = Arc::new(self.executor());
        let (sender, events) = mpsc::unbounded_channel();
        let options = DriveOptions {
            jobs: carry.jobs.map_or_else(cores, std::num::NonZero::get),
            stop: carry.interrupt,
            events: Events::to(sender),
        };
        let progress = Progress::new(&context.printer);
        let title = format!("run {}", name.run);
        let driving = drive::drive(&opened, executor, what, options);
        let (driven, ()) = tokio::join!(driving, progress.follow_run(title, release.steps.len(), events));
        let driven = driven.map_err(|error| explain_drive(name, &error))?;
        if let Some(output) = carry.output {
            let view = environment.records().view(name).await?;
            environment.show_run(context, &view, output).await;
        }
        match driven {
            Driven::Interrupted if carry.output.is_none() => Ok(ExitCode::Interrupted),
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

    /// Waits until the process that drives a run has ended it; ends it here when there is none.
    pub(in crate::platform) async fn cancel(
        &self,
        context: &Context,
        environment: &Environment,
        name: &RunName,
    ) -> Result<Cancelled, CliError> {
        let start = tokio::time::Instant::now();
        while environment.records().result(name).await?.is_none() {
            if self.driver(&name.run).is_none() {
                let opened = self.opened(environment.name());
                let ended = drive::cancel_idle(&opened, &name.pipeline, &name.run).await;
                if ended.map_err(|error| explain_drive(name, &error))?.is_some() {
                    break;
                }
                // Its steps under `finally:` are left, and nobody else runs them.
                let what = Drive::Resume { pipeline: name.pipeline.clone(), run: name.run.clone() };
                let stop = environment.listen(context)?;
                let options = DriveOptions { jobs: cores(), stop, events: Events::silent() };
                let driven = drive::drive(&opened, Arc::new(self.executor()), what, options).await;
                return Ok(match driven.map_err(|error| explain_drive(name, &error))? {
                    Driven::Finished(_) => Cancelled::Ended,
                    Driven::Interrupted => Cancelled::Asked,
                });
            }
            if start.elapsed() > PATIENCE {
                return Ok(Cancelled::Asked);
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(Cancelled::Ended)
    }

    /// What runs that are driven by this process share.
    pub(super) fn opened(&self, name: &EnvironmentName) -> Opened {
        LocalEnvironment {
            name: name.clone(),
            store: self.store(),
            queue: Arc::new(self.effects.of(MemoryQueue::new(SystemClock))),
            locks: self.locks(),
            buckets: self.buckets(),
        }
    }

    pub(super) fn executor(&self) -> LocalExecutor {
        self.executor_over(self.buckets())
    }

    /// An executor that knows of other folders for buckets.
    pub(super) fn executor_over(&self, buckets: FolderBuckets) -> LocalExecutor {
        LocalExecutor::new(LocalExecutorConfig {
            root: self.root.clone(),
            cache_dir: self.settings.cache_dir.clone(),
            grace: GRACE,
            sandbox: self.settings.sandbox,
            warden: std::env::current_exe().ok(),
            path: self.settings.path.clone(),
            secrets: Arc::new(secret_value),
            buckets,
        })
    }

    /// The folders that stand for buckets where nothing else is said.
    pub(super) fn buckets(&self) -> FolderBuckets {
        let dev = self.dev_folder();
        FolderBuckets::new(dev.join("objects"), dev.join("buckets"))
    }

    /// A secret without a value would fail its step in the middle of the run: better to say so before it starts.
    fn check_secrets(&self, release: &Release) -> Result<(), CliError> {
        for (step, spec) in &release.steps {
            for reference in spec.templates().flat_map(Template::references) {
                let Reference::Secret(name) = reference else { continue };
                let missing = release.secrets.get(name).filter(|secret| secret_value(secret).is_none());
                match missing {
                    Some(SecretRef::Env(variable)) => {
                        return Err(CliError::new(format!(
                            "step {step} needs the secret {name}, and {variable} is not set"
                        ))
                        .hint(format!("set the environment variable {variable} and run again")));
                    }
                    Some(reference @ (SecretRef::SecretsManager { .. } | SecretRef::Parameter(_))) => {
                        return Err(CliError::new(format!(
                            "step {step} needs the secret {name}, and `local` can not read {reference}"
                        ))
                        .hint(format!("name a variable that holds it: `environments: {{local: {{secrets: {{{name}: env:VARIABLE}}}}}}`")));
                    }
                    None => {}
                }
            }
        }
        Ok(())
    }
}

fn secret_value(secret: &SecretRef) -> Option<String> {
    match secret {
        SecretRef::Env(name) => env_vars::read(name),
        // Runs on this machine need no account: an environment names a variable instead.
        SecretRef::SecretsManager { .. } | SecretRef::Parameter(_) => None,
    }
}

pub(super) fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX))
}

fn explain_drive(name: &RunName, error: &DriveError) -> CliError {
    let run = &name.run;
    let explained = CliError::because(format!("run {run} did not get to its end"), error);
    match error {
        DriveError::Lock(_) => {
            explained.hint(format!("`liminal status {run}` shows how far it is")).exit(ExitCode::LockHeld)
        }
        DriveError::Runner(RunnerError::Replaced { .. }) => explained.hint("nothing was started: run it again"),
        DriveError::Runner(_)
        | DriveError::Queue(_)
        | DriveError::Store(_)
        | DriveError::Panicked(_)
        | DriveError::Stuck(_) => explained.hint(format!("once the cause is gone, `liminal resume {run}` goes on")),
    }
}
