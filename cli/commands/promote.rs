use std::sync::Arc;

use liminal_schemas::name::EnvironmentName;

use super::apply::Approval;
use super::apply::carry_out;
use super::rollback::carry_out_without_project;
use crate::app::Context;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::platform::Environment;
use crate::platform::Wishes;
use crate::policies;
use crate::project;
use crate::render::units;

/// Bring what one environment has to another: the same commit, and the packages that were built for it. Without names,
/// make the canary of this environment live for all runs.
///
/// Packages are copied by digest, not built again. What the other environment lays over the project still counts there, and
/// so do its policies and its protection.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  liminal promote staging prod\n  liminal promote -e prod")]
pub(crate) struct PromoteArgs {
    /// The environment that has it.
    #[arg(requires = "to")]
    from: Option<EnvironmentName>,
    /// The environment that gets it.
    to: Option<EnvironmentName>,
    #[command(flatten)]
    approval: Approval,
}

pub(crate) async fn run(context: &Context, args: &PromoteArgs) -> CommandResult {
    let (Some(args_from), Some(args_to)) = (&args.from, &args.to) else {
        let environment = Environment::of_project(context).await?;
        let plan = environment.plan_promote().await?;
        return carry_out_without_project(context, &environment, &plan, args.approval.options(false, false)).await;
    };
    if args_from == args_to {
        return Err(CliError::new("an environment can not be promoted to itself").exit(ExitCode::Usage));
    }
    let on = |environment: &EnvironmentName| {
        let mut settings = context.settings.clone();
        settings.environment = environment.clone();
        Context { settings, printer: context.printer.clone() }
    };
    let (here, there) = (on(args_from), on(args_to));
    let from = Environment::of_project(&here).await?;
    let applied = from.state().await?.and_then(|loaded| loaded.state.applied);
    let source = applied.as_ref().map(|applied| applied.source.clone()).unwrap_or_default();
    let Some(commit) = source.commit.clone().filter(|_| !source.dirty) else {
        return Err(CliError::new(format!(
            "{args_from} has no commit to promote: nothing was applied, or a work tree was"
        ))
        .hint(format!("`liminal apply -e {args_from} --rev HEAD` applies a commit")));
    };
    if from.is_rolled_back(&source).await? {
        let commit = units::short_commit(&commit);
        return Err(CliError::new(format!("{args_from} was rolled back from commit {commit}, which is not promoted"))
            .hint("apply the commit that is to be promoted there first")
            .exit(ExitCode::Refused));
    }
    if let Some(applied) = &applied
        && let Some(why) = from.is_tried(applied).await?
    {
        let commit = units::short_commit(&commit);
        return Err(CliError::new(format!("{args_from} does not have commit {commit} whole: {why}"))
            .hint(format!("`liminal promote -e {args_from}` ends a canary"))
            .exit(ExitCode::Refused));
    }
    let project = project::open(&there, Some(&commit))?;
    let to = Environment::of(&there, &project).await?;
    let copied = to.copy_packages(&from, project.loaded.resolved.packages.keys()).await?;
    let packages = units::count(copied, "package");
    context.printer.say(&format!("Commit {} of {}; {packages} copied.", units::short_commit(&commit), args_from));
    let plan = to.plan(&project, Wishes::default()).await?;
    policies::check(&there, &project, &plan)?;
    let files = (Arc::clone(&project.snapshot), Some(project.snapshot.tree_digest()));
    carry_out(&there, &to, files, &plan, args.approval.options(false, false)).await
}
