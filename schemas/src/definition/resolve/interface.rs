//! What a pipeline leaves for one that contains it.

use std::collections::BTreeMap;

use crate::finding::Code;
use crate::finding::Finding;
use crate::name::FieldName;
use crate::name::StepName;
use crate::step::ArtifactKind;
use crate::step::METRICS_OUTPUT;
use crate::step::OutputRole;

use super::Peer;
use super::Resolver;
use super::Scope;
use super::Sub;
use super::inputs::no_reference;

/// What a pipeline leaves, by the names of its `outputs:`.
#[derive(Default)]
pub(super) struct Interface {
    pub(super) outputs: BTreeMap<FieldName, Offer>,
}

/// An output of a step, or of a pipeline that stands for one.
#[derive(Clone)]
pub(super) struct Offer {
    /// The step that makes it, as seen from the pipeline in question.
    pub(super) step: StepName,
    /// Its output.
    pub(super) output: FieldName,
    pub(super) kind: ArtifactKind,
    pub(super) role: OutputRole,
}

impl Peer<'_> {
    /// An output of the step.
    pub(super) fn offer(&self, output: &str) -> Option<Offer> {
        if let Sub::Known(interface) = &self.sub {
            let offer = interface.outputs.get(output)?;
            return Some(Offer { step: self.name.inner(&offer.step).ok()?, ..offer.clone() });
        }
        let found = self.outputs.iter().find(|known| known.name.as_str() == output)?;
        // All that a step leaves for its items is a directory.
        let kind = if self.definition.map.is_some() { ArtifactKind::Directory } else { found.kind() };
        Some(Offer { step: self.name.clone(), output: found.name.clone(), kind, role: found.role })
    }

    /// The names of its outputs.
    pub(super) fn output_names(&self) -> Vec<&str> {
        match &self.sub {
            Sub::Known(interface) => interface.outputs.keys().map(FieldName::as_str).collect(),
            Sub::None | Sub::Broken => self.outputs.iter().map(|output| output.name.as_str()).collect(),
        }
    }
}

impl Resolver<'_> {
    /// What the pipeline of a scope leaves.
    pub(super) fn interface(&mut self, scope: &Scope<'_>) -> Interface {
        let mut interface = Interface::default();
        for (name, entry) in &scope.definition.outputs {
            let (text, span) = (entry.value.value.as_str(), &entry.value.span);
            let found = text.split_once('.').and_then(|(step, output)| Some((scope.steps.get(step)?, output)));
            let Some((peer, output)) = found else {
                self.findings.push(no_reference(scope, text, span));
                continue;
            };
            if matches!(peer.sub, Sub::Broken) {
                continue;
            }
            let Some(offer) = peer.offer(output) else {
                self.findings.push(super::inputs::no_output(peer, output, span));
                continue;
            };
            if peer.finally {
                let message =
                    format!("step {} stands under `finally:`, so that nothing can wait for what it leaves", peer.name);
                self.findings
                    .push(Finding::error(Code::InvalidValue, span, message).related(peer.key, "the step is here"));
                continue;
            }
            if name.as_str() == METRICS_OUTPUT && offer.role != OutputRole::Metrics {
                let message = format!("the output `{METRICS_OUTPUT}` of a pipeline is the metrics file of a step");
                let finding = Finding::error(Code::InvalidValue, span, message);
                self.findings.push(
                    finding.hint(format!("write `{METRICS_OUTPUT}: STEP.{METRICS_OUTPUT}`, or give it another name")),
                );
                continue;
            }
            interface.outputs.insert(name.clone(), offer);
        }
        interface
    }
}
