//! Runs on AWS: asked for from here, carried forward there.

use std::sync::Arc;
use std::time::Duration;

use liminal_functions::aws::environment::Served;
use liminal_functions::aws::platform::AwsPlatform;
use liminal_functions::aws::queue::SqsQueue;
use liminal_functions::aws::store::S3Store;
use liminal_functions::executor::AttemptJob;
use liminal_functions::executor::AttemptOutcome;
use liminal_functions::executor::Executor;
use liminal_functions::runner::Events;
use liminal_functions::runner::Runner;
use liminal_functions::runner::RunnerError;
use liminal_schemas::release::Release;
use liminal_schemas::run::RunRecord;
use tokio::sync::mpsc;

use super::Aws;
use super::follow::follow;
use crate::app::Context;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::platform::Cancelled;
use crate::platform::Carry;
use crate::platform::Environment;
use crate::platform::effects::plain;
use crate::platform::running::exit_of;
use crate::progress::Progress;
use crate::records::RunName;

/// How often a followed run is looked at.
pub(in crate::platform) const POLL: Duration = Duration::from_millis(700);

/// How long steps that run have to end once their run is cancelled, before this says that they still do.
const PATIENCE: Duration = Duration::from_secs(15);

/// An executor for those who only settle and send: steps run elsewhere.
struct StartsNothing;

impl Executor for StartsNothing {
    async fn execute(&self, _: AttemptJob) -> AttemptOutcome {
        AttemptOutcome::Stopped
    }
}

impl Aws {
    fn runner(&self) -> Runner<AwsPlatform<StartsNothing>> {
        let owner = &self.site.owner;
        let store = S3Store::clone(plain(&self.store));
        let (project, environment) = (owner.project.clone(), owner.environment.clone());
        let served = Served { project, environment, place: store.place().clone() };
        let queue = Arc::new(SqsQueue::new(&self.clients));
        Runner::new(AwsPlatform::new(&served, store, queue, StartsNothing), Events::silent())
    }

    /// Starts a run, and follows it until it ends.
    pub(in crate::platform) async fn start(
        &self,
        context: &Context,
        environment: &Environment,
        release: &Release,
        record: RunRecord,
        carry: Carry,
    ) -> CommandResult {
        let name = RunName { run: record.run.clone(), pipeline: record.pipeline.clone() };
        self.runner().start_new(record).await.map_err(|error| explain(context, &name, "started", &error))?;
        self.show(context, environment, &name, release, carry).await
    }

    /// Sends the messages of a run again that may have been lost, and follows it until it ends.
    pub(in crate::platform) async fn resume(
        &self,
        context: &Context,
        environment: &Environment,
        name: &RunName,
        release: &Release,
        carry: Carry,
    ) -> CommandResult {
        let swept = self.runner().sweep(&name.pipeline, &name.run).await;
        swept.map_err(|error| explain(context, name, "resumed", &error))?;
        self.show(context, environment, name, release, carry).await
    }

    /// Ends a run that was asked to end: what has not begun is skipped now, what runs notices by itself.
    pub(in crate::platform) async fn cancel(
        &self,
        context: &Context,
        environment: &Environment,
        name: &RunName,
    ) -> Result<Cancelled, CliError> {
        let settled = self.runner().end_if_due(&name.pipeline, &name.run).await;
        settled.map_err(|error| explain(context, name, "cancelled", &error))?;
        let start = tokio::time::Instant::now();
        while environment.records().result(name).await?.is_none() {
            if start.elapsed() > PATIENCE {
                return Ok(Cancelled::Asked);
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(Cancelled::Ended)
    }

    async fn show(
        &self,
        context: &Context,
        environment: &Environment,
        name: &RunName,
        release: &Release,
        carry: Carry,
    ) -> CommandResult {
        let run = &name.run;
        let on = &context.settings.environment;
        if carry.detach {
            context.printer.data(&format!("{run}\n"));
            context.printer.say(&format!("Run {run} is started. To look at it: liminal status {run} -e {on}"));
            return Ok(ExitCode::Ok);
        }
        let progress = Progress::new(&context.printer);
        let (sender, events) = mpsc::unbounded_channel();
        let records = environment.records();
        let following = follow(&records, name, POLL, sender, carry.interrupt);
        let bars = progress.follow_run(format!("run {run}"), release.steps.len(), events);
        let (followed, ()) = tokio::join!(following, bars);
        let result = followed?;
        if let Some(output) = carry.output {
            let view = records.view(name).await?;
            environment.show_run(context, &view, output).await;
        }
        match result {
            Some(result) => Ok(exit_of(result.status)),
            None if carry.output.is_none() => Ok(ExitCode::Interrupted),
            None => {
                context.printer.complain(&format!(
                    "Run {run} goes on without being watched. To look at it: liminal status {run} -e {on}; to end it: liminal cancel {run} -e {on}\n"
                ));
                Ok(ExitCode::Interrupted)
            }
        }
    }
}

fn explain(context: &Context, name: &RunName, what: &str, error: &RunnerError) -> CliError {
    let on = &context.settings.environment;
    let explained = CliError::because(format!("run {} can not be {what}", name.run), error);
    if matches!(error, RunnerError::Replaced { .. }) {
        return explained.hint("nothing was started: run it again");
    }
    explained.hint(format!(
        "if a queue is missing: `liminal plan -e {on}` tells what differs, and `liminal apply -e {on}` mends it"
    ))
}
