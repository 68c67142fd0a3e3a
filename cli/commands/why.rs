use std::collections::BTreeMap;
use std::fmt::Write as _;

use liminal_infra::plan::forecast::default_params;
use liminal_infra::plan::key_facts;
use liminal_schemas::name::StepName;
use liminal_schemas::plan::FieldChange;
use liminal_schemas::plan::RerunReason;
use liminal_schemas::plan::StepForecast;
use liminal_schemas::run::CommitStatus;
use serde::Serialize;

use crate::app::Context;
use crate::args::Format;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::past_keys;
use crate::platform::Environment;
use crate::project;
use crate::records::Records;
use crate::records::RunName;
use crate::records::RunView;
use crate::render::plan_text::rerun_reason;
use crate::render::style::Style;

/// Say why a step ran, and whether it will run again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  liminal why train\n  liminal why evaluate --run 20261124-230239-x7k2")]
pub(crate) struct WhyArgs {
    /// The step.
    step: StepName,
    /// The pipeline; may be left out when only one has such a step.
    #[arg(long)]
    pipeline: Option<String>,
    /// The run to explain; the newest where none is given.
    #[arg(long)]
    run: Option<String>,
    /// The form of the answer.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

/// The answer, for programs.
#[derive(Serialize)]
struct Answer {
    step: StepName,
    #[serde(skip_serializing_if = "Option::is_none")]
    past: Option<Past>,
    next: StepForecast,
    /// Where a chain of steps that depend on each other starts, and why that one runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<(StepName, RerunReason)>,
}

/// What happened in a run.
#[derive(Serialize)]
struct Past {
    run: String,
    status: Option<CommitStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compared_with: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forced: Option<&'static str>,
    changes: Vec<Change>,
}

#[derive(Serialize)]
struct Change {
    what: String,
    before: Option<String>,
    after: Option<String>,
}

impl From<FieldChange> for Change {
    fn from(change: FieldChange) -> Self {
        Self { what: change.field, before: change.before, after: change.after }
    }
}

pub(crate) async fn run(context: &Context, args: &WhyArgs) -> CommandResult {
    let project = project::open(context, None)?;
    let environment = Environment::of(context, &project).await?;
    let pipeline = match &args.pipeline {
        Some(name) => Some(name.clone()),
        None => only_with_step(&project, &args.step)?,
    };
    let (pipeline, release) = project.pipeline(pipeline.as_deref())?;
    if !release.steps.contains_key(&args.step) {
        return Err(CliError::new(format!("pipeline {pipeline} has no step `{}`", args.step)).exit(ExitCode::Usage));
    }
    let records = environment.records();
    let past = match records.find(args.run.as_deref(), Some(pipeline)).await {
        Ok(name) => Some(explain_past(&records, &name, &args.step).await?),
        Err(error) if args.run.is_some() => return Err(error),
        Err(_) => None,
    };
    let forecast = environment.forecast(&project, release, &default_params(release), None).await?;
    let next = forecast.get(&args.step).cloned().unwrap_or(StepForecast::Runs(RerunReason::NeverRan));
    let root = root_cause(&forecast, &next);
    let answer = Answer { step: args.step.clone(), past, next, root };
    match args.output {
        Format::Json => context.printer.json(&answer),
        Format::Text => context.printer.data(&text(&answer, &context.printer.out)),
    }
    Ok(ExitCode::Ok)
}

/// The only pipeline that has such a step, where a project has several.
fn only_with_step(project: &project::Project, step: &StepName) -> Result<Option<String>, CliError> {
    let with: Vec<&str> = project
        .loaded
        .resolved
        .releases
        .iter()
        .filter(|(_, release)| release.steps.contains_key(step))
        .map(|(name, _)| name.as_str())
        .collect();
    match with.as_slice() {
        [] => Err(CliError::new(format!("no pipeline has a step `{step}`")).exit(ExitCode::Usage)),
        [only] => Ok(Some((*only).to_owned())),
        several => Err(CliError::new(format!("several pipelines have a step `{step}`: {}", several.join(", ")))
            .hint("--pipeline NAME names one")
            .exit(ExitCode::Usage)),
    }
}

async fn explain_past<S: liminal_functions::ports::ObjectStore>(
    records: &Records<'_, S>,
    name: &RunName,
    step: &StepName,
) -> Result<Past, CliError> {
    let view: RunView = records.view(name).await?;
    let commit = view.commits.get(step);
    let forced = if view.record.cache.off {
        Some("the run was started with --no-cache")
    } else if view.record.cache.fresh.contains(step) {
        Some("the run was started with --fresh for this step")
    } else {
        None
    };
    let mut past = Past {
        run: name.run.to_string(),
        status: commit.map(|commit| commit.status),
        cached_from: commit.and_then(|commit| commit.cached_from.as_ref()).map(ToString::to_string),
        compared_with: None,
        forced,
        changes: Vec::new(),
    };
    let now = past_keys::of_run(records, &view, step).await?;
    let earlier = past_keys::latest(records, &name.pipeline, Some(name)).await?.remove(step);
    if let (Some(now), Some((run, before))) = (now, earlier) {
        past.compared_with = Some(run.run.to_string());
        past.changes = key_facts::differences(&before, &now).into_iter().map(Change::from).collect();
    }
    Ok(past)
}

/// Follows a chain of "depends on" to the step that runs for a reason of its own.
fn root_cause(forecast: &BTreeMap<StepName, StepForecast>, next: &StepForecast) -> Option<(StepName, RerunReason)> {
    let mut here = next;
    let mut name = None;
    // The graph has no cycles, so the walk ends; the bound holds it also for a forecast that makes no sense.
    for _ in 0..=forecast.len() {
        match here {
            StepForecast::Depends(step) => {
                name = Some(step.clone());
                here = forecast.get(step)?;
            }
            StepForecast::Runs(reason) => return Some((name?, reason.clone())),
            StepForecast::Cached => return None,
        }
    }
    None
}

fn text(answer: &Answer, style: &Style) -> String {
    let step = style.bold(&answer.step);
    let mut text = String::new();
    if let Some(past) = &answer.past {
        let _ = writeln!(text, "{}", past_text(past, &step, style));
        for change in &past.changes {
            let reason = RerunReason::Changed {
                what: change.what.clone(),
                before: change.before.clone(),
                after: change.after.clone(),
            };
            let _ = writeln!(text, "  {}", rerun_reason(&reason, style));
        }
    }
    let next = match &answer.next {
        StepForecast::Cached => {
            format!("The next run takes {step} from the cache: nothing it is made from has changed.")
        }
        StepForecast::Runs(reason) => format!("The next run runs {step}: {}", rerun_reason(reason, style)),
        StepForecast::Depends(on) => match &answer.root {
            Some((root, reason)) if root == on => {
                format!(
                    "The next run runs {step} if {on} makes something different; {on} runs: {}",
                    rerun_reason(reason, style)
                )
            }
            Some((root, reason)) => format!(
                "The next run runs {step} if {on} makes something different; that starts with {root}: {}",
                rerun_reason(reason, style)
            ),
            None => format!("The next run runs {step} if {on} makes something different."),
        },
    };
    let _ = writeln!(text, "{next}");
    text
}

fn past_text(past: &Past, step: &str, style: &Style) -> String {
    let run = &past.run;
    match (past.status, past.forced, &past.compared_with) {
        (None, _, _) => format!("In run {run}, {step} has not ended."),
        (Some(CommitStatus::Cached), _, _) => match &past.cached_from {
            Some(origin) => format!("In run {run}, {step} came from the cache: run {origin} had made the same."),
            None => format!("In run {run}, {step} came from the cache."),
        },
        (Some(CommitStatus::Skipped), _, _) => format!("In run {run}, {step} was skipped."),
        (Some(status), Some(forced), _) => format!("In run {run}, {step} ran ({status}): {forced}."),
        (Some(CommitStatus::Succeeded), None, None) => format!("In run {run}, {step} ran: it had never run before."),
        (Some(CommitStatus::Succeeded), None, Some(with)) if past.changes.is_empty() => {
            format!(
                "In run {run}, {step} ran, though nothing differs from run {with}: its cached result was gone or too old."
            )
        }
        (Some(CommitStatus::Succeeded), None, Some(with)) => {
            format!("In run {run}, {step} ran. Since run {}, this has changed:", style.dim(with))
        }
        (Some(status @ (CommitStatus::Rejected | CommitStatus::Failed)), None, _) => {
            format!("In run {run}, {step} {status}: what fails is never cached, so it runs every time.")
        }
    }
}
