use std::fmt::Write as _;

use crate::app::Context;
use crate::env_vars;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;

/// Explain something that is no command: exit codes, environment variables.
#[derive(Debug, clap::Args)]
pub(crate) struct HelpTopicArgs {
    /// What to explain.
    #[arg(value_enum)]
    topic: Topic,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Topic {
    /// How commands end.
    ExitCodes,
    /// The variables that liminal reads.
    Environment,
}

pub(crate) fn run(context: &Context, args: &HelpTopicArgs) -> CommandResult {
    let mut text = String::new();
    match args.topic {
        Topic::ExitCodes => {
            for code in ExitCode::ALL {
                let _ = writeln!(text, "{:>4}  {}", code.number(), code.meaning());
            }
        }
        Topic::Environment => {
            for variable in env_vars::ALL {
                let _ = writeln!(text, "{:<18}  {}", variable.name, variable.meaning);
            }
        }
    }
    context.printer.data(&text);
    Ok(ExitCode::Ok)
}
