use std::sync::Arc;

use liminal_schemas::definition;

use super::apply::Approval;
use super::apply::carry_out;
use crate::app::Context;
use crate::args::Format;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::platform::Environment;
use crate::project;
use crate::render::drift;

/// Show what differs from what is recorded as deployed, and put it back.
///
/// Every resource is looked at, field by field. Healing makes what drifted again from what is recorded, not from the
/// definition: what was rolled back stays rolled back.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  liminal drift -e staging\n  liminal drift -e staging --heal --auto-approve")]
pub(crate) struct DriftArgs {
    /// Put back what drifted.
    #[arg(long)]
    heal: bool,
    /// Exit with 2 when something differs, 0 when nothing does.
    #[arg(long, conflicts_with = "heal")]
    detailed_exitcode: bool,
    /// The form of the list.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM", conflicts_with = "heal")]
    output: Format,
    #[command(flatten)]
    approval: Approval,
}

pub(crate) async fn run(context: &Context, args: &DriftArgs) -> CommandResult {
    let environment = Environment::of_project(context).await?;
    let directory = project::locate(&context.settings.directory)?;
    let files = Arc::new(project::snapshot(&directory, None)?);
    let Some(looked) = environment.look_for_drift(&files).await? else {
        context.printer.data("Nothing is deployed.\n");
        return Ok(ExitCode::Ok);
    };
    match args.output {
        Format::Text => {
            context.printer.data(&drift::text(&looked.drift, looked.resources, &context.printer.out));
        }
        Format::Json => context.printer.json(&drift::json(&looked.drift, looked.resources)),
    }
    if args.heal && !looked.drift.is_empty() {
        // What is made again is made from the files that it was made from before.
        let applied = looked.commit().and_then(|commit| project::snapshot(&directory, Some(commit)).ok());
        let files = applied.map_or(files, Arc::new);
        let name = Some(&context.settings.environment);
        let loaded = definition::load(&*files, project::definition_file(&directory), name).ok();
        let plan = looked.plan(loaded.as_ref().map(|loaded| &loaded.resolved))?;
        return carry_out(context, &environment, (files, None), &plan, args.approval.options(false, false)).await;
    }
    let found = args.detailed_exitcode && !looked.drift.is_empty();
    Ok(if found { ExitCode::Changes } else { ExitCode::Ok })
}
