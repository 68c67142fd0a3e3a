use std::sync::Arc;

use liminal_schemas::plan::Plan;

use super::apply::Approval;
use super::apply::carry_out;
use crate::app::Context;
use crate::error::CommandResult;
use crate::platform::ApplyOptions;
use crate::platform::Environment;
use crate::project;

/// Make earlier releases live again.
///
/// Nothing is built: the releases and all they need are still there. The definition is not read, so a broken one is no
/// hindrance.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  liminal rollback\n  liminal rollback HEAD~1\n  liminal rollback v1.2\n  liminal rollback train --to 3f2a9c01"
)]
pub(crate) struct RollbackArgs {
    /// A pipeline, or a git revision: then all pipelines go back to what its commit had live. Without it, the only pipeline
    /// goes back to the release before.
    #[arg(value_name = "PIPELINE|REV")]
    what: Option<String>,
    /// The release that the pipeline goes back to, or the beginning of its revision, or a git revision; the release before
    /// where none is given. `liminal state list` shows what is kept.
    #[arg(long, value_name = "RELEASE|REV")]
    to: Option<String>,
    #[command(flatten)]
    approval: Approval,
}

pub(crate) async fn run(context: &Context, args: &RollbackArgs) -> CommandResult {
    let environment = Environment::of_project(context).await?;
    let plan = environment.plan_rollback(context, args.what.as_deref(), args.to.as_deref()).await?;
    carry_out_without_project(context, &environment, &plan, args.approval.options(false, false)).await
}

/// Carries out a plan that needs no definition.
pub(crate) async fn carry_out_without_project(
    context: &Context,
    environment: &Environment,
    plan: &Plan,
    options: ApplyOptions,
) -> CommandResult {
    let directory = project::locate(&context.settings.directory)?;
    let files = project::snapshot(&directory, None)?;
    carry_out(context, environment, (Arc::new(files), None), plan, options).await
}
