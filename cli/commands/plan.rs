use std::path::PathBuf;

use super::apply::WishArgs;
use crate::app::Context;
use crate::error::CommandResult;
use crate::error::While as _;
use crate::exit_code::ExitCode;
use crate::platform::Environment;
use crate::policies;
use crate::project;
use crate::render;

/// Show what an apply would change, and what the next run would do.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  liminal plan\n  liminal plan --rev main --detailed-exitcode\n  liminal plan --out release.plan && liminal apply release.plan"
)]
pub(crate) struct PlanArgs {
    /// Plan from this git revision instead of the work tree.
    #[arg(long, value_name = "REV")]
    rev: Option<String>,
    #[command(flatten)]
    wishes: WishArgs,
    /// Save the plan, for `liminal apply FILE`.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Exit with 2 when there are changes, 0 when there are none.
    #[arg(long)]
    detailed_exitcode: bool,
    /// The form of the plan.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: PlanFormat,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum PlanFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: see `liminal schema plan`.
    Json,
    /// For comments on pull requests.
    Markdown,
}

pub(crate) async fn run(context: &Context, args: &PlanArgs) -> CommandResult {
    let project = project::open(context, args.rev.as_deref())?;
    let environment = Environment::of(context, &project).await?;
    let plan = environment.plan(&project, args.wishes.wishes(&environment)?).await?;
    if let Some(file) = &args.out {
        let bytes = serde_json::to_vec_pretty(&plan).or_failed(|| "the plan can not be written as JSON".to_owned())?;
        std::fs::write(file, bytes).or_failed(|| format!("{} can not be written", file.display()))?;
    }
    match args.output {
        PlanFormat::Text => context.printer.data(&render::plan_text::text(&plan, &context.printer.out)),
        PlanFormat::Json => context.printer.json(&plan),
        PlanFormat::Markdown => context.printer.data(&render::plan_markdown::markdown(&plan)),
    }
    if let Some(file) = &args.out {
        context.printer.say(&format!("Saved. To carry it out: `liminal apply {}`", file.display()));
    }
    if environment.is_protected() && plan.has_changes {
        environment.say_approval(context, &plan).await?;
    }
    let denied = policies::check(context, &project, &plan);
    let has_changes = plan.has_changes;
    // The process is about to end: handing a large definition back piece by piece would take longer than all of the plan's
    // own work.
    std::mem::forget((project, plan));
    denied?;
    Ok(if args.detailed_exitcode && has_changes { ExitCode::Changes } else { ExitCode::Ok })
}
