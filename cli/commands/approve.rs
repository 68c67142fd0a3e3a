use liminal_schemas::plan::Plan;

use super::apply::WishArgs;
use crate::app::Context;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::platform::Environment;
use crate::platform::shown_plan;
use crate::policies;
use crate::project;

/// Approve a plan for a protected environment.
///
/// The plan is made again, and must be the one that the digest names. So what is approved is what `liminal plan` showed,
/// and an approval ends when anything else is applied.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  liminal approve 3f2a9c01d4e5 -e prod\n  liminal approve 3f2a9c01d4e5 -e prod --rollback"
)]
pub(crate) struct ApproveArgs {
    /// The digest that `liminal plan` shows.
    digest: String,
    /// The git revision that was planned, instead of the last commit.
    #[arg(long, value_name = "REV", conflicts_with_all = ["rollback", "destroy"])]
    rev: Option<String>,
    /// Approve a rollback, of this pipeline where more than one is deployed, or to this git revision.
    #[arg(long, value_name = "PIPELINE|REV", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "clap's form of a flag that may have a value")]
    rollback: Option<Option<String>>,
    /// The revision to roll back to.
    #[arg(long, value_name = "REVISION", requires = "rollback")]
    to: Option<String>,
    /// Approve that the canary becomes live for all runs.
    #[arg(long, conflicts_with_all = ["rollback", "destroy", "rev"])]
    promote: bool,
    #[command(flatten)]
    wishes: WishArgs,
    /// Approve the removal of everything.
    #[arg(long, conflicts_with = "rollback")]
    destroy: bool,
}

pub(crate) async fn run(context: &Context, args: &ApproveArgs) -> CommandResult {
    let (environment, plan) = plan(context, args).await?;
    let digest = plan.approval_digest();
    let wanted = args.digest.trim_start_matches("sha256:");
    if wanted.len() < 8 || !digest.hex().starts_with(wanted) {
        return Err(CliError::new(format!("{} is not the plan that would be carried out now", args.digest))
            .hint(format!("look at it again: now it is {}", shown_plan(&digest)))
            .exit(ExitCode::StalePlan));
    }
    if !plan.has_changes {
        context.printer.data("There is nothing to approve: the plan changes nothing.\n");
        return Ok(ExitCode::Ok);
    }
    let approval = environment.approve(&plan).await?;
    let by = approval.by.as_deref().unwrap_or("somebody");
    context.printer.data(&format!("Plan {} is approved by {by}.\n", shown_plan(&digest)));
    if !environment.is_protected() {
        context.printer.warn("the environment is not protected: `protected: true` makes approvals count");
    }
    Ok(ExitCode::Ok)
}

/// The plan that would be carried out now.
async fn plan(context: &Context, args: &ApproveArgs) -> Result<(Environment, Plan), CliError> {
    if let Some(pipeline) = &args.rollback {
        let environment = Environment::of_project(context).await?;
        let plan = environment.plan_rollback(context, pipeline.as_deref(), args.to.as_deref()).await?;
        return Ok((environment, plan));
    }
    if args.promote {
        let environment = Environment::of_project(context).await?;
        let plan = environment.plan_promote().await?;
        return Ok((environment, plan));
    }
    if args.destroy {
        let environment = Environment::of_project(context).await?;
        let plan = environment.plan_destroy(false).await?;
        return Ok((environment, plan));
    }
    let project = project::open(context, args.rev.as_deref())?;
    let environment = Environment::of(context, &project).await?;
    let plan = environment.plan(&project, args.wishes.wishes(&environment)?).await?;
    policies::check(context, &project, &plan)?;
    Ok((environment, plan))
}
