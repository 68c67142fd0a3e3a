use std::sync::Arc;

use liminal_schemas::name::EnvironmentName;

use super::apply::Approval;
use super::apply::carry_out;
use crate::app::Context;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::platform::Environment;
use crate::policies;
use crate::project;
use crate::render::units;

/// Bring what one environment has to another: the same commit, and the packages that were built for it.
///
/// Packages are copied by digest, not built again. What the other environment lays over the project still counts there, and
/// so do its policies and its protection.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  liminal promote staging prod")]
pub(crate) struct PromoteArgs {
    /// The environment that has it.
    from: EnvironmentName,
    /// The environment that gets it.
    to: EnvironmentName,
    #[command(flatten)]
    approval: Approval,
}

pub(crate) async fn run(context: &Context, args: &PromoteArgs) -> CommandResult {
    if args.from == args.to {
        return Err(CliError::new("an environment can not be promoted to itself").exit(ExitCode::Usage));
    }
    let on = |environment: &EnvironmentName| {
        let mut settings = context.settings.clone();
        settings.environment = environment.clone();
        Context { settings, printer: context.printer.clone() }
    };
    let (here, there) = (on(&args.from), on(&args.to));
    let from = Environment::of_project(&here).await?;
    let applied = from.state().await?.and_then(|loaded| loaded.state.applied);
    let source = applied.map(|applied| applied.source).unwrap_or_default();
    let Some(commit) = source.commit.clone().filter(|_| !source.dirty) else {
        return Err(CliError::new(format!(
            "{} has no commit to promote: nothing was applied, or a work tree was",
            args.from
        ))
        .hint(format!("`liminal apply -e {} --rev HEAD` applies a commit", args.from)));
    };
    if from.is_rolled_back(&source).await? {
        let commit = units::short_commit(&commit);
        return Err(CliError::new(format!(
            "{} was rolled back from commit {commit}, which is not promoted",
            args.from
        ))
        .hint("apply the commit that is to be promoted there first")
        .exit(ExitCode::Refused));
    }
    let project = project::open(&there, Some(&commit))?;
    let to = Environment::of(&there, &project).await?;
    let copied = to.copy_packages(&from, project.loaded.resolved.packages.keys()).await?;
    let packages = units::count(copied, "package");
    context.printer.say(&format!("Commit {} of {}; {packages} copied.", units::short_commit(&commit), args.from));
    let plan = to.plan(&project, false).await?;
    policies::check(&there, &project, &plan)?;
    let files = (Arc::clone(&project.snapshot), Some(project.snapshot.tree_digest()));
    carry_out(&there, &to, files, &plan, args.approval.options(false, false)).await
}
