use liminal_schemas::definition;

use crate::app::Context;
use crate::args::Format;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::project;
use crate::render;

/// Check the definition and report every problem in it at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  liminal validate\n  liminal validate --rev HEAD -o json")]
pub(crate) struct ValidateArgs {
    /// Check the definition as of this git revision instead of the work tree.
    #[arg(long, value_name = "REV")]
    rev: Option<String>,
    /// The form of the report.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

pub(crate) fn run(context: &Context, args: &ValidateArgs) -> CommandResult {
    let directory = project::locate(&context.settings.directory)?;
    let snapshot = project::snapshot(&directory, args.rev.as_deref())?;
    let file = project::definition_file(&directory);
    let (loaded, report) = match definition::load(&snapshot, file, Some(&context.settings.environment)) {
        Ok(loaded) => (Some(loaded.resolved), loaded.report),
        Err(report) => (None, *report),
    };
    match args.output {
        Format::Json => context.printer.json(&render::findings::json(&report)),
        Format::Text if report.findings.is_empty() => {}
        Format::Text => context.printer.complain(&render::findings::text(&report, &context.printer.err)),
    }
    let Some(resolved) = loaded else {
        return Ok(ExitCode::Error);
    };
    if args.output == Format::Text {
        let steps: usize = resolved.releases.values().map(|release| release.steps.len()).sum();
        let pipelines = resolved.releases.len();
        context.printer.data(&format!(
            "{file} is valid: project {}, environment {}, {pipelines} {}, {steps} {}.\n",
            resolved.project,
            resolved.environment,
            if pipelines == 1 { "pipeline" } else { "pipelines" },
            if steps == 1 { "step" } else { "steps" },
        ));
    }
    Ok(ExitCode::Ok)
}
