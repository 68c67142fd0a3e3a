//! Failures of attempts, in words for the person whose step it is.

use std::io;

use liminal_schemas::run::Failure;
use liminal_schemas::step::FailureClass;

/// The step's own fault.
pub fn user(message: impl Into<String>) -> Failure {
    plain(FailureClass::User, message.into())
}

/// The machine's fault.
pub fn infrastructure(doing: &str, error: &io::Error) -> Failure {
    plain(FailureClass::Infrastructure, format!("{doing} failed: {error}"))
}

/// What trying again can not mend.
pub fn poison(message: impl Into<String>) -> Failure {
    plain(FailureClass::Poison, message.into())
}

fn plain(class: FailureClass, message: String) -> Failure {
    Failure { class, message, exit_code: None, signal: None, detail: String::new() }
}

/// Adds a line of advice.
#[must_use]
pub fn with_hint(mut failure: Failure, hint: &str) -> Failure {
    add_line(&mut failure, &format!("hint: {hint}"));
    failure
}

/// Adds a line of liminal's own below what the step printed.
pub fn add_line(failure: &mut Failure, line: &str) {
    if !failure.detail.is_empty() {
        failure.detail.push('\n');
    }
    failure.detail.push_str(line);
}

/// The name of a signal, as in `SIGSEGV`.
pub fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

/// What a failed step's output says about the rules that it ran into.
pub fn hints_from_output(tail: &str, sandboxed: bool) -> Vec<&'static str> {
    let mut hints = Vec::new();
    if sandboxed && (tail.contains("Permission denied") || tail.contains("Read-only file system")) {
        hints.push("a step may write only below its work folder (LIMINAL_WORK), and to /dev; its inputs and code are read-only");
    }
    if tail.contains("can't open file") && tail.contains("No such file or directory") {
        hints.push("a step sees only the files of its package: name others under `code:`");
    }
    hints
}
