//! Pipelines in pipelines: a step that is a pipeline becomes the steps of that pipeline, whose names then begin with its own.
//! What they name is what the step gives them; all that runs, plans and permissions know of is one graph.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::definition::model::ActionDefinition;
use crate::definition::model::Entry;
use crate::definition::model::PipelineDefinition;
use crate::name::FieldName;
use crate::name::StepName;
use crate::step::ArtifactKind;
use crate::step::Condition;
use crate::step::InputSource;
use crate::step::Names;
use crate::step::ParamBinding;
use crate::step::StepSpec;

use super::Edges;
use super::Resolver;
use super::Scope;
use super::Sub;
use super::inputs::Found;
use super::inputs::Referrer;

/// What a required input of a pipeline is written as.
pub(super) const KINDS: [(&str, ArtifactKind); 2] =
    [("file", ArtifactKind::File), ("directory", ArtifactKind::Directory)];

/// Where a pipeline stands: by itself, or as a step of another one.
#[derive(Clone, Default)]
pub(super) struct Nesting {
    /// The step that it is; none for a pipeline by itself.
    prefix: Option<StepName>,
    /// What its parameters stand for, where that is not the parameter of the run of that name.
    params: BTreeMap<FieldName, ParamBinding>,
    /// What it is given.
    pub(super) inputs: BTreeMap<FieldName, Found>,
    /// The conditions under which it runs.
    pub(super) conditions: Vec<Condition>,
    /// Whether it starts when all other steps of the run are settled.
    pub(super) finally: bool,
}

impl Nesting {
    /// What names in a step of the pipeline stand for, as far as the step uses them.
    pub(super) fn names(&self, params: BTreeSet<&FieldName>, metrics: BTreeMap<StepName, StepName>) -> Names {
        let bound = params.into_iter().filter_map(|name| Some((name.clone(), self.params.get(name)?.clone())));
        Names { params: bound.collect(), metrics }
    }

    /// What a parameter of the pipeline stands for; none for the one of the run that has its name.
    pub(super) fn param(&self, name: &FieldName) -> Option<ParamBinding> {
        self.params.get(name).cloned()
    }
}

impl Scope<'_> {
    /// The full name of a step that is named as the pipeline sees it; none when it would be too long, which is told elsewhere.
    pub(super) fn full(&self, step: &StepName) -> Option<StepName> {
        match &self.nesting.prefix {
            None => Some(step.clone()),
            Some(prefix) => prefix.inner(step).ok(),
        }
    }
}

/// Whether a pipeline can not run without being given something, so that it runs only as a part of others.
pub(super) fn is_part_only(pipeline: &PipelineDefinition) -> bool {
    pipeline.inputs.values().any(|entry| required(&entry.value.value).is_some())
}

pub(super) fn required(text: &str) -> Option<ArtifactKind> {
    KINDS.iter().find(|(word, _)| *word == text).map(|(_, kind)| *kind)
}

impl<'a> Resolver<'a> {
    /// A pipeline by itself, with what it takes when nothing is given to it.
    pub(super) fn alone(&mut self, pipeline: &'a PipelineDefinition) -> Nesting {
        let mut nesting = Nesting::default();
        for (name, entry) in &pipeline.inputs {
            let found = match required(&entry.value.value) {
                // It stands for what is not known yet: no release is made of such a pipeline.
                Some(kind) => StepName::plain("inputs")
                    .ok()
                    .map(|step| Found { source: InputSource::Output { step, output: name.clone() }, kind: Some(kind) }),
                None => self.default_input(&entry.value),
            };
            nesting.inputs.extend(found.map(|found| (name.clone(), found)));
        }
        nesting
    }

    /// The steps of the pipeline that a step is. `used` are the parameters of the outer pipeline that are used here.
    pub(super) fn nested(
        &mut self,
        step: Referrer<'_, 'a>,
        edges: &mut Edges<'a>,
        used: &mut BTreeSet<FieldName>,
    ) -> BTreeMap<StepName, StepSpec> {
        let Referrer { scope, peer } = step;
        let definition = peer.definition;
        self.after(step, edges);
        let reads = self.conditions(step, edges);
        let ActionDefinition::Pipeline(named) = &definition.action else { return BTreeMap::new() };
        let Some((inner_name, Entry { value: inner, key })) = self.definition.pipelines.get_key_value(&named.value)
        else {
            return BTreeMap::new();
        };
        used.extend(reads.params.iter().cloned());
        let params = self.bound_params(step, (inner, key), used);
        let inputs = self.bound_inputs(step, (inner, key), edges);
        let (Some(prefix), Sub::Known(_)) = (scope.full(peer.name), &peer.sub) else { return BTreeMap::new() };
        let mut conditions = scope.nesting.conditions.clone();
        conditions.extend(definition.when.as_ref().map(|when| Condition {
            step: prefix.clone(),
            when: when.value.clone(),
            names: scope.nesting.names(reads.params.iter().collect(), reads.names),
            reads_metrics: reads.metrics,
            reads_params: reads.params,
        }));
        let finally = scope.nesting.finally || peer.finally;
        let nesting = Nesting { prefix: Some(prefix), params, inputs, conditions, finally };
        let inner_scope = self.scope(inner_name, inner, nesting);
        let (specs, inside) = self.steps_of(&inner_scope);
        // Parameters of the project that it neither declares nor is given are those of the run.
        let open = |name: &FieldName| !inner.params.contains_key(name) && !definition.params.contains_key(name);
        used.extend(inside.into_iter().filter(open));
        specs
    }
}
