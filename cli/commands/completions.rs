use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::app::Context;
use crate::args::Args;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;

/// Print a completion script for a shell.
///
/// For bash: `source <(liminal completions bash)`.
/// For zsh: `liminal completions zsh > "${fpath[1]}/_liminal"`.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(context: &Context, args: &CompletionsArgs) -> CommandResult {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "liminal", &mut script);
    context.printer.bytes(&script);
    Ok(ExitCode::Ok)
}
