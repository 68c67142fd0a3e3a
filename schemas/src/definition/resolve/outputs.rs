//! Outputs: what a step leaves, and that no two of them clash.

use std::collections::BTreeMap;
use std::sync::LazyLock;

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
pub(super) struct Written<'a> {
    pub(super) name: &'a FieldName,
    pub(super) role: OutputRole,
    path: &'a Spanned<String>,
    /// Where its name was written.
    key: &'a Span,
}

impl Written<'_> {
    /// A file, or a directory.
    pub(super) fn kind(&self) -> ArtifactKind {
        if self.path.value.ends_with('/') { ArtifactKind::Directory } else { ArtifactKind::File }
    }
}

/// The name of the metrics output, which is written nowhere.
static METRICS: LazyLock<Option<FieldName>> = LazyLock::new(|| FieldName::new(METRICS_OUTPUT).ok());

/// The outputs of a step, by whichever key they are declared.
pub(super) fn written(step: &StepDefinition) -> Vec<Written<'_>> {
    match step.action {
        ActionDefinition::Run(_) | ActionDefinition::Call(_) => {}
        ActionDefinition::Gate(_) | ActionDefinition::Register(_) | ActionDefinition::Pipeline(_) => return Vec::new(),
    }
    let mut all: Vec<Written<'_>> = Vec::new();
    for (outputs, role) in [(&step.outputs, OutputRole::Data), (&step.plots, OutputRole::Plot)] {
        all.extend(outputs.iter().map(|(name, entry)| Written { name, role, path: &entry.value, key: &entry.key }));
    }
    if let (Some(path), Some(name)) = (&step.metrics, METRICS.as_ref()) {
        all.push(Written { name, role: OutputRole::Metrics, path, key: &path.span });
    }
    all
}

impl Resolver<'_> {
    pub(super) fn outputs(&mut self, step: &StepName, outputs: &[Written<'_>]) -> BTreeMap<FieldName, OutputSpec> {
        self.check_outputs(step, outputs);
        let spec = |output: &Written<'_>| {
            let path = output.path.value.as_str();
            let kind = output.kind();
            let path = path.trim_end_matches('/').to_owned();
            (output.name.clone(), OutputSpec { path, kind, role: output.role })
        };
        outputs.iter().map(spec).collect()
    }

    fn check_outputs(&mut self, step: &StepName, outputs: &[Written<'_>]) {
        let mut names: BTreeMap<&FieldName, &Written<'_>> = BTreeMap::new();
        for output in outputs {
            if let Some(other) = names.insert(output.name, output) {
                let message = format!("step {step} has two outputs named `{}`", output.name);
                let finding = Finding::error(Code::DuplicateOutput, output.key, message);
                self.findings.push(finding.related(other.key, "the other one is here"));
            }
            self.check_output_path(output);
        }
        // Compared without regard to case, since some file systems do not tell it apart, and with `/` before all other
        // characters, so that what is inside a folder comes right behind it.
        let mut paths: Vec<(String, &Written<'_>)> = outputs
            .iter()
            .map(|output| (output.path.value.trim_end_matches('/').to_lowercase().replace('/', "\0"), output))
            .collect();
        paths.sort_by(|(a, _), (b, _)| a.cmp(b));
        for pair in paths.windows(2) {
            let [(outer_key, outer), (inner_key, inner)] = pair else { continue };
            if !inner_key.strip_prefix(outer_key.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('\0'))
            {
                continue;
            }
            let (outer_path, inner_path) = (outer.path.value.as_str(), inner.path.value.as_str());
            let message = if outer_path == inner_path {
                format!("outputs `{}` and `{}` of step {step} are both `{inner_path}`", outer.name, inner.name)
            } else if outer_key == inner_key {
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
