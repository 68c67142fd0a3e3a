use liminal_infra::apply::window::all;
use liminal_schemas::name::PipelineName;

use crate::app::Context;
use crate::args::Format;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::platform::Environment;
use crate::records::AT_ONCE;
use crate::render::style::Tone;
use crate::render::table::Align;
use crate::render::table::Cell;
use crate::render::table::Table;
use crate::render::units;

/// List the runs, newest first.
#[derive(Debug, clap::Args)]
pub(crate) struct RunsArgs {
    /// Only runs of this pipeline.
    pipeline: Option<PipelineName>,
    /// How many at most; 0 for all.
    #[arg(short = 'n', long, default_value_t = 20, value_name = "COUNT")]
    limit: usize,
    /// The form of the list.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

/// A run in the list.
#[derive(serde::Serialize)]
struct Row {
    run: String,
    pipeline: String,
    status: &'static str,
    started_at: liminal_schemas::time::UtcTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<liminal_schemas::time::UtcTime>,
    revision: liminal_schemas::digest::Digest,
    /// Whether it was given to a canary.
    canary: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    dirty: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_by: Option<String>,
}

pub(crate) async fn run(context: &Context, args: &RunsArgs) -> CommandResult {
    let environment = Environment::of_project(context).await?;
    let records = environment.records();
    let mut names = records.runs(args.pipeline.as_ref()).await?;
    names.reverse();
    if args.limit > 0 {
        names.truncate(args.limit);
    }
    let mut rows = Vec::with_capacity(names.len());
    let reads = names.iter().map(|name| async { (records.record(name).await, records.result(name).await) });
    for (name, (record, result)) in names.iter().zip(all(reads, AT_ONCE).await) {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                skip_damaged(context, &error);
                continue;
            }
        };
        let result = result?;
        rows.push(Row {
            run: name.run.to_string(),
            pipeline: name.pipeline.to_string(),
            status: match &result {
                Some(result) => result.status.as_str(),
                None if environment.is_carried(&name.run) => "running",
                None => "interrupted",
            },
            started_at: record.started_at,
            ended_at: result.map(|result| result.ended_at),
            revision: record.revision,
            canary: record.canary.is_some(),
            commit: record.source.commit,
            dirty: record.source.dirty,
            started_by: record.started_by,
        });
    }
    match args.output {
        Format::Json => context.printer.json(&rows),
        Format::Text => context.printer.data(&text(context, &rows, environment.now())),
    }
    Ok(ExitCode::Ok)
}

/// One damaged record must not hide all other runs.
fn skip_damaged(context: &Context, error: &CliError) {
    context.printer.complain(&error.render(&context.printer.err));
}

fn text(context: &Context, rows: &[Row], now: liminal_schemas::time::UtcTime) -> String {
    if rows.is_empty() {
        return "No run yet.\n".to_owned();
    }
    let mut table = Table::new([
        ("RUN", Align::Left),
        ("PIPELINE", Align::Left),
        ("STATUS", Align::Left),
        ("STARTED", Align::Left),
        ("TOOK", Align::Right),
        ("COMMIT", Align::Left),
        ("BY", Align::Left),
    ]);
    for row in rows {
        let tone = match row.status {
            "succeeded" => Tone::Good,
            "running" | "interrupted" => Tone::Warn,
            _ => Tone::Bad,
        };
        let commit = row.commit.as_deref().map(units::short_commit).unwrap_or_default();
        let edited = if row.dirty { " + edits" } else { "" };
        let tried = if row.canary { " (canary)" } else { "" };
        table.row([
            Cell::new(Tone::Plain, &row.run),
            Cell::new(Tone::Plain, &row.pipeline),
            Cell::new(tone, row.status),
            Cell::new(Tone::Dim, units::age(now, row.started_at)),
            Cell::new(Tone::Plain, row.ended_at.map(|end| units::between(row.started_at, end)).unwrap_or_default()),
            Cell::new(Tone::Dim, format!("{commit}{edited}{tried}")),
            Cell::new(Tone::Dim, row.started_by.as_deref().unwrap_or_default()),
        ]);
    }
    table.render(&context.printer.out)
}
