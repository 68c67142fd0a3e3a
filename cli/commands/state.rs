use std::path::PathBuf;

use super::apply::consent;
use crate::app::Context;
use crate::args::Format;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::error::While as _;
use crate::exit_code::ExitCode;
use crate::platform::Environment;
use crate::render::style::Tone;
use crate::render::table::Align;
use crate::render::table::Cell;
use crate::render::table::Table;
use crate::render::units;

/// Look at what is recorded as deployed, and mend it.
#[derive(Debug, clap::Args)]
pub(crate) struct StateArgs {
    #[command(subcommand)]
    command: StateCommand,
}

#[derive(Debug, clap::Subcommand)]
enum StateCommand {
    /// List pipelines with their releases, and resources.
    List,
    /// Print the whole state.
    Show {
        /// The form of the state.
        #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
        output: Format,
    },
    /// Take the lock away from a holder who is gone.
    Unlock {
        /// Do not ask.
        #[arg(short = 'y', long, visible_alias = "yes")]
        auto_approve: bool,
    },
    /// Put back a state that an apply saved to a file because the store refused it.
    Push {
        /// The file.
        file: PathBuf,
    },
}

pub(crate) async fn run(context: &Context, args: &StateArgs) -> CommandResult {
    let environment = Environment::of_project(context).await?;
    match &args.command {
        StateCommand::List => list(context, &environment).await,
        StateCommand::Show { output } => show(context, &environment, *output).await,
        StateCommand::Unlock { auto_approve } => unlock(context, &environment, *auto_approve).await,
        StateCommand::Push { file } => {
            let bytes = std::fs::read(file).or_failed(|| format!("{} can not be read", file.display()))?;
            let outcome = environment.push_state(&bytes).await?;
            context.printer.data(&format!("{outcome}\n"));
            Ok(ExitCode::Ok)
        }
    }
}

async fn list(context: &Context, environment: &Environment) -> CommandResult {
    let Some(loaded) = environment.state().await? else {
        context.printer.data("Nothing is deployed.\n");
        return Ok(ExitCode::Ok);
    };
    let state = loaded.state;
    let mut table = Table::new([("PIPELINE", Align::Left), ("REVISION", Align::Left), ("", Align::Left)]);
    for (name, pipeline) in &state.pipelines {
        table.row([
            Cell::new(Tone::Bold, name.as_str()),
            Cell::new(Tone::Plain, pipeline.live.short()),
            Cell::new(Tone::Good, "live"),
        ]);
        for revision in &pipeline.retired {
            table.row([
                Cell::new(Tone::Plain, ""),
                Cell::new(Tone::Dim, revision.short()),
                Cell::new(Tone::Dim, "kept for rollback"),
            ]);
        }
    }
    let mut resources = Table::new([("RESOURCE", Align::Left), ("MADE", Align::Left)]);
    for (address, record) in &state.resources {
        resources.row([
            Cell::new(Tone::Plain, format!("{}/{}", address.kind.as_str(), address.digest.short())),
            Cell::new(Tone::Dim, units::age(environment.now(), record.created_at)),
        ]);
    }
    let style = &context.printer.out;
    context.printer.data(&format!("{}\n{}", table.render(style), resources.render(style)));
    if state.journal.is_some() {
        context.printer.warn("an apply did not get to its end: the next `liminal apply` takes up the rest");
    }
    Ok(ExitCode::Ok)
}

async fn show(context: &Context, environment: &Environment, output: Format) -> CommandResult {
    let Some(loaded) = environment.state().await? else {
        return Err(CliError::new("there is no state: nothing was applied yet"));
    };
    let state = loaded.state;
    match output {
        Format::Json => context.printer.json(&state),
        Format::Text => {
            let source = state.applied.as_ref();
            let commit = source.and_then(|applied| applied.source.commit.as_deref()).map(units::short_commit);
            let lines = [
                format!("project      {}", state.project),
                format!("environment  {}", state.environment),
                format!("lineage      {}", state.lineage),
                format!("serial       {}", state.serial),
                format!("commit       {}", commit.unwrap_or_else(|| "none".to_owned())),
                format!("applied      {}", source.map_or_else(|| "never".to_owned(), |applied| applied.at.to_string())),
                format!("pipelines    {}", state.pipelines.len()),
                format!("resources    {}", state.resources.len()),
                format!("open journal {}", if state.journal.is_some() { "yes" } else { "no" }),
            ];
            context.printer.data(&format!("{}\n", lines.join("\n")));
        }
    }
    Ok(ExitCode::Ok)
}

async fn unlock(context: &Context, environment: &Environment, auto_approve: bool) -> CommandResult {
    let Some(holder) = environment.lock_holder().await? else {
        context.printer.data("Nobody holds the lock.\n");
        return Ok(ExitCode::Ok);
    };
    let who = holder.user.as_deref().unwrap_or("somebody");
    context.printer.say(&format!(
        "{who} on {} (process {}) holds the lock for `{}` since {}.",
        holder.host, holder.pid, holder.command, holder.since
    ));
    if !auto_approve && !consent(context, "state unlock", "Take the lock away?")? {
        return Ok(ExitCode::Error);
    }
    environment.unlock().await?;
    context.printer.data("The lock is free.\n");
    Ok(ExitCode::Ok)
}
