//! The one error of the terminal: what failed, why, and what to try. Library errors come in here and are rendered once.

use std::error::Error;
use std::fmt::Write as _;

use liminal_functions::causes::in_full;
use liminal_schemas::run::Failure;

use crate::exit_code::ExitCode;
use crate::render::style::Style;

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(crate) struct CliError {
    /// Which exit code it leads to.
    pub(crate) exit: ExitCode,
    /// What failed.
    message: String,
    /// Why, outermost first.
    causes: Vec<String>,
    /// What to try, one a line.
    hints: Vec<String>,
    /// Whether everything has been said already, as after a report of findings.
    silent: bool,
}

/// What a command gives back.
pub(crate) type CommandResult = Result<ExitCode, CliError>;

impl CliError {
    /// Something failed, for a reason that the message holds.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { exit: ExitCode::Error, message: message.into(), causes: Vec::new(), hints: Vec::new(), silent: false }
    }

    /// Something failed because of an error, whose chain of sources is kept.
    pub(crate) fn because(message: impl Into<String>, error: &dyn Error) -> Self {
        let mut result = Self::new(message);
        let mut next = Some(error);
        while let Some(error) = next {
            result.causes.push(error.to_string());
            next = error.source();
        }
        result
    }

    /// Adds an error as a reason, with its chain of sources.
    pub(crate) fn cause(mut self, error: &dyn Error) -> Self {
        self.causes.push(in_full(error));
        self
    }

    /// Something failed as a step would.
    pub(crate) fn from_failure(failure: Failure) -> Self {
        let error = Self::new(failure.message);
        if failure.detail.is_empty() { error } else { error.hint(failure.detail) }
    }

    /// All has been said already; only the exit code is left.
    pub(crate) fn said(exit: ExitCode) -> Self {
        Self { exit, silent: true, ..Self::new("") }
    }

    /// Adds something to try.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Sets the exit code.
    pub(crate) fn exit(mut self, exit: ExitCode) -> Self {
        self.exit = exit;
        self
    }

    /// The message and its causes in one line.
    pub(crate) fn summary(&self) -> String {
        let parts: Vec<&str> =
            std::iter::once(self.message.as_str()).chain(self.causes.iter().map(String::as_str)).collect();
        parts.join(": ")
    }

    /// The message for people, with a line break at its end; empty when all has been said.
    pub(crate) fn render(&self, style: &Style) -> String {
        if self.silent {
            return String::new();
        }
        let mut text = format!("{} {}\n", style.bad("error:"), self.message);
        for cause in &self.causes {
            let _ = writeln!(text, "  {} {}", style.dim("because:"), cause.replace('\n', "\n           "));
        }
        for hint in &self.hints {
            let _ = writeln!(text, "   {} {}", style.good("hint:"), hint.replace('\n', "\n         "));
        }
        text
    }
}

/// Turns a library's error into a [`CliError`] with a message of what was being done.
pub(crate) trait While<T> {
    /// Says what failed.
    fn or_failed(self, message: impl FnOnce() -> String) -> Result<T, CliError>;
}

impl<T, E: Error + 'static> While<T> for Result<T, E> {
    fn or_failed(self, message: impl FnOnce() -> String) -> Result<T, CliError> {
        self.map_err(|error| CliError::because(message(), &error))
    }
}
