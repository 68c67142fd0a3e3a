//! The graph of a pipeline's steps: who waits for whom, in an order that is the same every time.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::name::StepName;
use crate::step::StepSpec;

/// The steps of a release as a directed acyclic graph.
#[derive(Clone, Debug)]
pub struct Graph {
    parents: BTreeMap<StepName, BTreeSet<StepName>>,
    children: BTreeMap<StepName, BTreeSet<StepName>>,
    order: Vec<StepName>,
}

/// Why steps form no graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// A step waits for one that does not exist.
    #[error("step {step} waits for {missing}, which does not exist")]
    MissingParent {
        /// The step that waits.
        step: StepName,
        /// What it waits for.
        missing: StepName,
    },
    /// Steps wait for each other in a circle. The first is named again at the end.
    #[error("steps wait for each other: {}", .0.iter().map(StepName::as_str).collect::<Vec<_>>().join(" → "))]
    Cycle(Vec<StepName>),
}

impl Graph {
    /// Builds the graph. Steps under `finally:` also wait for every step that is not.
    pub fn new(steps: &BTreeMap<StepName, StepSpec>) -> Result<Self, GraphError> {
        let body: BTreeSet<StepName> =
            steps.iter().filter(|(_, spec)| !spec.finally).map(|(name, _)| name.clone()).collect();
        let edges = steps.iter().map(|(name, spec)| {
            let mut parents: BTreeSet<StepName> = spec.parents().into_iter().cloned().collect();
            if spec.finally {
                parents.extend(body.iter().cloned());
            }
            (name.clone(), parents)
        });
        Self::from_edges(edges.collect())
    }

    /// Builds a graph from the parents of each step.
    pub fn from_edges(parents: BTreeMap<StepName, BTreeSet<StepName>>) -> Result<Self, GraphError> {
        let mut children: BTreeMap<StepName, BTreeSet<StepName>> =
            parents.keys().map(|name| (name.clone(), BTreeSet::new())).collect();
        for (step, before) in &parents {
            for parent in before {
                let Some(set) = children.get_mut(parent) else {
                    return Err(GraphError::MissingParent { step: step.clone(), missing: parent.clone() });
                };
                set.insert(step.clone());
            }
        }
        let order = sort(&parents, &children)?;
        Ok(Self { parents, children, order })
    }

    /// All steps, each after those it waits for; by name where that leaves a choice.
    pub fn order(&self) -> &[StepName] {
        &self.order
    }

    /// The steps that a step waits for.
    pub fn parents(&self, step: &StepName) -> impl Iterator<Item = &StepName> {
        self.parents.get(step).into_iter().flatten()
    }

    /// The steps that wait for a step.
    pub fn children(&self, step: &StepName) -> impl Iterator<Item = &StepName> {
        self.children.get(step).into_iter().flatten()
    }

    /// The steps that wait for a step, directly or not, without the step itself.
    pub fn descendants(&self, step: &StepName) -> BTreeSet<&StepName> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&StepName> = self.children(step).collect();
        while let Some(next) = open.pop() {
            if found.insert(next) {
                open.extend(self.children(next));
            }
        }
        found
    }

    /// How far each step is from the start: 0 for a step without parents, else one more than its deepest parent.
    pub fn depths(&self) -> BTreeMap<&StepName, usize> {
        let mut depths: BTreeMap<&StepName, usize> = BTreeMap::new();
        for step in &self.order {
            let depth = self.parents(step).filter_map(|parent| depths.get(parent)).max().map_or(0, |depth| depth + 1);
            depths.insert(step, depth);
        }
        depths
    }
}

/// Kahn's algorithm over ordered sets; what is left over holds a cycle.
fn sort(
    parents: &BTreeMap<StepName, BTreeSet<StepName>>,
    children: &BTreeMap<StepName, BTreeSet<StepName>>,
) -> Result<Vec<StepName>, GraphError> {
    let mut waiting: BTreeMap<&StepName, usize> = parents.iter().map(|(step, before)| (step, before.len())).collect();
    let mut ready: BTreeSet<&StepName> =
        waiting.iter().filter(|(_, count)| **count == 0).map(|(step, _)| *step).collect();
    let mut order = Vec::with_capacity(parents.len());
    while let Some(step) = ready.pop_first() {
        order.push(step.clone());
        waiting.remove(step);
        for child in children.get(step).into_iter().flatten() {
            if let Some(count) = waiting.get_mut(child) {
                *count -= 1;
                if *count == 0 {
                    ready.insert(child);
                }
            }
        }
    }
    match waiting.keys().next() {
        None => Ok(order),
        Some(start) => Err(GraphError::Cycle(find_cycle(start, parents, &waiting))),
    }
}

/// Walks from parent to parent among the steps that are left, until one comes up again.
fn find_cycle(
    start: &StepName,
    parents: &BTreeMap<StepName, BTreeSet<StepName>>,
    left: &BTreeMap<&StepName, usize>,
) -> Vec<StepName> {
    let mut path = vec![start.clone()];
    let mut here = start;
    // Every step that is left has a parent that is left, so the walk ends only by coming round.
    while let Some(parent) = parents.get(here).into_iter().flatten().find(|parent| left.contains_key(parent)) {
        if let Some(first) = path.iter().position(|seen| seen == parent) {
            path.drain(..first);
            break;
        }
        path.push(parent.clone());
        here = parent;
    }
    path.reverse();
    if let Some(first) = path.first().cloned() {
        path.push(first);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &[&str])]) -> Result<Graph, GraphError> {
        let name = |text: &str| StepName::new(text).expect("a test writes valid names");
        Graph::from_edges(
            edges.iter().map(|(step, parents)| (name(step), parents.iter().map(|p| name(p)).collect())).collect(),
        )
    }

    fn names<'a>(steps: impl IntoIterator<Item = &'a StepName>) -> Vec<&'a str> {
        steps.into_iter().map(StepName::as_str).collect()
    }

    #[test]
    fn order_puts_parents_first_and_breaks_ties_by_name() {
        let graph = graph(&[("z", &[]), ("join", &["b", "a"]), ("a", &["z"]), ("b", &["z"])]).expect("no cycle");
        assert_eq!(names(graph.order()), ["z", "a", "b", "join"]);
        assert_eq!(names(graph.descendants(&StepName::new("z").expect("valid"))), ["a", "b", "join"]);
    }

    #[test]
    fn a_cycle_is_named_in_full() {
        let error = graph(&[("a", &["c"]), ("b", &["a"]), ("c", &["b"]), ("d", &["a"])]).expect_err("a cycle");
        assert_eq!(error.to_string(), "steps wait for each other: b → c → a → b");
        let own = graph(&[("a", &["a"])]).expect_err("a cycle");
        assert_eq!(own.to_string(), "steps wait for each other: a → a");
    }

    #[test]
    fn a_parent_that_does_not_exist_is_named() {
        let error = graph(&[("a", &["ghost"])]).expect_err("missing");
        assert_eq!(error.to_string(), "step a waits for ghost, which does not exist");
    }
}
