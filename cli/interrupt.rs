//! Ctrl-C and SIGTERM: the first asks politely, the second insists.

use liminal_functions::executor::Stop;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::watch;

use crate::error::CliError;
use crate::error::While as _;
use crate::printer::Printer;

/// What is said when the first signal asks steps on this machine to end.
pub(crate) const ENDS_STEPS: &str =
    "Stopping: what is under way is asked to end, and has a few seconds for it. Once more ends it at once.";

/// What is said when the first signal ends the watching of a run that others carry forward.
pub(crate) const ENDS_WATCHING: &str = "The run is not watched any longer.";

/// What is said when the first signal ends what stands in for a service.
pub(crate) const ENDS_TASKS: &str = "Stopping: tasks that run are ended.";

/// What is said when the first signal ends an apply.
pub(crate) const ENDS_APPLY: &str = "Stopping: what is under way is finished and recorded, and nothing new begins.";

/// Listens for signals from now on, and passes on what they ask for. `first` is said when the first one comes.
pub(crate) fn listen(printer: &Printer, first: &'static str) -> Result<watch::Receiver<Stop>, CliError> {
    let (sender, receiver) = watch::channel(Stop::No);
    let mut interrupts = open(SignalKind::interrupt())?;
    let mut terminations = open(SignalKind::terminate())?;
    let printer = printer.clone();
    tokio::spawn(async move {
        for stop in [Stop::Gracefully, Stop::Now] {
            tokio::select! {
                _ = interrupts.recv() => {}
                _ = terminations.recv() => {}
            }
            if stop == Stop::Gracefully {
                printer.say(&format!("\n{first}"));
            }
            if sender.send(stop).is_err() {
                break;
            }
        }
    });
    Ok(receiver)
}

fn open(kind: SignalKind) -> Result<Signal, CliError> {
    signal(kind).or_failed(|| "signals can not be listened for".to_owned())
}
