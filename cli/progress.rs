//! Progress bars on stderr, for people who watch. Off a terminal nothing is drawn; warnings and failures are always said.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::MultiProgress;
use indicatif::ProgressBar;
use indicatif::ProgressDrawTarget;
use indicatif::ProgressStyle;
use liminal_functions::runner::RunEvent;
use liminal_schemas::name::StepName;
use liminal_schemas::run::CommitStatus;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::printer::Printer;
use crate::render::run_summary::status_text;
use crate::render::run_summary::status_tone;
use crate::render::units;

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// Bars, or nothing.
pub(crate) struct Progress {
    bars: MultiProgress,
    printer: Printer,
}

impl Progress {
    /// Draws on stderr, if that is a terminal and nobody asked for quiet.
    pub(crate) fn new(printer: &Printer) -> Self {
        let target = if printer.draws_bars() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { bars: MultiProgress::with_draw_target(target), printer: printer.clone() }
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
        while let Some(event) = events.recv().await {
            match event {
                RunEvent::StepStarted { step, attempt } => {
                    let again = if attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
                    let bar = running.entry(step.clone()).or_insert_with(|| self.spinner(""));
                    bar.set_message(format!("{step}{again}"));
                }
                RunEvent::AttemptFailed { step, attempt, failure, retry_in } => {
                    if let Some(pause) = retry_in {
                        let pause = units::duration(pause.as_secs_f64());
                        self.warn(&format!(
                            "{step}: attempt {attempt} failed, the next is in {pause}: {}",
                            failure.message
                        ));
                    }
                    if let Some(bar) = running.remove(&step) {
                        bar.finish_and_clear();
                    }
                }
                RunEvent::StepSettled { step, status, seconds, cached_from: _ } => {
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

/// A template of our own is always valid; should one not be, the bar has the default look.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
