use liminal_schemas::name::StepName;

use crate::app::Context;
use crate::args::Format;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::platform::Carrier;
use crate::platform::Environment;
use crate::render;
use crate::watch::watch;

/// How many failed items are listed.
const MOST_FAILED: usize = 20;

/// Show how far a run is, or how it came out.
#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    /// The run; the newest where none is given.
    run: Option<String>,
    /// Show how the items of this step stand, and which failed.
    #[arg(long, value_name = "STEP", conflicts_with = "output")]
    items: Option<StepName>,
    /// Show the run as it goes on, until it ends.
    #[arg(short, long, conflicts_with_all = ["items", "output"])]
    watch: bool,
    /// The form of the answer.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

pub(crate) async fn run(context: &Context, args: &StatusArgs) -> CommandResult {
    let environment = Environment::of_project(context).await?;
    let records = environment.records();
    let name = records.find(args.run.as_deref(), None).await?;
    if let Some(step) = &args.items {
        let seen = records.items(&name, step, MOST_FAILED).await?.ok_or_else(|| {
            CliError::new(format!("step {step} of run {} has no items yet", name.run))
                .hint("only steps with `map:` have items, once they begin")
        })?;
        context.printer.data(&render::items::text(&name.run, step, &seen, &context.printer.out));
        return Ok(ExitCode::Ok);
    }
    if args.watch {
        watch(context, &environment, &name).await?;
    }
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
