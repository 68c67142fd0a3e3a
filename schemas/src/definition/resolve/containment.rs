//! Which pipelines contain which: that none contains itself, and that none grows beyond all bounds.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::definition::decode::MAX_STEPS;
use crate::definition::model::ActionDefinition;
use crate::definition::model::Definition;
use crate::definition::model::PipelineDefinition;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Span;
use crate::name::PipelineName;
use crate::name::StepName;
use crate::suggestion::closest;

/// How deep pipelines may lie in each other.
const MAX_DEPTH: usize = 8;

/// The most steps that all pipelines of a project may have from those they contain.
const MAX_CONTAINED: usize = 20_000;

/// How many circles are reported.
const MAX_CYCLES: usize = 20;

/// What contains what, as far as that makes sense.
#[derive(Default)]
pub(super) struct Containment<'a> {
    /// All pipelines, each after those that it contains.
    pub(super) order: Vec<&'a PipelineName>,
    /// Steps that are pipelines, by pipeline and step: what each contains.
    pub(super) contained: BTreeMap<(&'a PipelineName, &'a StepName), &'a PipelineName>,
}

/// One pipeline has to do with another one: it contains it, or starts when it has ended.
#[derive(Clone, Copy)]
pub(super) struct Link<'a> {
    pub(super) from: &'a PipelineName,
    pub(super) to: &'a PipelineName,
    /// The step that is the other pipeline, where there is one.
    pub(super) step: Option<&'a StepName>,
    pub(super) span: &'a Span,
}

/// Finds out what contains what. What is left out of the result was told of.
pub(super) fn containment<'a>(definition: &'a Definition, findings: &mut Vec<Finding>) -> Containment<'a> {
    let mut links = links(definition, findings);
    findings.extend(circles(definition, &mut links).iter().map(|circle| of_circle(circle)));
    drop_too_large(definition, &mut links, findings);
    let contained = links.iter().filter_map(|link| Some(((link.from, link.step?), link.to))).collect();
    Containment { order: order(definition, &links), contained }
}

/// The circles among pipelines. What is left of the links makes none.
pub(super) fn circles<'a>(definition: &'a Definition, links: &mut Vec<Link<'a>>) -> Vec<Vec<Link<'a>>> {
    let mut found = Vec::new();
    while found.len() < MAX_CYCLES {
        let order = order(definition, links);
        if order.len() == definition.pipelines.len() {
            return found;
        }
        let Some(circle) = circle(&order, links) else { break };
        if let Some(last) = circle.last() {
            links.retain(|link| !std::ptr::eq(link.span, last.span));
        }
        found.push(circle);
    }
    // More than are told of: whatever leads into one of these is left out.
    let known: BTreeSet<&PipelineName> = order(definition, links).into_iter().collect();
    links.retain(|link| known.contains(link.from));
    found
}

/// All steps of a pipeline, those under `finally:` among them.
fn steps(pipeline: &PipelineDefinition) -> usize {
    pipeline.steps.len() + pipeline.finally.len()
}

fn links<'a>(definition: &'a Definition, findings: &mut Vec<Finding>) -> Vec<Link<'a>> {
    let mut links = Vec::new();
    for (outer, pipeline) in &definition.pipelines {
        for (step, entry) in pipeline.value.steps.iter().chain(&pipeline.value.finally) {
            let ActionDefinition::Pipeline(named) = &entry.value.action else { continue };
            match definition.pipelines.get_key_value(&named.value) {
                Some((inner, _)) => links.push(Link { from: outer, to: inner, step: Some(step), span: &named.span }),
                None => findings.push(no_pipeline(definition, named.value.as_str(), &named.span)),
            }
        }
    }
    links
}

/// The finding for the name of a pipeline that there is not.
pub(super) fn no_pipeline(definition: &Definition, name: &str, span: &Span) -> Finding {
    let known = || definition.pipelines.keys().map(PipelineName::as_str);
    let finding = Finding::error(Code::UnknownReference, span, format!("there is no pipeline `{name}`"));
    let finding = match closest(name, known()) {
        Some(meant) => finding.label(format!("did you mean `{meant}`?")),
        None => finding,
    };
    finding.hint(format!("pipelines: {}", known().collect::<Vec<_>>().join(", ")))
}

/// The pipelines, each after those that it contains; those that contain themselves, or one that does, are missing.
fn order<'a>(definition: &'a Definition, links: &[Link<'a>]) -> Vec<&'a PipelineName> {
    let mut waiting: BTreeMap<&PipelineName, BTreeSet<&PipelineName>> = BTreeMap::new();
    let mut outer_of: BTreeMap<&PipelineName, BTreeSet<&'a PipelineName>> = BTreeMap::new();
    for link in links {
        waiting.entry(link.from).or_default().insert(link.to);
        outer_of.entry(link.to).or_default().insert(link.from);
    }
    let free = definition.pipelines.keys().filter(|name| !waiting.contains_key(name));
    let mut ready: BTreeSet<&'a PipelineName> = free.collect();
    let mut order = Vec::new();
    while let Some(name) = ready.pop_first() {
        order.push(name);
        for outer in outer_of.get(name).into_iter().flatten() {
            if let Some(left) = waiting.get_mut(outer)
                && left.remove(name)
                && left.is_empty()
            {
                ready.insert(outer);
            }
        }
    }
    order
}

/// A circle among the pipelines that have no order.
fn circle<'a>(order: &[&PipelineName], links: &[Link<'a>]) -> Option<Vec<Link<'a>>> {
    let ordered: BTreeSet<&PipelineName> = order.iter().copied().collect();
    let left: Vec<&Link<'a>> = links.iter().filter(|link| !ordered.contains(link.to)).collect();
    let mut path = vec![**left.iter().find(|link| !ordered.contains(link.from))?];
    // Every pipeline that is left contains one that is left, so the walk ends only by coming round.
    loop {
        let here = path.last()?;
        if let Some(first) = path.iter().position(|link| link.from == here.to) {
            path.drain(..first);
            return Some(path);
        }
        let next = left.iter().find(|link| link.from == here.to)?;
        path.push(**next);
    }
}

fn of_circle(circle: &[Link<'_>]) -> Finding {
    let (Some(first), Some(last)) = (circle.first(), circle.last()) else {
        return Finding::error_without_place(Code::PipelineCycle, "pipelines contain each other");
    };
    let mut names: Vec<&str> = circle.iter().map(|link| link.from.as_str()).collect();
    names.push(last.to.as_str());
    let message = format!("a pipeline can not contain itself: {}", names.join(" → "));
    let finding = Finding::error(Code::PipelineCycle, last.span, message)
        .label(format!("{} contains {} here", last.from, last.to));
    let finding = match circle.len() {
        1 => finding,
        _ => finding.related(first.span, format!("{} contains {} here", first.from, first.to)),
    };
    finding.hint("take one of these steps out")
}

/// Takes out what would make a pipeline too deep or too large, and tells of it.
fn drop_too_large<'a>(definition: &'a Definition, links: &mut Vec<Link<'a>>, findings: &mut Vec<Finding>) {
    let mut known: BTreeMap<&PipelineName, (usize, usize)> = BTreeMap::new();
    let mut contained = 0;
    let mut refused: BTreeSet<(&PipelineName, Option<&StepName>)> = BTreeSet::new();
    for name in order(definition, links) {
        let Some(entry) = definition.pipelines.get(name) else { continue };
        let (mut depth, mut count) = (0, steps(&entry.value));
        for link in links.iter().filter(|link| link.from == name) {
            let (below, inner) = known.get(link.to).copied().unwrap_or((0, 1));
            let message = if below + 1 > MAX_DEPTH {
                format!("pipelines lie in each other more than {MAX_DEPTH} deep here")
            } else if count - 1 + inner > MAX_STEPS {
                let whole = count - 1 + inner;
                format!("pipeline {name} has {whole} steps with those of {}, more than {MAX_STEPS}", link.to)
            } else if contained + inner > MAX_CONTAINED {
                format!("the pipelines of the project contain more than {MAX_CONTAINED} steps of each other")
            } else {
                depth = depth.max(below + 1);
                count = count - 1 + inner;
                contained += inner;
                continue;
            };
            refused.insert((link.from, link.step));
            findings.push(Finding::error(Code::InvalidValue, link.span, message));
        }
        known.insert(name, (depth, count));
    }
    links.retain(|link| !refused.contains(&(link.from, link.step)));
}
