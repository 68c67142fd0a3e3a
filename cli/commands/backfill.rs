use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::num::NonZeroU32;
use std::task::Poll;

use liminal_functions::executor::Stop;
use liminal_infra::apply::window::all;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::release::Release;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::run::RunCache;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::Scheduled;
use liminal_schemas::run::SourceVersion;
use liminal_schemas::run_policy::Overlap;
use liminal_schemas::time::UtcTime;
use liminal_schemas::value::Value;
use tokio::sync::Mutex;
use tokio::sync::watch;

use crate::app::Context;
use crate::args::Format;
use crate::backfilling::Every;
use crate::backfilling::Identity;
use crate::backfilling::State;
use crate::backfilling::partitions;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::platform::Carry;
use crate::platform::Environment;
use crate::printer::Printer;
use crate::project;
use crate::project::Project;
use crate::records::AT_ONCE;
use crate::records::RunName;
use crate::render::style::Tone;
use crate::render::table::Align;
use crate::render::table::Cell;
use crate::render::table::Table;
use crate::render::units::count;
use crate::run_params;
use crate::run_params::ParamArgs;

/// Run a pipeline for each day or hour of the past.
///
/// Every part of the range is a run that is for that time (`{{ run.scheduled_time }}`). Started again with the same code and
/// parameters, it goes on: what succeeded is left alone, what is open is resumed. A part that fails does not stop the others.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  liminal backfill report --from 2026-01-01 --to 2026-01-31 --dry-run\n  liminal backfill report --from 2026-01-01 --to 2026-01-31 --max-concurrent 4"
)]
pub(crate) struct BackfillArgs {
    /// The pipeline.
    pipeline: PipelineName,
    /// The first day, in UTC.
    #[arg(long, value_name = "YYYY-MM-DD")]
    from: String,
    /// The last day, which is part of the range.
    #[arg(long, value_name = "YYYY-MM-DD")]
    to: String,
    /// How long the part of each run is.
    #[arg(long, value_enum, default_value_t, value_name = "LENGTH")]
    every: Every,
    /// List the parts and how they stand, and run nothing.
    #[arg(long)]
    dry_run: bool,
    /// Run the parts again that failed.
    #[arg(long)]
    retry_failed: bool,
    /// How many runs may be under way at once.
    #[arg(long, value_name = "COUNT", default_value = "1")]
    max_concurrent: NonZeroU32,
    #[command(flatten)]
    params: ParamArgs,
    /// The form of the list.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

/// For how many parts of a range it is looked up what is in the cache: on AWS each costs some requests.
const MOST_LOOKED_UP: usize = 1000;

/// A part of the range.
#[derive(serde::Serialize)]
struct Row {
    partition: String,
    time: UtcTime,
    run: RunId,
    /// How it stood before this backfill, or how it came out.
    status: &'static str,
    /// What its run would take from the cache, where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    hits: Option<Hits>,
    #[serde(skip)]
    state: State,
    #[serde(skip)]
    again: Option<u32>,
}

/// What a run would take from the cache.
#[derive(serde::Serialize)]
struct Hits {
    /// The steps whose results are there.
    cached: Vec<StepName>,
    /// How many steps there are.
    steps: usize,
}

pub(crate) async fn run(context: &Context, args: &BackfillArgs) -> CommandResult {
    let times = partitions(&args.from, &args.to, args.every)?;
    let environment = Environment::of_project(context).await?;
    let (project, release, source);
    if environment.runs_work_tree() {
        let opened = project::open(context, None)?;
        release = opened.pipeline(Some(args.pipeline.as_str()))?.1.clone();
        source = opened.snapshot.version();
        project = Some(opened);
    } else {
        release = environment.live_release(&args.pipeline).await?;
        let applied = environment.state().await?.and_then(|loaded| loaded.state.applied);
        source = applied.map(|applied| applied.source).unwrap_or_default();
        project = None;
    }
    refuse_crowd(&release, args)?;
    super::run::trigger_object(&environment, &release, None).await?;
    let params = run_params::values(context, &release, &args.params)?;
    let identity = Identity { pipeline: &release.pipeline, revision: release.revision(), params: &params };
    let mut rows = rows(&environment, &identity, &times, args.every).await?;
    if args.dry_run {
        look_up_hits(&environment, &release, &params, &mut rows).await;
        show(context, args, &rows);
        return Ok(ExitCode::Ok);
    }
    let backfill = Backfill {
        context,
        quiet: Context { settings: context.settings.clone(), printer: Printer::silent() },
        environment: &environment,
        project: project.as_ref(),
        release: &release,
        source,
        params: &params,
        identity: &identity,
        args,
        interrupt: environment.listen(context)?,
        preparing: Mutex::new(()),
    };
    // What was begun is ended first, so that there is room for what is new.
    rows.sort_by_key(|row| (row.state != State::Open, row.time));
    let most = usize::try_from(args.max_concurrent.get()).unwrap_or(usize::MAX);
    let mut rows = backfill.parts(rows, most).await;
    rows.sort_by_key(|row| row.time);
    show(context, args, &rows);
    let failed = rows.iter().filter(|row| row.status == "failed").count();
    if rows.iter().any(|row| row.status == "stopped") {
        context
            .printer
            .complain("The backfill is stopped, and nothing that is done is lost. The same command goes on.\n");
        return Ok(ExitCode::Interrupted);
    }
    if failed > 0 {
        if !args.retry_failed {
            context.printer.say("`--retry-failed` runs the parts again that failed.");
        }
        return Ok(ExitCode::RunFailed);
    }
    Ok(ExitCode::Ok)
}

/// More runs at once than the pipeline may have would only be refused one by one.
fn refuse_crowd(release: &Release, args: &BackfillArgs) -> Result<(), CliError> {
    let most = release.runs.max_concurrent_runs.unwrap_or(1);
    if release.runs.overlap == Overlap::Allow || args.max_concurrent.get() <= most {
        return Ok(());
    }
    let (pipeline, overlap) = (&release.pipeline, release.runs.overlap);
    Err(CliError::new(format!("pipeline {pipeline} may have {most} open at once, by `overlap: {overlap}`"))
        .hint(format!("write --max-concurrent {most}"))
        .exit(ExitCode::Usage))
}

/// How each part stands.
async fn rows(
    environment: &Environment,
    identity: &Identity<'_>,
    times: &[UtcTime],
    every: Every,
) -> Result<Vec<Row>, CliError> {
    let records = &environment.records();
    let listed = records.runs(Some(identity.pipeline)).await?;
    let existing: BTreeSet<RunId> = listed.into_iter().map(|name| name.run).collect();
    let existing = &existing;
    let reads = times.iter().map(|time| async move {
        let (run, again) = identity.newest(every, *time, existing)?;
        let state = if again.is_none() {
            State::New
        } else {
            let name = RunName { run: run.clone(), pipeline: identity.pipeline.clone() };
            State::of(records.result(&name).await?.map(|result| result.status))
        };
        let (partition, status) = (every.label(*time), state.as_str());
        Ok(Row { partition, time: *time, run, status, hits: None, state, again })
    });
    all(reads, AT_ONCE).await.into_iter().collect()
}

/// Looks up what the runs that are to come would find in the cache.
async fn look_up_hits(
    environment: &Environment,
    release: &Release,
    params: &BTreeMap<FieldName, Value>,
    rows: &mut [Row],
) {
    let is_asked = |row: &&mut Row| matches!(row.state, State::New | State::Failed);
    let mut asked: Vec<&mut Row> = rows.iter_mut().filter(is_asked).take(MOST_LOOKED_UP).collect();
    let times: Vec<Scheduled> = asked.iter().map(|row| Scheduled::in_utc(row.time)).collect();
    let found = environment.cached_steps(release, params, &times).await;
    for (row, cached) in asked.iter_mut().zip(found) {
        row.hits = Some(Hits { cached, steps: release.steps.len() });
    }
}

struct Backfill<'a> {
    context: &'a Context,
    /// For single runs, whose ends are told in one list.
    quiet: Context,
    environment: &'a Environment,
    project: Option<&'a Project>,
    release: &'a Release,
    source: SourceVersion,
    params: &'a BTreeMap<FieldName, Value>,
    identity: &'a Identity<'a>,
    args: &'a BackfillArgs,
    interrupt: watch::Receiver<Stop>,
    /// Held while what runs need is put in place.
    preparing: Mutex<()>,
}

impl Backfill<'_> {
    /// Carries parts out in their order, with at most so many under way at once.
    async fn parts(&self, rows: Vec<Row>, most: usize) -> Vec<Row> {
        let workers = most.min(rows.len());
        let (waiting, ended) = (RefCell::new(rows.into_iter()), RefCell::new(Vec::new()));
        let work = || async {
            loop {
                let next = waiting.borrow_mut().next();
                let Some(row) = next else { break };
                let row = self.part(row).await;
                ended.borrow_mut().push(row);
            }
        };
        let mut working: Vec<_> = (0..workers).map(|_| Box::pin(work())).collect();
        poll_fn(|context| {
            working.retain_mut(|worker| worker.as_mut().poll(context).is_pending());
            if working.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        drop(working);
        ended.into_inner()
    }

    /// Carries one part out, as far as there is something to do, and tells how it came out.
    async fn part(&self, mut row: Row) -> Row {
        let idle = match row.state {
            State::Done => true,
            State::Failed => !self.args.retry_failed,
            State::Open | State::New => false,
        };
        if idle || *self.interrupt.borrow() != Stop::No {
            if !idle {
                row.status = "stopped";
            }
            return row;
        }
        row.status = match self.carry_out(&mut row).await {
            Ok(ExitCode::Ok) => "succeeded",
            Ok(ExitCode::Interrupted) => "stopped",
            Ok(_) => "failed",
            Err(error) => {
                let printer = &self.context.printer;
                printer.complain(&error.render(&printer.err));
                "failed"
            }
        };
        self.context.printer.say(&format!("{} {} ({})", row.partition, row.status, row.run));
        row
    }

    async fn carry_out(&self, row: &mut Row) -> CommandResult {
        let interrupt = self.interrupt.clone();
        let carry = Carry { jobs: None, output: None, detach: false, interrupt };
        if row.state == State::Open {
            let name = RunName { run: row.run.clone(), pipeline: self.release.pipeline.clone() };
            return self.environment.resume_run(&self.quiet, &name, self.release, carry).await;
        }
        if let Some(again) = row.again {
            row.run = self.identity.run(self.args.every, row.time, again.saturating_add(1))?;
        }
        self.environment.refuse_overlap(self.release).await?;
        let pipeline = &self.release.pipeline;
        let (tried, canary) = match self.project {
            Some(_) => (None, None),
            None => {
                let (release, canary) = self.environment.release_for(self.context, pipeline, &row.run).await?;
                (canary.is_some().then_some(release), canary)
            }
        };
        let release = tried.as_ref().unwrap_or(self.release);
        let params = match &tried {
            Some(release) => run_params::values(self.context, release, &self.args.params)?,
            None => self.params.clone(),
        };
        let started_at = self.environment.now();
        let record = RunRecord {
            schema: RUN_SCHEMA,
            run: row.run.clone(),
            pipeline: release.pipeline.clone(),
            revision: release.revision(),
            params,
            models: self.environment.pin_models(release).await?,
            object: None,
            scheduled: Some(Scheduled::in_utc(row.time)),
            follows: None,
            cache: RunCache::default(),
            redrives: None,
            canary,
            source: self.source.clone(),
            started_at,
            deadline: release.runs.deadline(started_at),
            started_by: self.context.settings.user.clone(),
        };
        if let Some(project) = self.project {
            let _one_at_a_time = self.preparing.lock().await;
            self.environment.prepare_run(&self.quiet, project, &record, release).await?;
        }
        self.environment.start_run(&self.quiet, release, record, carry).await
    }
}

fn show(context: &Context, args: &BackfillArgs, rows: &[Row]) {
    if args.output == Format::Json {
        return context.printer.json(&rows);
    }
    let mut table = Table::new([
        ("PARTITION", Align::Left),
        ("STATUS", Align::Left),
        ("CACHED", Align::Left),
        ("RUN", Align::Left),
    ]);
    for row in rows {
        let tone = match row.status {
            "succeeded" | "done" => Tone::Good,
            "failed" => Tone::Bad,
            _ => Tone::Warn,
        };
        let run = if row.status == "new" { String::new() } else { row.run.to_string() };
        let hits = row.hits.as_ref().map(|hits| format!("{} of {}", hits.cached.len(), count(hits.steps, "step")));
        table.row([
            Cell::new(Tone::Plain, &row.partition),
            Cell::new(tone, row.status),
            Cell::from(hits.unwrap_or_default()),
            Cell::new(Tone::Dim, run),
        ]);
    }
    context.printer.data(&table.render(&context.printer.out));
}
