//! A project's definition in one go: read and resolved.

use super::model::Definition;
use super::read;
use super::resolve;
use super::resolve::Resolved;
use crate::files::ProjectFiles;
use crate::finding::Report;
use crate::name::EnvironmentName;

/// A definition that is fit for use.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The definition as it is written.
    pub definition: Definition,
    /// The same with nothing left to look up.
    pub resolved: Resolved,
    /// Warnings, with the sources that they point into.
    pub report: Report,
}

/// Reads and resolves a project's definition for an environment; see [`read::read`] for the defaults.
///
/// # Errors
/// All that is wrong with it, in one report.
pub fn load(
    files: &dyn ProjectFiles,
    root: &str,
    environment: Option<&EnvironmentName>,
) -> Result<Loaded, Box<Report>> {
    let (definition, mut report) = read::read(files, root, environment);
    let Some(definition) = definition else { return Err(Box::new(report)) };
    match resolve::resolve(&definition, files, &mut report) {
        Some(resolved) if !report.has_errors() => Ok(Loaded { definition, resolved, report }),
        Some(_) | None => Err(Box::new(report)),
    }
}
