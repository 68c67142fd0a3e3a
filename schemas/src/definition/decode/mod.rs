//! From the tree to the definition. Decoding goes on after every problem, so that one report has them all.

mod action;
mod aws;
mod environment;
mod fields;
pub(crate) mod keys;
mod map;
mod params;
mod params_file;
mod paths;
mod pipeline;
mod policies;
mod project;
mod run_line;
mod scalars;
mod schedule;
mod secrets;
mod settings;
mod step;
mod triggers;
mod units;

pub(super) use environment::EnvironmentSpec;
pub(super) use environment::all_environments;
pub(super) use environment::environment;
pub(super) use environment::environments;
pub(super) use environment::make_from_template;
pub(super) use environment::overlay_shape;
pub(super) use fields::shorten;
pub use params_file::params_file;
pub(super) use paths::normal as normal_path;
pub(super) use paths::problem_with as path_problem;
pub(super) use project::included;
pub(super) use project::project;
pub(super) use project::project_name;
pub use secrets::SecretProblem;
pub use secrets::secret_reference;

use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Span;

/// More findings than this help nobody; the rest is not told.
pub(super) const MAX_FINDINGS: usize = 200;

/// The most items that a list may have.
pub(super) const MAX_ITEMS: usize = 500;

/// The most steps that a pipeline may have.
pub(super) const MAX_STEPS: usize = 1000;

/// What decoding collects.
#[derive(Debug, Default)]
pub(super) struct Context {
    /// The problems so far.
    pub(super) findings: Vec<Finding>,
    /// Whether something was left out that others may refer to.
    incomplete: bool,
    /// Whether this is a part of a definition that is laid over another, so that nothing in it must be there.
    partial: bool,
}

impl Context {
    /// For a part that is laid over a definition.
    pub(super) fn part() -> Self {
        Self { partial: true, ..Self::default() }
    }

    /// Whether a definition has all that others may refer to, though it may have other faults.
    pub(super) const fn is_complete(&self) -> bool {
        !self.incomplete
    }

    /// Whether further findings would not be told.
    fn is_full(&self) -> bool {
        self.findings.len() >= MAX_FINDINGS
    }

    /// Adds a finding about a value that can be left out.
    fn push(&mut self, finding: Finding) {
        if self.is_full() {
            self.incomplete = true;
        } else {
            self.findings.push(finding);
        }
    }

    /// Adds a finding about something that others may refer to.
    fn lose(&mut self, finding: Finding) {
        self.incomplete = true;
        self.push(finding);
    }

    /// Decodes something that nothing else refers to: what is lost of it keeps no reference from being followed.
    fn unreferenced<T>(&mut self, decode: impl FnOnce(&mut Self) -> T) -> T {
        let incomplete = self.incomplete;
        let decoded = decode(self);
        self.incomplete = incomplete || self.is_full();
        decoded
    }

    /// Adds a finding that a value is not allowed.
    fn invalid(&mut self, span: &Span, message: impl Into<String>, hint: &str) {
        self.push(Finding::error(Code::InvalidValue, span, message).hint(hint));
    }
}
