use crate::app::Context;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::platform::Environment;

/// Carry Fargate tasks out on this machine, for emulators of AWS that only record them.
///
/// Against AWS itself there is no use for it. Each task that runs according to the service is carried out as a program of
/// this machine, with the variables and the command of its container, and stopped when that ends. Ctrl-C ends all of them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  AWS_ENDPOINT_URL=http://localhost:4566 liminal emulate-tasks -e dev")]
pub(crate) struct EmulateTasksArgs {
    /// End when the tasks that run now have ended.
    #[arg(long)]
    once: bool,
}

pub(crate) async fn run(context: &Context, args: &EmulateTasksArgs) -> CommandResult {
    let environment = Environment::of_project(context).await?;
    environment.emulate_tasks(context, args.once).await?;
    Ok(ExitCode::Ok)
}
