use liminal_functions::ports::ObjectStore as _;
use liminal_schemas::keys;
use liminal_schemas::run::CancelRequest;
use liminal_schemas::run::RUN_SCHEMA;

use crate::app::Context;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::error::While as _;
use crate::exit_code::ExitCode;
use crate::platform::Local;
use crate::records::Records;

/// Stop a run for good.
///
/// Steps that run are ended, those that have not started are skipped. What is committed stays.
#[derive(Debug, clap::Args)]
pub(crate) struct CancelArgs {
    /// The run; the newest that has not ended where none is given.
    run: Option<String>,
}

/// How long the process that drives the run has to notice.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);

/// How often it is looked whether it has.
const POLL: std::time::Duration = std::time::Duration::from_millis(50);

pub(crate) async fn run(context: &Context, args: &CancelArgs) -> CommandResult {
    let local = Local::of_project(context)?;
    let records = Records::new(local.store());
    let name = match &args.run {
        Some(run) => records.find(Some(run), None).await?,
        None => {
            records.newest_open().await?.ok_or_else(|| CliError::new("there is no run to cancel: all have ended"))?
        }
    };
    if let Some(result) = records.result(&name).await? {
        return Err(CliError::new(format!("run {} has ended already: it {}", name.run, result.status)));
    }
    let key = keys::cancel(&name.pipeline, &name.run);
    let request = CancelRequest { schema: RUN_SCHEMA, by: context.settings.user.clone(), requested_at: local.now() };
    let bytes = serde_json::to_vec(&request).or_failed(|| format!("{key} can not be written"))?;
    local.store().put_if_absent(&key, &bytes).await.or_failed(|| format!("{key} can not be written"))?;
    let start = tokio::time::Instant::now();
    while records.result(&name).await?.is_none() {
        if local.driver(&name.run).is_none() {
            local.cancel_idle(context, &name).await?;
            break;
        }
        if start.elapsed() > PATIENCE {
            context.printer.warn(&format!("run {} was asked to stop, and still does", name.run));
            return Ok(ExitCode::Ok);
        }
        tokio::time::sleep(POLL).await;
    }
    context.printer.data(&format!("Run {} is cancelled.\n", name.run));
    Ok(ExitCode::Ok)
}
