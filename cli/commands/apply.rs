use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use liminal_infra::plan::Rollout;
use liminal_infra::source::Snapshot;
use liminal_schemas::canary::DEFAULT_TOLERATED;
use liminal_schemas::canary::Share;
use liminal_schemas::digest::Digest;
use liminal_schemas::plan::PLAN_FORMAT;
use liminal_schemas::plan::Plan;
use liminal_schemas::plan::PlanPurpose;
use liminal_schemas::state::HistoryResult;

use crate::app::Context;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::error::While as _;
use crate::exit_code::ExitCode;
use crate::platform::ApplyOptions;
use crate::platform::Environment;
use crate::platform::Undone;
use crate::platform::Wishes;
use crate::policies;
use crate::project;
use crate::render::plan_text;

/// Make an environment what the definition says.
///
/// Shows the plan and asks first. What is live changes only when everything new is in place; a killed apply is taken up
/// by the next one.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  liminal apply\n  liminal apply --rev v1.2 --auto-approve\n  liminal apply --canary 10%\n  liminal apply release.plan"
)]
pub(crate) struct ApplyArgs {
    /// A plan that `liminal plan --out` saved. It is carried out as it is, without a question.
    #[arg(conflicts_with_all = ["canary", "allow_aborted", "keep_runner"])]
    plan: Option<PathBuf>,
    /// How long an environment lives that is made from a template: `48h`, `7d`. Each apply begins its time anew.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    ttl: Option<std::time::Duration>,
    /// Apply this git revision instead of the work tree.
    #[arg(long, value_name = "REV", conflicts_with = "plan")]
    rev: Option<String>,
    #[command(flatten)]
    wishes: WishArgs,
    #[command(flatten)]
    approval: Approval,
}

/// How what is new comes to be live.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct WishArgs {
    /// Give only this part of the runs to what is new, until `liminal promote` or `liminal abort`. Without a number, it is that
    /// of the environment's definition.
    #[arg(long, value_name = "PERCENT", num_args = 0..=1)]
    canary: Option<Option<Share>>,
    /// How large a part of these runs may fail before the canary is aborted by itself [default: that of the environment's
    /// definition, or 10%].
    #[arg(long, value_name = "PERCENT", requires = "canary")]
    tolerated_failures: Option<Share>,
    /// Make a release live all the same whose canary was aborted.
    #[arg(long, conflicts_with = "canary")]
    allow_aborted: bool,
    /// Leave functions the runner that they have, though there is a newer one.
    #[arg(long)]
    keep_runner: bool,
}

impl WishArgs {
    /// What a plan is told.
    pub(crate) fn wishes(&self, environment: &Environment) -> Result<Wishes, CliError> {
        let limits = environment.canary_limits();
        let rollout = match self.canary {
            None => Rollout::Whole,
            Some(share) => {
                let share = share.or(limits.share).ok_or_else(|| {
                    CliError::new("nothing says which part of the runs the canary is given")
                        .hint("--canary 10% says it, or `canary: {share: 10%}` in the environment")
                        .exit(ExitCode::Usage)
                })?;
                let tolerated = self.tolerated_failures.or(limits.tolerated_failures).unwrap_or(DEFAULT_TOLERATED);
                Rollout::Canary { share, tolerated }
            }
        };
        Ok(Wishes { keep_runner: self.keep_runner, rollout, allow_aborted: self.allow_aborted })
    }
}

/// Whether to ask, and how long to wait for others.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Approval {
    /// Do not ask.
    #[arg(short = 'y', long, visible_alias = "yes")]
    auto_approve: bool,
    /// How long to wait for somebody else who holds the lock.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    lock_timeout: std::time::Duration,
}

/// A length of time as flags have it: `30s`, `5m`, `500ms`.
pub(crate) fn duration(text: &str) -> Result<std::time::Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().map_err(|_| "write 30s, 5m or 500ms".to_owned())?;
    let factor = match &text[digits.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err("write 30s, 5m or 500ms".to_owned()),
    };
    std::time::Duration::try_from_secs_f64(number * factor).map_err(|_| "that is no length of time".to_owned())
}

pub(crate) async fn run(context: &Context, args: &ApplyArgs) -> CommandResult {
    if let Some(file) = &args.plan {
        let plan = read(file)?;
        if plan.environment != context.settings.environment {
            return Err(CliError::new(format!(
                "{} is for the environment {}, not {}",
                file.display(),
                plan.environment,
                context.settings.environment
            ))
            .hint(format!("-e {} names it", plan.environment)));
        }
        // The files are those that the plan was made from: a commit, or the work tree, which must still be the same.
        let revision = plan.base.source.commit.clone().filter(|_| !plan.base.source.dirty);
        let project = open_planned(context, &plan, revision.as_deref())?;
        let environment = Environment::of(context, &project).await?;
        policies::check(context, &project, &plan)?;
        let files = (Arc::clone(&project.snapshot), Some(project.snapshot.tree_digest()));
        environment.checked_lifetime(args.ttl)?;
        let options = ApplyOptions { ttl: args.ttl, ..args.approval.options(true, false) };
        return carry_out(context, &environment, files, &plan, options).await;
    }
    let project = project::open(context, args.rev.as_deref())?;
    let environment = Environment::of(context, &project).await?;
    environment.checked_lifetime(args.ttl)?;
    let plan = environment.plan(&project, args.wishes.wishes(&environment)?).await?;
    if let Err(denied) = policies::check(context, &project, &plan) {
        context.printer.data(&plan_text::text(&plan, &context.printer.out));
        let (source, result) = (plan.base.source.clone(), HistoryResult::Refused);
        let undone = Undone { command: "apply", source, trigger: None, result, reason: denied.summary() };
        environment.record_undone(undone).await;
        return Err(denied);
    }
    let files = (Arc::clone(&project.snapshot), Some(project.snapshot.tree_digest()));
    let options = ApplyOptions { ttl: args.ttl, ..args.approval.options(false, false) };
    carry_out(context, &environment, files, &plan, options).await
}

/// The project as the plan saw it: the work tree if it still is that, else the commit.
fn open_planned(context: &Context, plan: &Plan, revision: Option<&str>) -> Result<project::Project, CliError> {
    let from_commit = match revision {
        Some(revision) => project::open(context, Some(revision)).ok(),
        None => None,
    };
    match from_commit {
        Some(project) if project.snapshot.tree_digest() == plan.base.tree => Ok(project),
        Some(_) | None => project::open(context, None),
    }
}

fn read(file: &Path) -> Result<Plan, CliError> {
    let bytes = std::fs::read(file).or_failed(|| format!("the plan {} can not be read", file.display()))?;
    let plan: Plan =
        serde_json::from_slice(&bytes).or_failed(|| format!("{} is no plan, or a damaged one", file.display()))?;
    let major = |version: &str| version.split('.').next().map(str::to_owned);
    if major(&plan.format_version) == major(PLAN_FORMAT) {
        return Ok(plan);
    }
    Err(CliError::new(format!(
        "{} has format {}, and this liminal knows {PLAN_FORMAT}",
        file.display(),
        plan.format_version
    ))
    .hint("make the plan again with this liminal"))
}

impl Approval {
    /// What an apply is told.
    pub(crate) fn options(&self, approved: bool, delete_data: bool) -> ApplyOptions {
        ApplyOptions {
            approved: approved || self.auto_approve,
            delete_data,
            lock_timeout: self.lock_timeout,
            trigger: None,
            ttl: None,
        }
    }
}

/// Shows a plan, asks, carries it out, and says what came of it. `tree` is the digest that the files must still have; none
/// for a plan that needs no definition.
pub(crate) async fn carry_out(
    context: &Context,
    environment: &Environment,
    (files, tree): (Arc<Snapshot>, Option<Digest>),
    plan: &Plan,
    options: ApplyOptions,
) -> CommandResult {
    context.printer.data(&plan_text::text(plan, &context.printer.out));
    if !plan.has_changes && !options.delete_data {
        // An environment that is made from a template lives on from here.
        if environment.template().is_some() && plan.purpose == PlanPurpose::Apply {
            environment.record_commit(plan, &options).await.map_err(|failure| failure.explain(plan))?;
        }
        return Ok(ExitCode::Ok);
    }
    if !options.approved && !confirm(context, plan.purpose)? {
        context.printer.say("Nothing was changed.");
        return Ok(ExitCode::Error);
    }
    environment.apply(context, files, tree, plan, &options).await
}

/// Asks whether to go on. Where nobody can be asked, the flag is asked for instead.
pub(crate) fn confirm(context: &Context, purpose: PlanPurpose) -> Result<bool, CliError> {
    let command = purpose.as_str();
    consent(context, command, &format!("Carry out this {command}?"))
}

/// Asks a question before a command that changes things goes on.
pub(crate) fn consent(context: &Context, command: &str, question: &str) -> Result<bool, CliError> {
    if !context.settings.may_ask {
        return Err(CliError::new(format!("{command} needs your consent, and there is no terminal to ask on"))
            .hint(format!("`liminal {command} --auto-approve` goes ahead without asking")));
    }
    context.printer.complain(&format!("{question} Only `yes` goes ahead: "));
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).or_failed(|| "the answer can not be read".to_owned())?;
    Ok(answer.trim() == "yes")
}
