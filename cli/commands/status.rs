use crate::app::Context;
use crate::args::Format;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::platform::Local;
use crate::records::Records;

/// Show how far a run is, or how it came out.
#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    /// The run; the newest where none is given.
    run: Option<String>,
    /// The form of the answer.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

pub(crate) async fn run(context: &Context, args: &StatusArgs) -> CommandResult {
    let local = Local::of_project(context)?;
    let records = Records::new(local.store());
    let name = records.find(args.run.as_deref(), None).await?;
    let view = records.view(&name).await?;
    local.show_run(context, &view, args.output);
    if view.result.is_none() {
        match local.driver(&name.run) {
            Some(driver) => context.printer.say(&format!(
                "Run {} is driven by process {} on {} since {}.",
                name.run, driver.pid, driver.host, driver.since
            )),
            None => {
                context.printer.say(&format!("Nobody drives run {run}: liminal resume {run} goes on.", run = name.run));
            }
        }
    }
    Ok(ExitCode::Ok)
}
