use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::name::FieldName;
use liminal_schemas::name::StepName;
use liminal_schemas::release::Release;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::run::RunCache;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunStatus;
use liminal_schemas::run::SourceVersion;
use liminal_schemas::value::Value;

use crate::app::Context;
use crate::args::Format;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::platform::Carry;
use crate::platform::Environment;
use crate::project;
use crate::project::Project;
use crate::redriving::Origin;
use crate::render;

/// Take up a run that failed: only what failed is done again.
///
/// A new run starts with the parameters, models and object of the old one, and takes over all that succeeded there, down to single
/// items. It has the code of now: on `local` that of the work tree, on `aws` the live release. What succeeded is not done again,
/// even where its code has changed since.
///
/// On `aws`, messages that nobody could handle wait in dead-letter queues: objects and schedules that should have started runs,
/// for instance, while the starter lacked a permission. With --undelivered they are sent again, once the reason is gone.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  liminal redrive                        the newest run\n  liminal redrive 20261124-230239-x7k2 --dry-run\n  liminal redrive --same-code            with the release that the run had\n  liminal redrive --undelivered -e prod  what dead-letter queues hold"
)]
pub(crate) struct RedriveArgs {
    /// The run; the newest where none is given.
    run: Option<String>,
    /// Show what would be done again, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Send again the messages that could not be delivered, instead of taking up a run.
    #[arg(long, conflicts_with_all = ["run", "same_code", "jobs", "detach"])]
    undelivered: bool,
    #[command(flatten)]
    with: AgainArgs,
}

/// Do one step of a run again, and what follows from it.
///
/// A new run takes over the results of the old one for all other steps, as `liminal redrive` does. Steps behind it run again if
/// it leaves something else than before.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  liminal retry train\n  liminal retry train 20261124-230239-x7k2")]
pub(crate) struct RetryArgs {
    /// The step.
    step: StepName,
    /// The run; the newest where none is given.
    run: Option<String>,
    #[command(flatten)]
    with: AgainArgs,
}

/// How a run is taken up.
#[derive(Debug, clap::Args)]
struct AgainArgs {
    /// Use the release that the run had, not the code of now.
    #[arg(long)]
    same_code: bool,
    /// How many steps may run at once [default: the number of cores].
    #[arg(short, long, value_name = "COUNT")]
    jobs: Option<std::num::NonZeroU32>,
    /// Start the run and do not wait for its end. Only where the run is not on this machine.
    #[arg(short, long, conflicts_with_all = ["output", "jobs"])]
    detach: bool,
    /// The form of the summary.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

pub(crate) async fn run(context: &Context, args: &RedriveArgs) -> CommandResult {
    let environment = Environment::of_project(context).await?;
    if args.undelivered {
        return redeliver(context, &environment, args).await;
    }
    let name = environment.records().find(args.run.as_deref(), None).await?;
    let origin = Origin::of(&environment, &name).await?;
    let is_whole = origin.view.result.as_ref().is_some_and(|result| result.status == RunStatus::Succeeded)
        && origin.view.commits.values().all(|commit| commit.items.is_none_or(|counts| counts.failed == 0));
    if is_whole {
        return Err(CliError::new(format!("run {} succeeded: there is nothing to do again", name.run))
            .hint(format!("`liminal retry STEP {}` does one step of it again", name.run))
            .exit(ExitCode::Usage));
    }
    let redrive = Redrive { context, environment, origin, steps: &[], dry_run: args.dry_run, args: &args.with };
    redrive.carry_out().await
}

/// Sends again what is in dead-letter queues, and says what that was.
async fn redeliver(context: &Context, environment: &Environment, args: &RedriveArgs) -> CommandResult {
    let mut found = environment.undelivered().await?;
    if !args.dry_run {
        for (queue, count) in &mut found {
            *count = environment.send_undelivered(queue).await?;
        }
    }
    if args.with.output == Format::Json {
        context.printer.json(&found);
        return Ok(ExitCode::Ok);
    }
    let done = if args.dry_run { "To send again" } else { "Sent again" };
    for (queue, count) in &found {
        let messages = render::units::count(usize::try_from(*count).unwrap_or(usize::MAX), "message");
        context.printer.say(&format!("{done}: {messages} of queue {queue}"));
    }
    if found.is_empty() {
        context.printer.say("Every message was delivered.");
    }
    Ok(ExitCode::Ok)
}

pub(crate) async fn retry(context: &Context, args: &RetryArgs) -> CommandResult {
    let environment = Environment::of_project(context).await?;
    let name = environment.records().find(args.run.as_deref(), None).await?;
    let origin = Origin::of(&environment, &name).await?;
    let steps = std::slice::from_ref(&args.step);
    Redrive { context, environment, origin, steps, dry_run: false, args: &args.with }.carry_out().await
}

/// A run that is to be taken up.
struct Redrive<'a> {
    context: &'a Context,
    environment: Environment,
    origin: Origin,
    /// The steps that run again in any case.
    steps: &'a [StepName],
    dry_run: bool,
    args: &'a AgainArgs,
}

impl Redrive<'_> {
    async fn carry_out(&self) -> CommandResult {
        let before = &self.origin.view.record;
        if self.args.same_code {
            return self.start(&self.origin.view.release, before.source.clone(), None).await;
        }
        if !self.environment.runs_work_tree() {
            let release = self.environment.live_release(&before.pipeline).await?;
            let applied = self.environment.state().await?.and_then(|loaded| loaded.state.applied);
            return self.start(&release, applied.map(|applied| applied.source).unwrap_or_default(), None).await;
        }
        let project = project::open(self.context, None)?;
        let (_, release) = project.pipeline(Some(before.pipeline.as_str()))?;
        self.start(release, project.snapshot.version(), Some(&project)).await
    }

    /// `project` is what the release was made from, where that is the work tree.
    async fn start(&self, release: &Release, source: SourceVersion, project: Option<&Project>) -> CommandResult {
        let (record, carry) = self.prepare(release, source).await?;
        if self.dry_run {
            let fates = self.origin.fates(&self.environment, release, &record.cache.fresh)?;
            self.context.printer.data(&render::redrive::text(&self.origin.run(), &fates, &self.context.printer.out));
            return Ok(ExitCode::Ok);
        }
        if let Some(project) = project {
            self.environment.prepare_run(self.context, project, &record, release).await?;
        }
        self.environment.start_run(self.context, release, record, carry).await
    }

    async fn prepare(&self, release: &Release, source: SourceVersion) -> Result<(RunRecord, Carry), CliError> {
        let before = &self.origin.view.record;
        let params = params(release, &before.params)?;
        let mut fresh: BTreeSet<StepName> = super::run::known_steps(release, self.steps)?;
        fresh.extend(self.origin.changed_by(release, &params));
        // Models stay those of the run that is taken up; an input that it did not have is pinned now.
        let mut models = self.environment.pin_models(release).await?;
        for (input, pinned) in &mut models {
            if let Some(earlier) = before.models.get(input) {
                pinned.clone_from(earlier);
            }
        }
        let interrupt = self.environment.listen(self.context)?;
        let started_at = self.environment.now();
        let record = RunRecord {
            schema: RUN_SCHEMA,
            run: self.environment.new_run_id()?,
            pipeline: release.pipeline.clone(),
            revision: release.revision(),
            params,
            models,
            object: before.object.clone(),
            cache: RunCache { off: before.cache.off, fresh },
            redrives: Some(before.run.clone()),
            canary: None,
            scheduled: before.scheduled.clone(),
            follows: before.follows.clone(),
            source,
            started_at,
            deadline: release.runs.deadline(started_at),
            started_by: self.context.settings.user.clone(),
        };
        let AgainArgs { same_code: _, jobs, detach, output } = *self.args;
        Ok((record, Carry { jobs, output: Some(output), detach, interrupt }))
    }
}

/// The parameters of a run that is taken up: those it had, and the defaults of those that are new.
fn params(release: &Release, before: &BTreeMap<FieldName, Value>) -> Result<BTreeMap<FieldName, Value>, CliError> {
    let mut params = BTreeMap::new();
    for (name, spec) in &release.params {
        let value = before.get(name).cloned().or_else(|| spec.default.clone()).ok_or_else(|| {
            CliError::new(format!("parameter {name} is new, and has no default"))
                .hint("start a new run: `liminal run --set PARAM=VALUE`")
                .exit(ExitCode::Usage)
        })?;
        if let Some(problem) = spec.problem_with(&value) {
            return Err(CliError::new(format!("parameter {name} of that run does not fit any more: {problem}"))
                .hint("start a new run, or take up this one with `--same-code`")
                .exit(ExitCode::Usage));
        }
        params.insert(name.clone(), value);
    }
    Ok(params)
}
