use std::io::Read as _;
use std::io::Seek as _;
use std::io::SeekFrom;
use std::path::Path;
use std::time::Duration;

use liminal_schemas::keys;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;

use crate::app::Context;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::error::While as _;
use crate::exit_code::ExitCode;
use crate::platform::Local;
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
    /// Only the last lines of each attempt.
    #[arg(long, value_name = "LINES")]
    tail: Option<usize>,
}

/// How often a followed run is looked at.
const POLL: Duration = Duration::from_millis(150);

pub(crate) async fn run(context: &Context, args: &LogsArgs) -> CommandResult {
    let local = Local::of_project(context)?;
    let records = Records::new(local.store());
    let (name, step) = target(&records, &args.target).await?;
    let view = records.view(&name).await?;
    let steps: Vec<StepName> = match &step {
        Some(step) if view.release.steps.contains_key(step) => vec![step.clone()],
        Some(step) => {
            let names: Vec<&str> = view.release.steps.keys().map(StepName::as_str).collect();
            return Err(CliError::new(format!("run {} has no step `{step}`", name.run))
                .hint(format!("there are {}", names.join(", "))));
        }
        None => local.graph(&view.release)?.order().to_vec(),
    };
    let mut cursor = Cursor { header: steps.len() > 1, last: None, read: Vec::new(), printed: false };
    loop {
        // Whether the run has ended is asked before its logs are read, so that nothing printed last is missed.
        let ended = records.result(&name).await?.is_some() || local.driver(&name.run).is_none();
        for step in &steps {
            cursor.print(context, &local, &name, step, args)?;
        }
        if !args.follow || ended {
            break;
        }
        tokio::time::sleep(POLL).await;
    }
    if !cursor.printed {
        explain_silence(context, &local, &name, step.as_ref()).await?;
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
    last: Option<(StepName, u32)>,
    read: Vec<(StepName, u32, u64)>,
    printed: bool,
}

impl Cursor {
    fn print(
        &mut self,
        context: &Context,
        local: &Local,
        name: &RunName,
        step: &StepName,
        args: &LogsArgs,
    ) -> Result<(), CliError> {
        for attempt in 1.. {
            let record = local.store().path_of(&keys::attempt(&name.pipeline, &name.run, step, attempt));
            if !record.or_failed(|| "a log can not be found".to_owned())?.exists() {
                break;
            }
            if args.attempt.is_some_and(|wanted| wanted != attempt) {
                continue;
            }
            let log = local
                .store()
                .path_of(&keys::attempt_log(&name.pipeline, &name.run, step, attempt))
                .or_failed(|| "a log can not be found".to_owned())?;
            let known = self.read.iter().position(|(s, a, _)| s == step && *a == attempt);
            let from = known.map_or(0, |index| self.read[index].2);
            let (bytes, end) = read_from(&log, from)?;
            match known {
                Some(index) => self.read[index].2 = end,
                None => self.read.push((step.clone(), attempt, end)),
            }
            if bytes.is_empty() {
                continue;
            }
            self.printed = true;
            let text = String::from_utf8_lossy(&bytes);
            let text = match args.tail {
                Some(lines) if from == 0 => last_lines(&text, lines),
                Some(_) | None => &text,
            };
            let here = Some((step.clone(), attempt));
            if self.header && self.last != here {
                let title = if attempt == 1 { step.to_string() } else { format!("{step}, attempt {attempt}") };
                context.printer.data(&format!("{}\n", context.printer.out.bold(format!("── {title} ──"))));
            }
            self.last = here;
            context.printer.data(text);
            if !args.follow && !text.ends_with('\n') {
                context.printer.data("\n");
            }
        }
        Ok(())
    }
}

fn read_from(path: &Path, from: u64) -> Result<(Vec<u8>, u64), CliError> {
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((Vec::new(), from)),
        Err(error) => return Err(CliError::because(format!("{} can not be read", path.display()), &error)),
    };
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(from))
        .and_then(|_| file.read_to_end(&mut bytes))
        .or_failed(|| format!("{} can not be read", path.display()))?;
    let end = from + bytes.len() as u64;
    Ok((bytes, end))
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
    local: &Local,
    name: &RunName,
    step: Option<&StepName>,
) -> Result<(), CliError> {
    let view = Records::new(local.store()).view(name).await?;
    let origins: Vec<String> = view
        .commits
        .iter()
        .filter(|(each, _)| step.is_none_or(|step| step == *each))
        .filter_map(|(each, commit)| Some(format!("liminal logs {} {each}", commit.cached_from.as_ref()?)))
        .collect();
    context.printer.say(&format!(
        "Run {} printed nothing{}.",
        name.run,
        step.map(|s| format!(" in {s}")).unwrap_or_default()
    ));
    for command in origins {
        context.printer.say(&format!("Its result came from the cache; what it printed when it ran: {command}"));
    }
    Ok(())
}
