//! Parameters: which ones a pipeline has, and which ones nothing uses.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::definition::model::Definition;
use crate::definition::model::PipelineDefinition;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Span;
use crate::name::FieldName;
use crate::release::ParamSpec;

use super::Resolver;
use super::Scope;

/// The parameters of a pipeline: its own, and those of the project that it does not declare anew.
pub(super) fn effective<'a>(
    definition: &'a Definition,
    pipeline: &'a PipelineDefinition,
) -> BTreeMap<&'a FieldName, &'a ParamSpec> {
    let all = definition.params.iter().chain(&pipeline.params);
    all.map(|(name, entry)| (name, &entry.value)).collect()
}

impl Resolver<'_> {
    /// Remembers which parameters the steps use, and warns of those that only this pipeline has and none of them uses.
    pub(super) fn note_used_params(&mut self, scope: &Scope<'_>, used: &BTreeSet<FieldName>) {
        for (name, entry) in &scope.definition.params {
            if !used.contains(name) {
                self.findings.push(unused(name, &entry.key, "no step of this pipeline uses it"));
            }
        }
        for name in used {
            if !self.used.contains(name) {
                self.used.insert(name.clone());
            }
        }
    }

    pub(super) fn warn_of_unused_params(&mut self) {
        if self.definition.pipelines.is_empty() {
            return;
        }
        for (name, entry) in &self.definition.params {
            if !self.used.contains(name) {
                self.findings.push(unused(name, &entry.key, "no step of any pipeline uses it"));
            }
        }
    }
}

fn unused(name: &FieldName, key: &Span, label: &str) -> Finding {
    Finding::warning(Code::Unused, key, format!("parameter {name} has no effect")).label(label).hint(format!(
        "give it to a step: `inputs: {{{name}: params.{name}}}`, or `{{{{ params.{name} }}}}` in an argument"
    ))
}
