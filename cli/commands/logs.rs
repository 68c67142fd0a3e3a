use std::collections::BTreeMap;

use liminal_schemas::keys;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::unit::Unit;

use crate::app::Context;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::error::While as _;
use crate::exit_code::ExitCode;
use crate::platform::Environment;
use crate::records::Records;
use crate::records::RunName;

/// Print what steps printed.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  liminal logs                 all steps of the newest run\n  liminal logs train           one step of the newest run\n  liminal logs -f              follow the newest run until it ends\n  liminal logs 20261124-230239-x7k2 train --attempt 1"
)]
pub(crate) struct LogsArgs {
    /// A run, a step, or a run and a step; the newest run where none is given.
    #[arg(value_name = "RUN] [STEP", num_args = 0..=2)]
    target: Vec<String>,
    /// Go on printing until the run ends.
    #[arg(short, long)]
    follow: bool,
    /// Only this attempt; all where none is given.
    #[arg(long, value_name = "NUMBER")]
    attempt: Option<u32>,
    /// This item of a step that maps, by its number from 0. Needs a step.
    #[arg(long, value_name = "NUMBER")]
    item: Option<u32>,
    /// Only the last lines of each attempt.
    #[arg(long, value_name = "LINES")]
    tail: Option<usize>,
}

pub(crate) async fn run(context: &Context, args: &LogsArgs) -> CommandResult {
    let environment = Environment::of_project(context).await?;
    let records = environment.records();
    let (name, step) = target(&records, &args.target).await?;
    let view = records.view(&name).await?;
    // One that is a pipeline stands for all of its steps.
    let named = |named: &StepName| -> Vec<StepName> {
        let order = environment.graph(&view.release).map(|graph| graph.order().to_vec()).unwrap_or_default();
        order.into_iter().filter(|step| step == named || step.is_within(named)).collect()
    };
    let steps: Vec<StepName> = match &step {
        Some(step) if !named(step).is_empty() => named(step),
        Some(step) => {
            let names: Vec<&str> = view.release.steps.keys().map(StepName::as_str).collect();
            return Err(CliError::new(format!("run {} has no step `{step}`", name.run))
                .hint(format!("there are {}", names.join(", "))));
        }
        None => environment.graph(&view.release)?.order().to_vec(),
    };
    if let Some(item) = args.item {
        let Some(step) = &step else {
            return Err(CliError::new("--item needs a step")
                .hint("`liminal logs STEP --item NUMBER`")
                .exit(ExitCode::Usage));
        };
        return item_logs(context, &environment, &name, Unit::item(step.clone(), item), args).await;
    }
    let mut cursor = Cursor { header: steps.len() > 1, last: None, read: BTreeMap::new(), printed: false };
    loop {
        // Whether the run has ended is asked before its logs are read, so that nothing printed last is missed.
        let ended = records.result(&name).await?.is_some() || !environment.is_carried(&name.run);
        let seen = records.steps(&name).await?;
        for (step, progress) in steps.iter().filter_map(|step| Some((step, seen.get(step)?))) {
            for attempt in &progress.attempts {
                let whole = progress.committed || attempt.failed;
                if args.attempt.is_none_or(|wanted| wanted == attempt.number) {
                    cursor
                        .print(context, &environment, &name, (&Unit::step(step.clone()), attempt.number, whole), args)
                        .await?;
                }
            }
        }
        if !args.follow || ended {
            break;
        }
        tokio::time::sleep(environment.poll_interval()).await;
    }
    if !cursor.printed {
        explain_silence(context, &environment, &name, step.as_ref()).await?;
    }
    Ok(ExitCode::Ok)
}

/// Prints what one item of a step printed, attempt by attempt.
async fn item_logs(
    context: &Context,
    environment: &Environment,
    name: &RunName,
    unit: Unit,
    args: &LogsArgs,
) -> CommandResult {
    let records = environment.records();
    match (records.map(name, &unit.step).await?, unit.item) {
        (None, _) => {
            return Err(CliError::new(format!("step {} of run {} has no items yet", unit.step, name.run))
                .hint("only steps with `map:` have items, once they begin"));
        }
        (Some(map), Some(item)) if item >= map.items => {
            return Err(CliError::new(format!("step {} has no item {item}", unit.step))
                .hint(format!("it has {} items, numbered from 0", map.items)));
        }
        (Some(_), _) => {}
    }
    let mut cursor = Cursor { header: true, last: None, read: BTreeMap::new(), printed: false };
    loop {
        let ended = records.result(name).await?.is_some() || !environment.is_carried(&name.run);
        let (attempts, whole) = records.item_attempts(name, &unit).await?;
        for attempt in attempts {
            let whole = whole || attempt.failed;
            if args.attempt.is_none_or(|wanted| wanted == attempt.number) {
                cursor.print(context, environment, name, (&unit, attempt.number, whole), args).await?;
            }
        }
        if !args.follow || ended || whole {
            break;
        }
        tokio::time::sleep(environment.poll_interval()).await;
    }
    if !cursor.printed {
        context.printer.say(&format!("Item {unit} of run {} printed nothing.", name.run));
    }
    Ok(ExitCode::Ok)
}

/// Tells runs from steps: what names a run is one.
async fn target<S: liminal_functions::ports::ObjectStore>(
    records: &Records<'_, S>,
    words: &[String],
) -> Result<(RunName, Option<StepName>), CliError> {
    let step = |text: &str| StepName::new(text).or_failed(|| "no logs can be shown".to_owned());
    match words {
        [] => Ok((records.find(None, None).await?, None)),
        [one] => match records.find(Some(one), None).await {
            Ok(run) => Ok((run, None)),
            Err(_) if RunId::new(one.as_str()).is_err() || !one.starts_with(|c: char| c.is_ascii_digit()) => {
                Ok((records.find(None, None).await?, Some(step(one)?)))
            }
            Err(error) => Err(error),
        },
        [run, name, ..] => Ok((records.find(Some(run), None).await?, Some(step(name)?))),
    }
}

/// How far each log has been printed.
struct Cursor {
    header: bool,
    last: Option<(Unit, u32)>,
    read: BTreeMap<(Unit, u32), Read>,
    printed: bool,
}

/// How far a log has been read.
#[derive(Clone, Copy, Default)]
struct Read {
    bytes: u64,
    /// Whether nothing will be added to it.
    whole: bool,
}

impl Cursor {
    async fn print(
        &mut self,
        context: &Context,
        environment: &Environment,
        name: &RunName,
        (step, attempt, whole): (&Unit, u32, bool),
        args: &LogsArgs,
    ) -> Result<(), CliError> {
        let here = (step.clone(), attempt);
        let before = self.read.get(&here).copied().unwrap_or_default();
        if before.whole {
            return Ok(());
        }
        let key = keys::attempt_log(&name.pipeline, &name.run, step, attempt);
        let bytes = environment.store().read_from(&key, before.bytes).await;
        let bytes = bytes.or_failed(|| "a log can not be read".to_owned())?.unwrap_or_default();
        // The end of a log may come a moment after that of its attempt.
        let whole = whole && bytes.is_empty();
        self.read.insert(here.clone(), Read { bytes: before.bytes + bytes.len() as u64, whole });
        if bytes.is_empty() {
            return Ok(());
        }
        self.printed = true;
        let text = String::from_utf8_lossy(&bytes);
        let text = match args.tail {
            Some(lines) if before.bytes == 0 => last_lines(&text, lines),
            Some(_) | None => &text,
        };
        if self.header && self.last.as_ref() != Some(&here) {
            let title = match attempt {
                1 => step.to_string(),
                number => format!("{step}, attempt {number}"),
            };
            context.printer.data(&format!("{}\n", context.printer.out.bold(format!("── {title} ──"))));
        }
        self.last = Some(here);
        context.printer.data(text);
        if !args.follow && !text.ends_with('\n') {
            context.printer.data("\n");
        }
        Ok(())
    }
}

fn last_lines(text: &str, lines: usize) -> &str {
    let body = text.strip_suffix('\n').unwrap_or(text);
    match lines.checked_sub(1).and_then(|skip| body.rmatch_indices('\n').nth(skip)) {
        Some((newline, _)) => &text[newline + 1..],
        None if lines == 0 => "",
        None => text,
    }
}

/// Says why there is nothing to print: a step from the cache printed in an earlier run.
async fn explain_silence(
    context: &Context,
    environment: &Environment,
    name: &RunName,
    step: Option<&StepName>,
) -> Result<(), CliError> {
    let view = environment.records().view(name).await?;
    let is_meant = |each: &StepName| step.is_none_or(|step| step == each);
    let origins: Vec<String> = view
        .commits
        .iter()
        .filter(|(each, _)| is_meant(each))
        .filter_map(|(each, commit)| Some(format!("liminal logs {} {each}", commit.cached_from.as_ref()?)))
        .collect();
    let mapped = view.release.steps.iter().filter(|(each, spec)| spec.map.is_some() && is_meant(each));
    let mapped: Vec<&StepName> = mapped.map(|(each, _)| each).collect();
    if step.is_none() || mapped.is_empty() {
        context.printer.say(&format!(
            "Run {} printed nothing{}.",
            name.run,
            step.map(|s| format!(" in {s}")).unwrap_or_default()
        ));
    }
    for step in mapped {
        context.printer.say(&format!(
            "Each item of {step} has a log of its own: `liminal logs {} {step} --item 0`; `liminal status {} --items` lists them.",
            name.run, name.run
        ));
    }
    for command in origins {
        context.printer.say(&format!("Its result came from the cache; what it printed when it ran: {command}"));
    }
    Ok(())
}
