//! The order of steps: who waits for whom, and that no one waits for ever.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Span;
use crate::graph::Graph;
use crate::graph::GraphError;
use crate::name::StepName;

use super::Edges;
use super::Peer;
use super::Resolver;
use super::Scope;
use super::inputs::Referrer;
use super::inputs::no_step;

/// How many circles of one pipeline are reported.
const MAX_CYCLES: usize = 20;

impl Resolver<'_> {
    /// Notes that a step waits for another. False, and a finding, when it can not.
    pub(super) fn wait_for(
        &mut self,
        step: Referrer<'_, '_>,
        (parent, peer): (&StepName, &Peer<'_>),
        span: &Span,
        edges: &mut Edges,
    ) -> bool {
        if parent == step.name {
            let message = format!("step {parent} waits for itself");
            self.findings.push(Finding::error(Code::Cycle, span, message).label("a step can not need what it makes"));
            return false;
        }
        if peer.finally && !step.peer.finally {
            let message = format!("step {} waits for {parent}, which starts only after all other steps", step.name);
            let finding = Finding::error(Code::Cycle, span, message).related(peer.key, "it stands under `finally:`");
            self.findings.push(finding.hint(format!("move {} under `finally:` as well", step.name)));
            return false;
        }
        edges.entry(step.name.clone()).or_default().entry(parent.clone()).or_insert_with(|| span.clone());
        true
    }

    pub(super) fn after(&mut self, step: Referrer<'_, '_>, edges: &mut Edges) -> BTreeSet<StepName> {
        let mut after = BTreeSet::new();
        for target in &step.peer.definition.after {
            match step.scope.step(target.value.as_str()) {
                Some((name, peer)) => {
                    if self.wait_for(step, (name, peer), &target.span, edges) {
                        after.insert(target.value.clone());
                    }
                }
                None => self.findings.push(no_step(step.scope, target.value.as_str(), &target.span)),
            }
        }
        after
    }

    /// Reports circles, each once, at the place where its last step refers to its first.
    pub(super) fn check_order(&mut self, scope: &Scope<'_>, mut edges: Edges) {
        for _ in 0..MAX_CYCLES {
            let parents: BTreeMap<StepName, BTreeSet<StepName>> = scope
                .steps
                .keys()
                .map(|name| ((*name).clone(), edges.get(*name).into_iter().flat_map(BTreeMap::keys).cloned().collect()))
                .collect();
            let Err(GraphError::Cycle(circle)) = Graph::from_edges(parents) else { return };
            let [parent, step, ..] = circle.as_slice() else { return };
            let Some(span) = edges.get_mut(step).and_then(|before| before.remove(parent)) else { return };
            let names: Vec<&str> = circle.iter().map(StepName::as_str).collect();
            let mut finding =
                Finding::error(Code::Cycle, &span, format!("steps wait for each other: {}", names.join(" → ")))
                    .label(format!("{step} waits for {parent} here"));
            if let Some(peer) = scope.steps.get(parent) {
                finding = finding.related(peer.key, "the circle goes through this step");
            }
            self.findings.push(finding.hint("take one of these references out"));
        }
    }
}
