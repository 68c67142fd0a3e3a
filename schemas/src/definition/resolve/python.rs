//! Python settings, laid over each other part by part.

use crate::definition::model::PythonSettings;
use crate::definition::model::StepDefinition;
use crate::finding::Spanned;

use super::Resolver;
use super::Scope;

/// The Python settings of one step.
#[derive(Clone, Copy)]
pub(super) struct Python<'a> {
    pub(super) version: Option<&'a Spanned<String>>,
    pub(super) requirements: Option<&'a Spanned<String>>,
    /// The folder that Python imports from, without a `/` at its end; empty for the project.
    pub(super) root: &'a str,
    pub(super) code: &'a [Spanned<String>],
}

impl<'a> Resolver<'a> {
    pub(super) fn python(&self, scope: &Scope<'a>, step: &'a StepDefinition) -> Python<'a> {
        let levels: [&'a PythonSettings; 3] = [&step.python, &scope.definition.python, &self.definition.python];
        let root = levels.iter().find_map(|level| level.root.as_ref()).map_or("", |root| root.value.as_str());
        Python {
            version: levels.iter().find_map(|level| level.version.as_ref()),
            requirements: levels.iter().find_map(|level| level.requirements.as_ref()),
            root: super::files::trimmed(root),
            code: levels.iter().find_map(|level| level.code.as_deref()).unwrap_or_default(),
        }
    }
}
