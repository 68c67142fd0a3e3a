use super::apply::Approval;
use crate::app::Context;
use crate::error::CommandResult;
use crate::platform::Environment;

/// Remove what was applied to an environment.
///
/// Runs, artifacts, models and cached results stay, unless `--allow-destroy` says otherwise.
#[derive(Debug, clap::Args)]
pub(crate) struct DestroyArgs {
    /// Also delete the data: runs, artifacts, models and cached results.
    #[arg(long)]
    allow_destroy: bool,
    #[command(flatten)]
    approval: Approval,
}

pub(crate) async fn run(context: &Context, args: &DestroyArgs) -> CommandResult {
    let environment = Environment::of_project(context).await?;
    let plan = environment.plan_destroy(args.allow_destroy).await?;
    if args.allow_destroy {
        context.printer.warn("runs, artifacts, models and cached results of this environment will be deleted");
    }
    super::rollback::carry_out_without_project(
        context,
        &environment,
        &plan,
        args.approval.options(false, args.allow_destroy),
    )
    .await
}
