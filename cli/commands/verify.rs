use liminal_schemas::digest::Digest;

use crate::app::Context;
use crate::args::Format;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::platform::Environment;
use crate::platform::Verified;
use crate::project;
use crate::render::style::Tone;
use crate::render::table::Align;
use crate::render::table::Cell;
use crate::render::table::Table;
use crate::render::units;

/// Show that what is deployed is what the applied commit makes.
///
/// Releases, packages and bundles are made again from the commit and compared byte for byte; functions are asked for the
/// digest of their code. Exits with 1 when anything differs.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// The form of the answer.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

pub(crate) async fn run(context: &Context, args: &VerifyArgs) -> CommandResult {
    let environment = Environment::of_project(context).await?;
    let Some(state) = environment.state().await? else {
        return Err(CliError::new("nothing was applied yet, so there is nothing to verify"));
    };
    let source = state.state.applied.as_ref().map(|applied| applied.source.clone()).unwrap_or_default();
    let Some(commit) = source.commit.filter(|_| !source.dirty) else {
        return Err(CliError::new("what is deployed was made from a work tree that no commit has")
            .hint("commit, and `liminal apply --rev HEAD`"));
    };
    let project = project::open(context, Some(&commit))?;
    let verified = environment.verify(&project, &state).await?;
    let differing = verified.iter().filter(|thing| !thing.is_same()).count();
    match args.output {
        Format::Json => context.printer.json(&serde_json::json!({
            "commit": commit,
            "same": differing == 0,
            "things": verified,
        })),
        Format::Text => {
            context.printer.data(&table(&verified).render(&context.printer.out));
            let commit = units::short_commit(&commit);
            context.printer.data(&if differing == 0 {
                format!("What is deployed is what commit {commit} makes.\n")
            } else {
                format!("{differing} of {} differ from what commit {commit} makes.\n", verified.len())
            });
        }
    }
    Ok(if differing == 0 { ExitCode::Ok } else { ExitCode::Error })
}

fn table(verified: &[Verified]) -> Table {
    let columns = ["WHAT", "DEPLOYED", "FROM THE COMMIT", ""];
    let mut table = Table::new(columns.map(|title| (title, Align::Left)));
    let short = |digest: Option<Digest>| digest.map_or_else(|| "nothing".to_owned(), |digest| digest.short());
    for thing in verified {
        let (tone, verdict) = if thing.is_same() { (Tone::Good, "same") } else { (Tone::Bad, "differs") };
        let verdict = thing.note.as_ref().map_or_else(|| verdict.to_owned(), |note| format!("{verdict}: {note}"));
        table.row([
            Cell::new(Tone::Plain, &thing.what),
            Cell::new(Tone::Dim, short(thing.deployed)),
            Cell::new(Tone::Dim, short(thing.rebuilt)),
            Cell::new(tone, verdict),
        ]);
    }
    table
}
