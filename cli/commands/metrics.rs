use std::collections::BTreeMap;

use serde::Serialize;

use crate::app::Context;
use crate::args::Format;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::platform::Environment;
use crate::records::RunView;
use crate::render::metrics;
use crate::render::metrics::RunMetrics;

/// Show the metrics of runs side by side.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  liminal metrics\n  liminal metrics 20261123-181500-a1b2c3 20261124-230239-d4e5f6")]
pub(crate) struct MetricsArgs {
    /// The runs; the last two of the newest run's pipeline where none is given.
    runs: Vec<String>,
    /// The form of the answer.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

/// The metrics of a run, for programs.
#[derive(Serialize)]
struct Column {
    run: String,
    pipeline: String,
    metrics: BTreeMap<String, f64>,
}

pub(crate) async fn run(context: &Context, args: &MetricsArgs) -> CommandResult {
    let environment = Environment::of_project(context).await?;
    let records = environment.records();
    let mut names = Vec::new();
    for run in &args.runs {
        names.push(records.find(Some(run), None).await?);
    }
    if names.is_empty() {
        let newest = records.find(None, None).await?;
        let runs = records.runs(Some(&newest.pipeline)).await?;
        names.extend(runs.into_iter().rev().take(2));
        names.reverse();
    }
    let mut columns = Vec::new();
    for name in &names {
        let view = records.view(name).await?;
        columns.push(Column {
            run: name.run.to_string(),
            pipeline: name.pipeline.to_string(),
            metrics: numbers(&view),
        });
    }
    match args.output {
        Format::Json => context.printer.json(&columns),
        Format::Text if columns.iter().all(|column| column.metrics.is_empty()) => {
            context.printer.data("No metrics: a step declares its file with `metrics:`.\n");
        }
        Format::Text => {
            let runs: Vec<RunMetrics> =
                columns.into_iter().map(|column| RunMetrics { title: column.run, values: column.metrics }).collect();
            context.printer.data(&metrics::text(&runs, &context.printer.out));
        }
    }
    Ok(ExitCode::Ok)
}

/// All metrics of a run, as `step.metric`.
fn numbers(view: &RunView) -> BTreeMap<String, f64> {
    let all = view.commits.iter().flat_map(|(step, commit)| {
        commit.metrics.iter().map(move |(metric, value)| (format!("{step}.{metric}"), *value))
    });
    all.collect()
}
