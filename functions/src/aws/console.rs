//! What the runner says about itself: on standard error, which becomes the function's or the task's log.

use std::io;
use std::io::Write as _;

use liminal_schemas::name::StepName;
use tokio::sync::mpsc;

use crate::runner::Events;
use crate::runner::RunEvent;

/// Says one line. Nobody listening is no error.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr(), "liminal: {line}");
}

/// Events of a run that become lines.
pub fn events() -> Events {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(event) = receiver.recv().await {
            say(&line(&event));
        }
    });
    Events::to(sender)
}

fn line(event: &RunEvent) -> String {
    match event {
        RunEvent::Started { unit, attempt } => format!("{unit}: attempt {attempt} begins"),
        RunEvent::AttemptFailed { unit, attempt, failure, retry_in } => {
            let next = retry_in.map_or_else(String::new, |pause| format!("; the next one begins in {pause:.1?}"));
            format!("{unit}: attempt {attempt} failed ({}): {}{next}", failure.class, failure.message)
        }
        RunEvent::Expanded { step, items } => format!("{step}: {items} items"),
        RunEvent::Advanced { step, settled } => format!("{step}: {settled} items are settled"),
        RunEvent::Settled { unit, status, seconds, cached_from } => {
            let from = cached_from.as_ref().map_or_else(String::new, |run| format!(", from run {run}"));
            format!("{unit}: {status} after {seconds:.1} s{from}")
        }
        RunEvent::RunFinished { status } => format!("the run {status}"),
        RunEvent::Warning { step, message } => {
            format!(
                "warning: {}{message}",
                step.as_ref().map_or_else(String::new, |step: &StepName| format!("{step}: "))
            )
        }
    }
}
