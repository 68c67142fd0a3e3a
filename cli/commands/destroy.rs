use super::apply::Approval;
use crate::app::Context;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::platform::Environment;
use crate::platform::Lived;

/// Remove what was applied to an environment.
///
/// Runs, artifacts, models and cached results stay, unless `--allow-destroy` says otherwise. Of an environment that was made
/// from a template nothing stays.
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
    let is_made = environment.template().is_some() && environment.expiry().await?.is_some();
    let delete_data = args.allow_destroy || is_made;
    let plan = environment.plan_destroy(delete_data).await?;
    if delete_data {
        context.printer.warn("runs, artifacts, models and cached results of this environment will be deleted");
    }
    let options = || args.approval.options(false, delete_data);
    let exit = super::rollback::carry_out_without_project(context, &environment, &plan, options()).await?;
    if exit == ExitCode::Ok && environment.has_receiver().await {
        context.printer.say("Its receiver stays: `liminal gitops receiver remove` removes it.");
    }
    if is_made && exit == ExitCode::Ok {
        match environment.clear_if_empty(context, &options()).await? {
            Lived::Removed | Lived::Lives => {}
            Lived::Partly => {
                context.printer.warn("runs that have not ended need some of it: destroy it again once they have");
            }
        }
    }
    Ok(exit)
}
