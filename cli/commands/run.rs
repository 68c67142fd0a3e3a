use std::collections::BTreeSet;
use std::path::Path;

use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::release::Release;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::run::RunCache;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::SourceVersion;
use liminal_schemas::run::TriggerObject;
use liminal_schemas::step::InputSource;
use liminal_schemas::step::StepSpec;
use liminal_schemas::time::UtcTime;
use liminal_schemas::trigger::Trigger;
use liminal_schemas::trigger::TriggerSource;

use crate::app::Context;
use crate::args::Format;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::error::While as _;
use crate::exit_code::ExitCode;
use crate::platform::Carry;
use crate::platform::Environment;
use crate::project;
use crate::project::Project;
use crate::redriving::Origin;
use crate::run_params;
use crate::run_params::ParamArgs;

/// Run a pipeline to its end.
///
/// On the `local` platform this runs what is in the work tree, without an apply; `--live` runs what was applied. On `aws`
/// it starts a run of what was applied, and watches it: Ctrl-C ends the watching, not the run.
/// Steps whose code, inputs and parameters are those of an earlier run take their results from it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  liminal run train\n  liminal run train --set seed=7 --fresh train\n  liminal run train --params weekly.yml\n  liminal run --live -o json\n  liminal run score --object in/rows.csv"
)]
pub(crate) struct RunArgs {
    /// The pipeline; may be left out when there is one.
    pipeline: Option<String>,
    #[command(flatten)]
    params: ParamArgs,
    /// Give the run this file as `trigger.object`, in place of one that starts it by landing in a bucket.
    #[arg(long, value_name = "FILE")]
    object: Option<String>,
    /// Take no result from earlier runs.
    #[arg(long)]
    no_cache: bool,
    /// Run this step in any case. May be given several times.
    #[arg(long, value_name = "STEP")]
    fresh: Vec<StepName>,
    /// Run this step and those behind it, and take the results of the newest run for all others.
    #[arg(long, value_name = "STEP", conflicts_with = "no_cache")]
    from: Option<StepName>,
    /// How many steps may run at once [default: the number of cores].
    #[arg(short, long, value_name = "COUNT")]
    jobs: Option<std::num::NonZeroU32>,
    /// Run the definition and code of this git revision.
    #[arg(long, value_name = "REV", conflicts_with = "live")]
    rev: Option<String>,
    /// Run the release that is live instead of the work tree.
    #[arg(long)]
    live: bool,
    /// Start the run and do not wait for its end. Only where the run is not on this machine.
    #[arg(short, long, conflicts_with_all = ["output", "jobs"])]
    detach: bool,
    /// Start the run even when the pipeline has as many open runs as it may have.
    #[arg(long)]
    force: bool,
    /// The form of the summary.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

pub(crate) async fn run(context: &Context, args: &RunArgs) -> CommandResult {
    let environment = Environment::of_project(context).await?;
    let here = environment.runs_work_tree();
    refuse_out_of_place(context, args, here)?;
    if args.live || !here {
        return run_live(context, &environment, args).await;
    }
    let project = project::open(context, args.rev.as_deref())?;
    let (_, release) = project.pipeline(args.pipeline.as_deref())?;
    let given = Given { run: environment.new_run_id()?, release, canary: None, source: project.snapshot.version() };
    let (record, carry) = record(context, &environment, given, args).await?;
    environment.prepare_run(context, &project, &record, release).await?;
    let ended = environment.start_run(context, release, record, carry).await?;
    say_who_waits(context, &project, &release.pipeline);
    Ok(ended)
}

/// Says which pipelines wait for the end of such a run: on this machine, only `liminal dev` starts them.
fn say_who_waits(context: &Context, project: &Project, ended: &PipelineName) {
    let waits = |release: &&Release| {
        let of_end =
            |trigger: &Trigger| matches!(&trigger.on, TriggerSource::Finished { pipeline, .. } if pipeline == ended);
        release.triggers.iter().any(of_end)
    };
    let waiting: Vec<&str> =
        project.loaded.resolved.releases.values().filter(waits).map(|release| release.pipeline.as_str()).collect();
    if !waiting.is_empty() {
        let names = waiting.join(", ");
        context.printer.say(&format!(
            "Waits for ends of {ended}: {names}. Here `liminal dev` starts what waits, as far as it is live."
        ));
    }
}

/// Refuses flags that mean nothing where the run would be.
fn refuse_out_of_place(context: &Context, args: &RunArgs, here: bool) -> Result<(), CliError> {
    let name = &context.settings.environment;
    let usage = |message: String, hint: String| Err(CliError::new(message).hint(hint).exit(ExitCode::Usage));
    if here && args.detach {
        let message = format!("a run in {name} is driven by this command, so that it can not be left alone");
        return usage(message, "leave out --detach".to_owned());
    }
    if !here && args.rev.is_some() {
        let message = format!("a run in {name} takes what was applied there, not a revision");
        return usage(message, format!("`liminal apply -e {name} --rev REV` makes it live first"));
    }
    if !here && args.jobs.is_some() {
        let message = format!("--jobs is about this machine, and a run in {name} is elsewhere");
        return usage(message, "leave it out".to_owned());
    }
    Ok(())
}

/// Runs what was applied. The definition is not read, so a broken one is no hindrance.
async fn run_live(context: &Context, environment: &Environment, args: &RunArgs) -> CommandResult {
    let pipeline = match &args.pipeline {
        Some(name) => PipelineName::new(name.as_str()).or_failed(|| "no pipeline has such a name".to_owned())?,
        None => only_live(context, environment).await?,
    };
    let run = environment.new_run_id()?;
    let (release, canary) = environment.release_for(context, &pipeline, &run).await?;
    if canary.is_some() {
        context.printer.say(&format!("Run {run} is given to the canary {}.", release.revision().short()));
    }
    let applied = environment.state().await?.and_then(|loaded| loaded.state.applied);
    let source = applied.map(|applied| applied.source).unwrap_or_default();
    let given = Given { run, release: &release, canary, source };
    let (record, carry) = record(context, environment, given, args).await?;
    environment.start_run(context, &release, record, carry).await
}

/// The pipeline that is live, where there is one.
async fn only_live(context: &Context, environment: &Environment) -> Result<PipelineName, CliError> {
    let mut live = environment.live_pipelines().await?;
    match (live.pop(), live.as_slice()) {
        (Some(only), []) => Ok(only),
        (Some(last), others) => {
            let mut names: Vec<&str> = others.iter().map(PipelineName::as_str).collect();
            names.push(last.as_str());
            Err(CliError::new("which pipeline?").hint(format!("live are {}", names.join(", "))).exit(ExitCode::Usage))
        }
        (None, _) => Err(CliError::new(format!("nothing is live in {}", context.settings.environment))
            .hint("`liminal apply` makes the pipelines of the definition live")),
    }
}

/// What a run is given.
struct Given<'a> {
    run: RunId,
    release: &'a Release,
    /// Since when the release is on trial.
    canary: Option<UtcTime>,
    source: SourceVersion,
}

/// What starts a run, and how it is carried out.
async fn record(
    context: &Context,
    environment: &Environment,
    given: Given<'_>,
    args: &RunArgs,
) -> Result<(RunRecord, Carry), CliError> {
    let Given { run, release, canary, source } = given;
    if !args.force {
        environment.refuse_overlap(release).await?;
    }
    let params = run_params::values(context, release, &args.params)?;
    let mut fresh = known_steps(release, &args.fresh)?;
    let redrives = match &args.from {
        Some(step) => {
            let steps = known_steps(release, std::slice::from_ref(step))?;
            let origin = Origin::newest(environment, &release.pipeline).await?;
            fresh.extend(origin.fresh_from(environment, release, &steps, &params)?);
            Some(origin.run())
        }
        None => None,
    };
    let object = trigger_object(environment, release, args.object.as_deref()).await?;
    let interrupt = environment.listen(context)?;
    let started_at = environment.now();
    let record = RunRecord {
        schema: RUN_SCHEMA,
        run,
        pipeline: release.pipeline.clone(),
        revision: release.revision(),
        params,
        models: environment.pin_models(release).await?,
        object,
        scheduled: None,
        follows: None,
        cache: RunCache { off: args.no_cache, fresh },
        redrives,
        canary,
        source,
        started_at,
        deadline: release.runs.deadline(started_at),
        started_by: context.settings.user.clone(),
    };
    Ok((record, Carry { jobs: args.jobs, output: Some(args.output), detach: args.detach, interrupt }))
}

/// The object that a run is given by hand. Without one, a run that needs it would fail in the middle.
pub(super) async fn trigger_object(
    environment: &Environment,
    release: &Release,
    file: Option<&str>,
) -> Result<Option<TriggerObject>, CliError> {
    let takes_object = |spec: &StepSpec| spec.inputs.values().any(|source| *source == InputSource::Trigger);
    let taker = release.steps.iter().find(|(_, spec)| takes_object(spec)).map(|(step, _)| step);
    let pipeline = &release.pipeline;
    let Some(file) = file else {
        return match taker {
            None => Ok(None),
            Some(step) => Err(CliError::new(format!("step {step} needs `trigger.object`, and this run has none"))
                .hint(format!("give it a file: `liminal run {pipeline} --object FILE`"))
                .exit(ExitCode::Usage)),
        };
    };
    if taker.is_none() {
        return Err(CliError::new(format!("no step of pipeline {pipeline} takes `trigger.object`"))
            .hint("leave out `--object`, or name it in a step: `inputs: {rows: trigger.object}`")
            .exit(ExitCode::Usage));
    }
    if file.starts_with("s3://") {
        return Err(CliError::new(format!("{file} is no file of this machine"))
            .hint(format!("fetch it first, as by `aws s3 cp {file} .`, and give the file"))
            .exit(ExitCode::Usage));
    }
    let artifact = environment.artifacts().bring_in(Path::new(file)).await?;
    Ok(Some(TriggerObject { uri: file.to_owned(), version: None, artifact }))
}

/// The steps that are named. One that is a pipeline stands for all of its steps.
pub(super) fn known_steps(release: &Release, steps: &[StepName]) -> Result<BTreeSet<StepName>, CliError> {
    let stands_for = |named: &StepName| -> Vec<StepName> {
        release.steps.keys().filter(|step| *step == named || step.is_within(named)).cloned().collect()
    };
    match steps.iter().find(|step| stands_for(step).is_empty()) {
        None => Ok(steps.iter().flat_map(stands_for).collect()),
        Some(step) => {
            let names: Vec<&str> = release.steps.keys().map(StepName::as_str).collect();
            Err(CliError::new(format!("pipeline {} has no step `{step}`", release.pipeline))
                .hint(format!("there are {}", names.join(", ")))
                .exit(ExitCode::Usage))
        }
    }
}
