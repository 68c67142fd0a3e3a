use liminal_schemas::definition;

use crate::app::Context;
use crate::args::Format;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::project;
use crate::render::style::Tone;
use crate::render::table::Align;
use crate::render::table::Cell;
use crate::render::table::Table;

/// Show the definition as one environment has it, and where each value comes from.
///
/// Parents, included files and the environment are laid over each other as for every other command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  liminal config -e prod\n  liminal config -e prod --explain")]
pub(crate) struct ConfigArgs {
    /// Say where each value was written.
    #[arg(long)]
    explain: bool,
    /// Read this git revision instead of the work tree.
    #[arg(long, value_name = "REV")]
    rev: Option<String>,
    /// The form of the list.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

pub(crate) fn run(context: &Context, args: &ConfigArgs) -> CommandResult {
    let directory = project::locate(&context.settings.directory)?;
    let files = project::snapshot(&directory, args.rev.as_deref())?;
    let name = Some(&context.settings.environment);
    let origins = definition::provenance(&files, project::definition_file(&directory), name)
        .map_err(|report| project::refuse(context, &report))?;
    if args.output == Format::Json {
        let values: Vec<serde_json::Value> = origins
            .iter()
            .map(|origin| {
                serde_json::json!({
                    "path": origin.path, "value": origin.value, "file": origin.file, "line": origin.line,
                })
            })
            .collect();
        context.printer.json(&values);
        return Ok(ExitCode::Ok);
    }
    let mut columns = vec![("KEY", Align::Left), ("VALUE", Align::Left)];
    if args.explain {
        columns.push(("FROM", Align::Left));
    }
    let mut table = Table::new(columns);
    for origin in &origins {
        let mut row = vec![Cell::new(Tone::Bold, &origin.path), Cell::new(Tone::Plain, &origin.value)];
        if args.explain {
            row.push(Cell::new(Tone::Dim, format!("{}:{}", origin.file, origin.line)));
        }
        table.row(row);
    }
    context.printer.data(&table.render(&context.printer.out));
    Ok(ExitCode::Ok)
}
