use crate::app::Context;
use crate::args::Format;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::platform::Carrier;
use crate::platform::Environment;

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
    let environment = Environment::of_project(context).await?;
    let records = environment.records();
    let name = records.find(args.run.as_deref(), None).await?;
    let view = records.view(&name).await?;
    environment.show_run(context, &view, args.output).await;
    if view.result.is_none() {
        match environment.carrier(&name.run) {
            Carrier::Process(process) => context.printer.say(&format!("Run {} is driven by {process}.", name.run)),
            Carrier::Cloud => {
                context.printer.say(&format!("Run {run} goes on: liminal logs -f {run} watches it.", run = name.run));
            }
            Carrier::Nobody => {
                context.printer.say(&format!("Nobody drives run {run}: liminal resume {run} goes on.", run = name.run));
            }
        }
    }
    Ok(ExitCode::Ok)
}
