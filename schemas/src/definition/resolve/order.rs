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

impl<'a> Resolver<'a> {
    /// Notes that a step waits for another. False, and a finding, when it can not.
    pub(super) fn wait_for(
        &mut self,
        step: Referrer<'_, 'a>,
        parent: &Peer<'a>,
        span: &Span,
        edges: &mut Edges<'a>,
    ) -> bool {
        let (name, before) = (step.peer.name, parent.name);
        if name == before {
            let message = format!("step {name} waits for itself");
            self.findings.push(Finding::error(Code::Cycle, span, message).label("a step can not need what it makes"));
            return false;
        }
        if parent.finally && !step.peer.finally {
            let message = format!("step {name} waits for {before}, which starts only after all other steps");
            let finding = Finding::error(Code::Cycle, span, message).related(parent.key, "it stands under `finally:`");
            self.findings.push(finding.hint(format!("move {name} under `finally:` as well")));
            return false;
        }
        let waits = edges.entry(name.as_str()).or_default();
        waits.entry(before.as_str()).or_insert_with(|| span.clone());
        true
    }

    /// Notes that a step waits for those under its `after:`.
    pub(super) fn after(&mut self, step: Referrer<'_, 'a>, edges: &mut Edges<'a>) {
        for target in &step.peer.definition.after {
            match step.scope.steps.get(target.value.as_str()) {
                Some(parent) => drop(self.wait_for(step, parent, &target.span, edges)),
                None => self.findings.push(no_step(step.scope, target.value.as_str(), &target.span)),
            }
        }
    }

    /// Reports circles, each once, at the place where its last step refers to its first.
    pub(super) fn check_order(&mut self, scope: &Scope<'_>, edges: &mut Edges<'a>) {
        for _ in 0..MAX_CYCLES {
            let Some(circle) = find_circle(scope, edges) else { return };
            let [parent, step, ..] = circle.as_slice() else { return };
            let Some(span) = edges.get_mut(step.as_str()).and_then(|before| before.remove(parent.as_str())) else {
                return;
            };
            let names: Vec<&str> = circle.iter().map(StepName::as_str).collect();
            let mut finding =
                Finding::error(Code::Cycle, &span, format!("steps wait for each other: {}", names.join(" → ")))
                    .label(format!("{step} waits for {parent} here"));
            if let Some(peer) = scope.steps.get(parent.as_str()) {
                finding = finding.related(peer.key, "the circle goes through this step");
            }
            self.findings.push(finding.hint("take one of these references out"));
        }
    }
}

/// A circle of steps, if there is one. Pipelines as a rule have none, so that this is found out without a graph.
fn find_circle(scope: &Scope<'_>, edges: &Edges<'_>) -> Option<Vec<StepName>> {
    let mut waiting: Vec<&str> = edges.keys().copied().collect();
    loop {
        let left = waiting.len();
        let free = |parent: &&str| !waiting.contains(parent);
        let still: Vec<&str> = waiting
            .iter()
            .copied()
            .filter(|step| edges.get(step).is_some_and(|before| !before.keys().all(free)))
            .collect();
        waiting = still;
        if waiting.is_empty() {
            return None;
        }
        if waiting.len() == left {
            break;
        }
    }
    let parents = scope.steps.values().map(|peer| {
        let before = edges.get(peer.name.as_str()).into_iter().flat_map(BTreeMap::keys);
        let before = before.filter_map(|name| scope.steps.get(name)).map(|peer| peer.name.clone());
        (peer.name.clone(), before.collect::<BTreeSet<_>>())
    });
    match Graph::from_edges(parents.collect()) {
        Err(GraphError::Cycle(circle)) => Some(circle),
        Ok(_) | Err(GraphError::MissingParent { .. }) => None,
    }
}
