use crate::app::Context;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::platform::Cancelled;
use crate::platform::Environment;

/// Stop a run for good.
///
/// Steps that run are ended, those that have not started are skipped. What is committed stays.
#[derive(Debug, clap::Args)]
pub(crate) struct CancelArgs {
    /// The run; the newest that has not ended where none is given.
    run: Option<String>,
}

pub(crate) async fn run(context: &Context, args: &CancelArgs) -> CommandResult {
    let environment = Environment::of_project(context).await?;
    let records = environment.records();
    let name = match &args.run {
        Some(run) => records.find(Some(run), None).await?,
        None => {
            records.newest_open().await?.ok_or_else(|| CliError::new("there is no run to cancel: all have ended"))?
        }
    };
    if let Some(result) = records.result(&name).await? {
        return Err(CliError::new(format!("run {} has ended already: it {}", name.run, result.status)));
    }
    if environment.cancel_run(context, &name).await? == Cancelled::Asked {
        context.printer.warn(&format!("run {} was asked to stop, and still does", name.run));
        return Ok(ExitCode::Ok);
    }
    context.printer.data(&format!("Run {} is cancelled.\n", name.run));
    Ok(ExitCode::Ok)
}
