//! A pipeline as a picture: what all forms show is decided here, once.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::graph::Graph;
use liminal_schemas::map::MapSpec;
use liminal_schemas::name::StepName;
use liminal_schemas::release::Release;
use liminal_schemas::step::Action;
use liminal_schemas::step::InputSource;
use liminal_schemas::step::Phase;
use liminal_schemas::step::StepSpec;
use serde::Serialize;

use super::style::one_line;

mod dot;
mod json;
mod layout;
mod mermaid;
mod svg;
mod text;

pub(crate) use dot::dot;
pub(crate) use mermaid::mermaid;
pub(crate) use svg::svg;
pub(crate) use text::text;

/// A pipeline's steps and what connects them. Serialised, it is the JSON form.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    /// The project.
    pub project: String,
    /// The pipeline.
    pub pipeline: String,
    /// The steps, each after those it waits for.
    pub steps: Vec<Node>,
    /// What connects them.
    pub edges: Vec<Edge>,
}

/// A step in a picture.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Node {
    /// Its name.
    pub name: String,
    /// Its phase.
    pub phase: Option<Phase>,
    /// Which kind of step it is.
    pub kind: NodeKind,
    /// What it does, in few words.
    pub does: String,
    /// Whether it runs when all others are settled.
    pub finally: bool,
    /// The condition under which it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

/// The kinds of steps that look different.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NodeKind {
    /// A program or a function.
    Work,
    /// A gate.
    Gate,
    /// A registration of a model.
    Register,
}

/// A connection of two steps, by their places in [`Picture::steps`].
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    /// The step that comes first.
    pub from: usize,
    /// The step that waits.
    pub to: usize,
    /// Why it waits.
    pub kind: EdgeKind,
    /// What it is given: names of outputs, or `metrics`.
    pub items: Vec<String>,
}

/// Why a step waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EdgeKind {
    /// For what it makes.
    Data,
    /// For its end alone.
    Order,
    /// Because it is a `finally:` step, and that one is among the last of all others.
    Finally,
}

impl Picture {
    /// The picture of a release.
    pub(crate) fn new(release: &Release) -> Self {
        let order: Vec<StepName> = match Graph::new(&release.steps) {
            Ok(graph) => graph.order().to_vec(),
            Err(_) => release.steps.keys().cloned().collect(),
        };
        let place: BTreeMap<&StepName, usize> = order.iter().zip(0..).collect();
        let specs: Vec<&StepSpec> = order.iter().filter_map(|step| release.steps.get(step)).collect();
        let mut edges = Vec::new();
        for (to, spec) in specs.iter().enumerate() {
            let mut given: BTreeMap<&StepName, BTreeSet<String>> = BTreeMap::new();
            for source in spec.inputs.values() {
                if let InputSource::Output { step, output } = source {
                    given.entry(step).or_default().insert(output.to_string());
                }
            }
            for step in spec.within.iter().flat_map(|outer| &outer.reads_metrics).chain(&spec.reads_metrics) {
                given.entry(step).or_default().insert("metrics".to_owned());
            }
            if let Some(step) = spec.map.as_ref().and_then(MapSpec::maker) {
                given.entry(step).or_default().insert("items".to_owned());
            }
            let ordered = spec.after.iter().filter(|step| !given.contains_key(*step));
            let ordered: Vec<&StepName> = ordered.collect();
            for (step, items) in given {
                if let Some(&from) = place.get(step) {
                    edges.push(Edge { from, to, kind: EdgeKind::Data, items: items.into_iter().collect() });
                }
            }
            for step in ordered {
                if let Some(&from) = place.get(step) {
                    edges.push(Edge { from, to, kind: EdgeKind::Order, items: Vec::new() });
                }
            }
        }
        edges.extend(finally_edges(&specs, &edges));
        edges.sort_by_key(|edge| (edge.from, edge.to));
        let steps = order.iter().zip(&specs).map(|(step, spec)| node(step, spec)).collect();
        Self { project: release.project.to_string(), pipeline: release.pipeline.to_string(), steps, edges }
    }

    /// The steps that a step waits for, as the picture shows them.
    fn parents(&self, step: usize) -> impl Iterator<Item = &Node> {
        self.edges.iter().filter(move |edge| edge.to == step).filter_map(|edge| self.steps.get(edge.from))
    }
}

/// A `finally:` step waits for all others; it is enough to draw that it waits for those which nothing else follows.
fn finally_edges(specs: &[&StepSpec], edges: &[Edge]) -> Vec<Edge> {
    let followed: BTreeSet<usize> = edges.iter().filter(|edge| !specs[edge.to].finally).map(|edge| edge.from).collect();
    let last = |from: &usize| !specs[*from].finally && !followed.contains(from);
    let drawn: BTreeSet<(usize, usize)> = edges.iter().map(|edge| (edge.from, edge.to)).collect();
    let later: BTreeSet<usize> =
        edges.iter().filter(|edge| specs[edge.from].finally && specs[edge.to].finally).map(|edge| edge.to).collect();
    let mut added = Vec::new();
    for to in (0..specs.len()).filter(|to| specs[*to].finally && !later.contains(to)) {
        let from = (0..specs.len()).filter(last).filter(|from| !drawn.contains(&(*from, to)));
        added.extend(from.map(|from| Edge { from, to, kind: EdgeKind::Finally, items: Vec::new() }));
    }
    added
}

fn node(name: &StepName, spec: &StepSpec) -> Node {
    let kind = match spec.action {
        Action::Run { .. } | Action::Call { .. } => NodeKind::Work,
        Action::Gate { .. } => NodeKind::Gate,
        Action::Register { .. } => NodeKind::Register,
    };
    Node {
        name: name.to_string(),
        phase: spec.phase,
        kind,
        does: does(&spec.action),
        finally: spec.finally,
        when: condition(spec),
    }
}

/// All conditions under which a step runs.
fn condition(spec: &StepSpec) -> Option<String> {
    let all: Vec<&str> = spec.within.iter().map(|outer| &outer.when).chain(&spec.when).map(String::as_str).collect();
    (!all.is_empty()).then(|| one_line(&all.join(" and ")))
}

/// What a step does, in few words.
pub(crate) fn does(action: &Action) -> String {
    let what = match action {
        Action::Run { argv } => {
            let words: Vec<String> = argv.iter().map(ToString::to_string).collect();
            format!("run {}", words.join(" "))
        }
        Action::Call { module, function } => format!("call {module}:{function}"),
        Action::Gate { checks } => format!("gate {}", checks.join(" and ")),
        Action::Register { model, .. } => format!("register {model}"),
    };
    one_line(&what)
}

/// The fill and the outline of a phase: light enough for dark text, strong enough on a dark page.
const fn colours(phase: Option<Phase>) -> (&'static str, &'static str) {
    match phase {
        Some(Phase::Fetch) => ("#dbeafe", "#2563eb"),
        Some(Phase::Clean) => ("#cffafe", "#0e7490"),
        Some(Phase::Prepare) => ("#ccfbf1", "#0f766e"),
        Some(Phase::Train) => ("#ffedd5", "#c2410c"),
        Some(Phase::Evaluate) => ("#fef9c3", "#a16207"),
        Some(Phase::Validate) => ("#fee2e2", "#b91c1c"),
        Some(Phase::Deploy) => ("#dcfce7", "#15803d"),
        Some(Phase::Inference) => ("#ede9fe", "#6d28d9"),
        Some(Phase::Consume) => ("#fce7f3", "#be185d"),
        None => ("#f1f5f9", "#475569"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn edges_say_why_a_step_waits() {
        let picture = Picture::new(&samples::release());
        let edges: Vec<String> = picture
            .edges
            .iter()
            .map(|edge| {
                let (from, to) = (&picture.steps[edge.from].name, &picture.steps[edge.to].name);
                format!("{from} > {to}: {:?} {}", edge.kind, edge.items.join(","))
            })
            .collect();
        insta::assert_snapshot!(edges.join("\n"), @r"
        fetch > clean: Data data
        clean > prepare: Data data
        prepare > train: Data data
        prepare > train_forest: Data data
        prepare > evaluate: Data data
        train > evaluate: Data data
        train_forest > evaluate: Data data
        evaluate > validate: Data metrics
        evaluate > register: Data data
        validate > register: Order 
        register > notify: Finally
        ");
    }

    #[test]
    fn a_finally_step_hangs_on_the_last_steps_alone() {
        let mut steps = BTreeMap::from([
            samples::step(Phase::Fetch, "a", &[]),
            samples::step(Phase::Fetch, "b", &["a"]),
            samples::step(Phase::Fetch, "c", &["a"]),
            samples::step(Phase::Consume, "first", &["b"]),
            samples::step(Phase::Consume, "second", &["first"]),
        ]);
        for finally in ["first", "second"] {
            steps.get_mut(finally).expect("defined above").finally = true;
        }
        let picture = Picture::new(&samples::release_of(steps));
        let edges: Vec<(usize, usize, EdgeKind)> =
            picture.edges.iter().map(|edge| (edge.from, edge.to, edge.kind)).collect();
        assert_eq!(
            edges,
            [
                (0, 1, EdgeKind::Data),
                (0, 2, EdgeKind::Data),
                (1, 3, EdgeKind::Data),
                (2, 3, EdgeKind::Finally),
                (3, 4, EdgeKind::Data)
            ]
        );
    }
}
