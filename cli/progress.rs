//! Progress bars on stderr, for people who watch. Off a terminal nothing is drawn; warnings and failures are always said.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::MultiProgress;
use indicatif::ProgressBar;
use indicatif::ProgressDrawTarget;
use indicatif::ProgressStyle;
use liminal_functions::runner::RunEvent;
use liminal_schemas::name::StepName;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::unit::Unit;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::printer::Printer;
use crate::render::run_summary::status_text;
use crate::render::run_summary::status_tone;
use crate::render::units;

/// How many warnings about single items are printed.
const MAX_ITEM_WARNINGS: u32 = 10;

/// How often a spinner turns.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// Bars, or nothing.
pub(crate) struct Progress {
    bars: MultiProgress,
    printer: Printer,
}

impl Progress {
    /// Draws on stderr, if that is a terminal and nobody asked for quiet.
    pub(crate) fn new(printer: &Printer) -> Self {
        Self { bars: bars(printer), printer: printer.clone() }
    }

    /// Draws nothing: for work that is over before anybody looks.
    pub(crate) fn silent() -> Self {
        Self { bars: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()), printer: Printer::silent() }
    }

    /// A spinner with a text, for work of unknown length.
    pub(crate) fn spinner(&self, text: impl Into<String>) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new_spinner());
        bar.set_style(style("{spinner:.cyan} {msg} {elapsed:.dim}"));
        bar.set_message(text.into());
        bar.enable_steady_tick(TICK);
        bar
    }

    /// A bar for so many things.
    pub(crate) fn bar(&self, total: u64, text: impl Into<String>) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new(total));
        bar.set_style(style("{msg} [{bar:30.green/dim}] {pos}/{len} {elapsed:.dim}").progress_chars("━╸─"));
        bar.set_message(text.into());
        bar
    }

    /// Prints a line above the bars.
    pub(crate) fn line(&self, text: &str) {
        self.bars.suspend(|| self.printer.complain(&format!("{text}\n")));
    }

    /// Follows a run until its events end.
    pub(crate) async fn follow_run(&self, title: String, steps: usize, mut events: UnboundedReceiver<RunEvent>) {
        let total = self.bar(u64::try_from(steps).unwrap_or(u64::MAX), title);
        let mut running: BTreeMap<StepName, ProgressBar> = BTreeMap::new();
        let mut warned = 0;
        while let Some(event) = events.recv().await {
            match event {
                RunEvent::Started { unit: Unit { item: Some(_), .. }, .. } => {}
                RunEvent::Started { unit: Unit { step, item: None }, attempt } => {
                    let again = if attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
                    let bar = running.entry(step.clone()).or_insert_with(|| self.spinner(""));
                    bar.set_message(format!("{step}{again}"));
                }
                RunEvent::Expanded { step, items } => {
                    let bar = self.bar(u64::from(items), step.to_string());
                    if let Some(spinner) = running.insert(step, bar) {
                        spinner.finish_and_clear();
                    }
                }
                RunEvent::Advanced { step, settled } => {
                    if let Some(bar) = running.get(&step) {
                        bar.set_position(u64::from(settled));
                    }
                }
                RunEvent::AttemptFailed { unit, attempt, failure, retry_in } => {
                    if let Some(pause) = retry_in {
                        let pause = units::duration(pause.as_secs_f64());
                        let text =
                            format!("{unit}: attempt {attempt} failed, the next is in {pause}: {}", failure.message);
                        self.warn_of_item(&unit, &text, &mut warned);
                    }
                    if let Unit { step, item: None } = unit
                        && let Some(bar) = running.remove(&step)
                    {
                        bar.finish_and_clear();
                    }
                }
                RunEvent::Settled { unit: unit @ Unit { item: Some(_), .. }, status, .. } => {
                    if let Some(bar) = running.get(&unit.step) {
                        bar.inc(1);
                    }
                    if status == CommitStatus::Failed {
                        self.warn_of_item(&unit, &format!("{unit} failed"), &mut warned);
                    }
                }
                RunEvent::Settled { unit: Unit { step, item: None }, status, seconds, cached_from: _ } => {
                    if let Some(bar) = running.remove(&step) {
                        bar.finish_and_clear();
                    }
                    if self.printer.draws_bars() {
                        let line = settled_line(&self.printer, &step, status, seconds);
                        // A terminal that went away is no reason to stop.
                        let _ = self.bars.println(line);
                    }
                    total.inc(1);
                }
                RunEvent::RunFinished { status: _ } => {}
                RunEvent::Warning { step, message } => match step {
                    Some(step) => self.warn(&format!("{step}: {message}")),
                    None => self.warn(&message),
                },
            }
        }
        for bar in running.into_values() {
            bar.finish_and_clear();
        }
        total.finish_and_clear();
    }

    /// Prints a warning, unless it is about an item and there were many of these.
    fn warn_of_item(&self, unit: &Unit, text: &str, warned: &mut u32) {
        if unit.item.is_some() {
            *warned += 1;
            match (*warned).cmp(&MAX_ITEM_WARNINGS) {
                Ordering::Less => self.warn(text),
                Ordering::Equal => self.warn(&format!("{text} (of further items nothing is said here)")),
                Ordering::Greater => {}
            }
            return;
        }
        self.warn(text);
    }

    /// Prints a warning above the bars.
    pub(crate) fn warn(&self, text: &str) {
        self.line(&format!("{} {text}", self.printer.err.warn("warning:")));
    }
}

fn settled_line(printer: &Printer, step: &StepName, status: CommitStatus, seconds: f64) -> String {
    let style = &printer.err;
    let took = if status == CommitStatus::Cached { String::new() } else { style.dim(units::duration(seconds)) };
    format!("{} {step} {took}", style.paint(status_tone(status), status_text(status, style)))
}

/// Bars on stderr, hidden where nobody looks.
pub(crate) fn bars(printer: &Printer) -> MultiProgress {
    let target = if printer.draws_bars() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    MultiProgress::with_draw_target(target)
}

/// A template of our own is always valid; should one not be, the bar has the default look.
pub(crate) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
