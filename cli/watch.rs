//! A run as it goes on: its graph with a line for each step, on a terminal; a line for each change elsewhere.
//!
//! All that is shown comes from the records in the store, so that it is the same whoever carries the run out, and wherever.

use std::collections::BTreeMap;

use indicatif::MultiProgress;
use indicatif::ProgressBar;
use liminal_schemas::graph::Graph;
use liminal_schemas::keys;
use liminal_schemas::name::StepName;
use liminal_schemas::run::Commit;

use crate::app::Context;
use crate::error::CliError;
use crate::platform::Carrier;
use crate::platform::Environment;
use crate::printer::Printer;
use crate::progress;
use crate::progress::TICK;
use crate::progress::style;
use crate::records::RunName;
use crate::records::SeenStep;
use crate::render::run_summary::status_text;
use crate::render::run_summary::status_tone;
use crate::render::units;

/// Watches a run until it ends, or nobody carries it forward any more.
pub(crate) async fn watch(context: &Context, environment: &Environment, name: &RunName) -> Result<(), CliError> {
    let records = environment.records();
    let record = records.record(name).await?;
    let release = records.release(&record.pipeline, &record.revision).await?;
    let mut board = Board::new(&context.printer, &environment.graph(&release)?);
    loop {
        let ended = records.result(name).await?.is_some();
        let seen = records.steps(name).await?;
        for (step, progress) in &seen {
            if !board.knows_items(step) && progress.items.is_some() {
                board.items(step, records.map(name, step).await?.map(|map| map.items));
            }
            let is_new = progress.committed && !board.is_settled(step);
            let commit: Option<Commit> = match is_new {
                true => records.document(&keys::commit(&name.pipeline, &name.run, step)).await?,
                false => None,
            };
            board.show(step, progress, commit.as_ref());
        }
        let is_left = matches!(environment.carrier(&name.run), Carrier::Nobody);
        if ended || is_left {
            board.end();
            return Ok(());
        }
        tokio::time::sleep(environment.poll_interval()).await;
    }
}

/// A line for each step, in the order in which they run, further to the right the more must be done before.
struct Board {
    printer: Printer,
    bars: MultiProgress,
    lines: BTreeMap<StepName, Line>,
}

struct Line {
    bar: ProgressBar,
    name: String,
    items: Option<u32>,
    told: String,
    settled: bool,
}

impl Board {
    fn new(printer: &Printer, graph: &Graph) -> Self {
        let bars = progress::bars(printer);
        let depths = graph.depths();
        let mut lines = BTreeMap::new();
        for step in graph.order() {
            let depth = depths.get(step).copied().unwrap_or(0);
            let bar = bars.add(ProgressBar::new(0));
            bar.set_style(style("{msg}"));
            let name = format!("{}{step}", "  ".repeat(depth));
            bar.set_message(printer.err.dim(format!("{} {name}", printer.err.symbol("·", "."))));
            lines.insert(step.clone(), Line { bar, name, items: None, told: String::new(), settled: false });
        }
        Self { printer: printer.clone(), bars, lines }
    }

    fn knows_items(&self, step: &StepName) -> bool {
        self.lines.get(step).is_some_and(|line| line.items.is_some())
    }

    fn is_settled(&self, step: &StepName) -> bool {
        self.lines.get(step).is_some_and(|line| line.settled)
    }

    fn items(&mut self, step: &StepName, items: Option<u32>) {
        if let (Some(line), Some(items)) = (self.lines.get_mut(step), items) {
            line.items = Some(items);
            line.bar.set_length(u64::from(items));
            line.bar.set_style(style("{msg} [{bar:30.green/dim}] {pos}/{len}").progress_chars("━╸─"));
        }
    }

    fn show(&mut self, step: &StepName, seen: &SeenStep, commit: Option<&Commit>) {
        let style_of = &self.printer.err;
        let Some(line) = self.lines.get_mut(step) else { return };
        if line.settled {
            return;
        }
        let (text, told) = match (commit, seen.attempts.last()) {
            (Some(commit), _) => {
                line.settled = true;
                let took = units::duration(commit.ended_at.seconds_since(commit.started_at));
                let status = style_of.paint(status_tone(commit.status), status_text(commit.status, style_of));
                let items = commit.items.map(|counts| format!(", {} items, {} failed", counts.items, counts.failed));
                let items = items.unwrap_or_default();
                (
                    format!("{} {status} {}", line.name, style_of.dim(format!("{took}{items}"))),
                    format!("{step}: {} in {took}{items}", commit.status),
                )
            }
            (None, Some(attempt)) => {
                let again = if attempt.number > 1 { format!(", attempt {}", attempt.number) } else { String::new() };
                let spin = style_of.symbol("▸", ">");
                (format!("{spin} {}{again}", line.name), format!("{step}: attempt {} begins", attempt.number))
            }
            (None, None) => match (seen.items, line.items) {
                (Some(settled), Some(all)) => {
                    line.bar.set_position(u64::from(settled));
                    let spin = style_of.symbol("▸", ">");
                    // Off a terminal, a line for each tenth of the items is enough.
                    let tenth = u64::from(settled) * 10 / u64::from(all.max(1));
                    (format!("{spin} {}", line.name), format!("{step}: {tenth}0% of {all} items are settled"))
                }
                (Some(_) | None, _) => return,
            },
        };
        if line.settled {
            line.bar.set_style(style("{msg}"));
        }
        line.bar.set_message(text);
        line.bar.enable_steady_tick(TICK);
        if line.settled {
            line.bar.disable_steady_tick();
        }
        if told != line.told && !self.printer.draws_bars() {
            self.printer.say(&told);
        }
        line.told = told;
    }

    /// Leaves the last picture on the screen.
    fn end(&self) {
        for line in self.lines.values() {
            line.bar.disable_steady_tick();
            line.bar.abandon();
        }
        // Lines stay where they are; what follows is printed below.
        drop(self.bars.println(""));
    }
}
