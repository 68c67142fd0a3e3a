//! Outputs: what a step leaves, and that no two of them clash.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::definition::model::ActionDefinition;
use crate::definition::model::StepDefinition;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Span;
use crate::finding::Spanned;
use crate::name::FieldName;
use crate::name::StepName;
use crate::step::ArtifactKind;
use crate::step::METRICS_OUTPUT;
use crate::step::OutputRole;
use crate::step::OutputSpec;

use super::Resolver;

/// File types that a plot can be shown from.
const PLOT_TYPES: [&str; 7] = ["png", "svg", "jpg", "jpeg", "html", "json", "pdf"];

/// An output as written, of whichever kind.
struct Written<'a> {
    name: FieldName,
    role: OutputRole,
    path: &'a Spanned<String>,
    /// Where its name was written.
    key: &'a Span,
}

fn written(step: &StepDefinition) -> Vec<Written<'_>> {
    match step.action {
        ActionDefinition::Run(_) | ActionDefinition::Call(_) => {}
        ActionDefinition::Gate(_) | ActionDefinition::Register(_) => return Vec::new(),
    }
    let mut all: Vec<Written<'_>> = Vec::new();
    for (outputs, role) in [(&step.outputs, OutputRole::Data), (&step.plots, OutputRole::Plot)] {
        all.extend(outputs.iter().map(|(name, entry)| Written {
            name: name.clone(),
            role,
            path: &entry.value,
            key: &entry.key,
        }));
    }
    if let (Some(path), Ok(name)) = (&step.metrics, FieldName::new(METRICS_OUTPUT)) {
        all.push(Written { name, role: OutputRole::Metrics, path, key: &path.span });
    }
    all
}

/// The names under which a step's outputs are known to others.
pub(super) fn names(step: &StepDefinition) -> BTreeSet<FieldName> {
    written(step).into_iter().map(|output| output.name).collect()
}

impl Resolver<'_> {
    pub(super) fn outputs(&mut self, step: &StepName, definition: &StepDefinition) -> BTreeMap<FieldName, OutputSpec> {
        let written = written(definition);
        self.check_outputs(step, &written);
        let spec = |output: Written<'_>| {
            let path = output.path.value.as_str();
            let kind = if path.ends_with('/') { ArtifactKind::Directory } else { ArtifactKind::File };
            let path = path.trim_end_matches('/').to_owned();
            (output.name, OutputSpec { path, kind, role: output.role })
        };
        written.into_iter().map(spec).collect()
    }

    fn check_outputs(&mut self, step: &StepName, outputs: &[Written<'_>]) {
        let mut names: BTreeMap<&FieldName, &Written<'_>> = BTreeMap::new();
        for output in outputs {
            if let Some(other) = names.insert(&output.name, output) {
                let message = format!("step {step} has two outputs named `{}`", output.name);
                let finding = Finding::error(Code::DuplicateOutput, output.key, message);
                self.findings.push(finding.related(other.key, "the other one is here"));
            }
            self.check_output_path(output);
        }
        // Compared without regard to case, since some file systems do not tell it apart; by parts, so that what is
        // inside a folder comes right behind it.
        let mut paths: Vec<(Vec<String>, &Written<'_>)> = outputs
            .iter()
            .map(|output| {
                (output.path.value.to_lowercase().trim_end_matches('/').split('/').map(str::to_owned).collect(), output)
            })
            .collect();
        paths.sort_by(|(a, _), (b, _)| a.cmp(b));
        for pair in paths.windows(2) {
            let [(outer_parts, outer), (inner_parts, inner)] = pair else { continue };
            if !inner_parts.starts_with(outer_parts) {
                continue;
            }
            let (outer_path, inner_path) = (outer.path.value.as_str(), inner.path.value.as_str());
            let message = if outer_path == inner_path {
                format!("outputs `{}` and `{}` of step {step} are both `{inner_path}`", outer.name, inner.name)
            } else if outer_parts == inner_parts {
                format!("`{outer_path}` and `{inner_path}` are the same place on some machines")
            } else {
                format!("output `{}` of step {step} lies inside output `{}`", inner.name, outer.name)
            };
            let finding = Finding::error(Code::DuplicateOutput, &inner.path.span, message);
            self.findings.push(finding.related(&outer.path.span, "the other one is here"));
        }
    }

    fn check_output_path(&mut self, output: &Written<'_>) {
        let path = output.path.value.as_str();
        let span = &output.path.span;
        match output.role {
            OutputRole::Data => {}
            OutputRole::Metrics if path.ends_with('/') => {
                let message = "metrics are one JSON file, not a folder";
                self.findings
                    .push(Finding::error(Code::InvalidValue, span, message).hint("write `metrics: metrics.json`"));
            }
            OutputRole::Metrics => {}
            OutputRole::Plot => {
                let extension =
                    path.rsplit('/').next().and_then(|file| file.rsplit_once('.')).map(|(_, extension)| extension);
                if !extension.is_some_and(|extension| PLOT_TYPES.contains(&extension.to_lowercase().as_str())) {
                    let message = format!("plot `{}` is of no type that can be shown", output.name);
                    let finding = Finding::warning(Code::InvalidValue, span, message);
                    self.findings.push(finding.hint(format!("types that can: {}", PLOT_TYPES.join(", "))));
                }
            }
        }
    }
}
