use super::apply::Approval;
use super::rollback::carry_out_without_project;
use crate::app::Context;
use crate::error::CommandResult;
use crate::platform::Environment;

/// Take the canary off: all runs go to what is live again.
///
/// Runs that have begun on it finish there. The release does not become live by itself any more, whichever commit has it,
/// until `liminal apply --canary` tries it again or `--allow-aborted` makes it live.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  liminal abort -e prod --reason \"scores look wrong\"")]
pub(crate) struct AbortArgs {
    /// Why, for status and history.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    approval: Approval,
}

pub(crate) async fn run(context: &Context, args: &AbortArgs) -> CommandResult {
    let environment = Environment::of_project(context).await?;
    let by = context.settings.user.as_deref().unwrap_or("somebody");
    let reason = match &args.reason {
        Some(reason) => format!("{by} said: {}", reason.lines().next().unwrap_or_default()),
        None => format!("{by} said so"),
    };
    let plan = environment.plan_abort(&reason).await?;
    carry_out_without_project(context, &environment, &plan, args.approval.options(false, false)).await
}
