//! Which steps a run may leave out by a condition (`when:`), and what follows for those behind them: told before it happens.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::graph::Graph;
use crate::name::StepName;
use crate::step::InputSource;
use crate::step::METRICS_OUTPUT;
use crate::step::StepSpec;

/// When something is skipped, or that it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SkipRule {
    /// All steps of a sub-pipeline are skipped unless its condition holds.
    Sub {
        /// The step that the sub-pipeline is.
        step: StepName,
        /// How many steps it has.
        steps: usize,
        /// The condition.
        when: String,
    },
    /// A step is skipped unless its condition holds.
    Unless {
        /// The step.
        step: StepName,
        /// The condition.
        when: String,
    },
    /// A step is skipped along with another one, which makes what it needs.
    With {
        /// The step.
        step: StepName,
        /// The one that it is skipped with.
        maker: StepName,
        /// What it needs of that: names of outputs.
        needs: Vec<String>,
    },
    /// A step runs all the same: it only comes after another one.
    Despite {
        /// The step.
        step: StepName,
        /// The one that may be skipped.
        after: StepName,
    },
}

impl SkipRule {
    /// The step that the rule is about.
    pub const fn step(&self) -> &StepName {
        match self {
            Self::Sub { step, .. }
            | Self::Unless { step, .. }
            | Self::With { step, .. }
            | Self::Despite { step, .. } => step,
        }
    }
}

/// A condition: whose it is, and what it says.
type Reason<'s> = (&'s StepName, &'s str);

/// The rules of a pipeline, in the order in which its steps run. Empty where no step has a condition.
///
/// What a failed step and a refusing gate bring along is the same for every pipeline, and is not told.
pub fn rules(steps: &BTreeMap<StepName, StepSpec>) -> Vec<SkipRule> {
    let Ok(graph) = Graph::new(steps) else { return Vec::new() };
    let mut reasons: BTreeMap<&StepName, BTreeSet<Reason<'_>>> = BTreeMap::new();
    let mut told: BTreeSet<Reason<'_>> = BTreeSet::new();
    let mut rules = Vec::new();
    for step in graph.order() {
        let Some((step, spec)) = steps.get_key_value(step) else { continue };
        for outer in &spec.within {
            if told.insert((&outer.step, &outer.when)) {
                let count = steps.keys().filter(|other| other.is_within(&outer.step)).count();
                rules.push(SkipRule::Sub { step: outer.step.clone(), steps: count, when: outer.when.clone() });
            }
        }
        if let Some(when) = &spec.when {
            rules.push(SkipRule::Unless { step: step.clone(), when: when.clone() });
        }
        let own: BTreeSet<Reason<'_>> = spec
            .within
            .iter()
            .map(|outer| (&outer.step, outer.when.as_str()))
            .chain(spec.when.as_ref().map(|when| (step, when.as_str())))
            .collect();
        let mut all = own.clone();
        let makers = spec.data_parents();
        for maker in &makers {
            let Some(of_maker) = reasons.get(*maker).filter(|of_maker| !of_maker.is_subset(&own)) else { continue };
            all.extend(of_maker);
            rules.push(SkipRule::With { step: step.clone(), maker: (*maker).clone(), needs: needs(spec, maker) });
        }
        for after in spec.after.iter().filter(|after| !makers.contains(after)) {
            if reasons.get(after).is_some_and(|of_it| !of_it.is_subset(&all)) {
                rules.push(SkipRule::Despite { step: step.clone(), after: after.clone() });
            }
        }
        if !all.is_empty() {
            reasons.insert(step, all);
        }
    }
    rules
}

/// What a step needs of another one.
fn needs(spec: &StepSpec, maker: &StepName) -> Vec<String> {
    let mut needs: BTreeSet<String> = spec
        .inputs
        .values()
        .filter_map(|source| match source {
            InputSource::Output { step, output } if step == maker => Some(output.to_string()),
            InputSource::Output { .. }
            | InputSource::Param { .. }
            | InputSource::Model { .. }
            | InputSource::Trigger
            | InputSource::File { .. } => None,
        })
        .collect();
    let read =
        spec.within.iter().any(|outer| outer.reads_metrics.contains(maker)) || spec.reads_metrics.contains(maker);
    needs.extend(read.then(|| METRICS_OUTPUT.to_owned()));
    if spec.map.as_ref().and_then(|map| map.maker()) == Some(maker) {
        needs.insert("items".to_owned());
    }
    needs.into_iter().collect()
}
