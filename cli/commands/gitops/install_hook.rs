use std::path::PathBuf;

use liminal_infra::gitops::notes::NOTES_KEY;
use liminal_infra::source::FOLDER_KEY;

use super::agent::checked_folder;
use crate::app::Context;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::error::While as _;
use crate::exit_code::ExitCode;
use crate::gitops::hook;
use crate::gitops::hook::Kind;
use crate::gitops::hook::PROGRAM_KEY;
use crate::gitops::place::Place;

/// Apply what is pushed to a bare repository.
///
/// From then on `git push` shows the plan and the result in the terminal of whoever pushes. State, releases and, for
/// environments on this machine, runs and artifacts are kept below the repository: `liminal -C REPO.git history` and all
/// other commands work there.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  liminal gitops install-hook /srv/git/churn.git\n  liminal gitops install-hook churn.git --pre-receive --folder ml/churn"
)]
pub(crate) struct InstallHookArgs {
    /// The bare repository.
    repository: PathBuf,
    /// Also refuse a push whose definition is broken, or that could not be applied.
    #[arg(long)]
    pre_receive: bool,
    /// Note beside each commit what became of it: `git log --notes=liminal` shows it.
    #[arg(long)]
    notes: bool,
    /// The folder of the project in the repository, when it is not the root.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<String>,
}

pub(crate) fn run(context: &Context, args: &InstallHookArgs) -> CommandResult {
    let place = Place::open(&args.repository)?;
    let folder = checked_folder(args.folder.as_deref().unwrap_or_default())?;
    let program = std::env::current_exe().or_failed(|| "this program can not tell where it lies".to_owned())?;
    let Some(program) = program.to_str() else {
        return Err(CliError::new(format!("the path of this program is no UTF-8: {}", program.display())));
    };
    let notes = if args.notes { "true" } else { "false" };
    let values =
        [(PROGRAM_KEY, program), (FOLDER_KEY, &folder), (NOTES_KEY, notes), ("receive.advertisePushOptions", "true")];
    place.repository.configure(&values).or_failed(|| "the hook can not be installed".to_owned())?;
    let mut kinds = vec![Kind::PostReceive];
    if args.pre_receive {
        kinds.push(Kind::PreReceive);
    }
    for kind in kinds {
        let path = hook::install(place.repository.path(), kind)?;
        context.printer.data(&format!("{} is written.\n", path.display()));
    }
    context.printer.say("Environments follow the branch that the definition names: `branch: main` in an environment.");
    Ok(ExitCode::Ok)
}
