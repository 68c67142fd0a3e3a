use liminal_schemas::state::HistoryEntry;

use crate::app::Context;
use crate::args::Format;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::platform::Environment;
use crate::render::style::Tone;
use crate::render::table::Align;
use crate::render::table::Cell;
use crate::render::table::Table;
use crate::render::units;

/// List what happened to an environment, newest first: also what failed or was refused, and why.
#[derive(Debug, clap::Args)]
pub(crate) struct HistoryArgs {
    /// How many entries at most; 0 for all.
    #[arg(short = 'n', long, default_value_t = 20, value_name = "COUNT")]
    limit: usize,
    /// The form of the list.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

/// How many pipelines of an entry are named; the JSON form has all of them.
const NAMED_PIPELINES: usize = 4;

pub(crate) async fn run(context: &Context, args: &HistoryArgs) -> CommandResult {
    let environment = Environment::of_project(context).await?;
    let mut entries = environment.history().await?;
    if args.limit > 0 {
        entries.truncate(args.limit);
    }
    if args.output == Format::Json {
        context.printer.json(&entries);
        return Ok(ExitCode::Ok);
    }
    let mut table = Table::new([
        ("SERIAL", Align::Right),
        ("WHEN", Align::Left),
        ("WHAT", Align::Left),
        ("COMMIT", Align::Left),
        ("BY", Align::Left),
        ("RESULT", Align::Left),
        ("LIVE AFTERWARDS", Align::Left),
    ]);
    for entry in &entries {
        let commit = entry.applied.source.commit.as_deref().map(units::short_commit).unwrap_or_default();
        let edited = if entry.applied.source.dirty { " + edits" } else { "" };
        let mut changes: Vec<String> = entry
            .pipelines
            .iter()
            .take(NAMED_PIPELINES)
            .map(|(name, revision)| match revision {
                Some(revision) => format!("{name} {}", revision.short()),
                None => format!("{name} removed"),
            })
            .collect();
        if entry.pipelines.len() > changes.len() {
            changes.push(format!("{} more", entry.pipelines.len() - changes.len()));
        }
        changes.extend(entry.canaries.iter().take(NAMED_PIPELINES).map(|(name, tried)| {
            let revision = tried.revision.short();
            match tried.share {
                Some(share) => format!("{name} {revision} (canary {share})"),
                None => format!("{name} without {revision}"),
            }
        }));
        changes.extend(entry.reason.clone());
        let is_done = entry.result.is_done();
        let serial = if is_done { entry.serial.to_string() } else { String::new() };
        let tone = if is_done { Tone::Good } else { Tone::Bad };
        table.row([
            Cell::new(Tone::Plain, serial),
            Cell::new(Tone::Dim, units::age(environment.now(), entry.applied.at)),
            Cell::new(Tone::Bold, &entry.command),
            Cell::new(Tone::Dim, format!("{commit}{edited}")),
            Cell::new(Tone::Dim, who(entry)),
            Cell::new(tone, entry.result.as_str()),
            Cell::new(Tone::Plain, changes.join(", ")),
        ]);
    }
    if entries.is_empty() {
        context.printer.data("Nothing was applied yet.\n");
    } else {
        context.printer.data(&table.render(&context.printer.out));
    }
    Ok(ExitCode::Ok)
}

/// Who did it, and by what.
fn who(entry: &HistoryEntry) -> String {
    let by = entry.applied.by.as_deref().unwrap_or_default();
    match entry.applied.trigger {
        Some(trigger) => format!("{by} ({})", trigger.as_str()),
        None => by.to_owned(),
    }
}
