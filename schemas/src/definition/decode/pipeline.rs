//! Pipelines.

use std::collections::BTreeMap;

use super::Context;
use super::fields::Fields;
use super::keys;
use crate::definition::model::PipelineDefinition;
use crate::definition::model::SpannedMap;
use crate::definition::yaml::Key;
use crate::definition::yaml::Node;
use crate::finding::Code;
use crate::finding::Finding;
use crate::name::PipelineName;

impl Context {
    /// `pipelines:`.
    pub(super) fn pipelines(
        &mut self,
        node: Node,
        params: &BTreeMap<String, Node>,
    ) -> SpannedMap<PipelineName, PipelineDefinition> {
        let name = |text: &str| PipelineName::new(text);
        self.named(node, "the pipelines", name, |cx, key, node| cx.pipeline(key, node, params))
    }

    fn pipeline(&mut self, key: &Key, node: Node, params: &BTreeMap<String, Node>) -> Option<PipelineDefinition> {
        let mut fields = Fields::open(node, &key.span, &keys::PIPELINE, self)?;
        let description = fields.take("description").and_then(|(_, node)| self.text(node, "the description"));
        let owner = fields.take("owner").and_then(|(_, node)| self.text(node, "the owner"));
        let before = self.findings.len();
        let pipeline = PipelineDefinition {
            description: description.map(|text| text.value),
            owner: owner.map(|text| text.value),
            params: fields.take("params").map(|(_, node)| self.params(node, params)).unwrap_or_default(),
            env: fields.take("env").map(|(_, node)| self.env(node)).unwrap_or_default(),
            python: fields.take("python").map(|(key, node)| self.python(node, &key.span)).unwrap_or_default(),
            defaults: fields.take("defaults").map(|(key, node)| self.defaults(node, &key.span)).unwrap_or_default(),
            triggers: fields
                .take("triggers")
                .map(|(_, node)| self.unreferenced(|cx| cx.triggers(node)))
                .unwrap_or_default(),
            steps: fields.require("steps", self).map(|(_, node)| self.steps(node)).unwrap_or_default(),
            finally: fields.take("finally").map(|(_, node)| self.steps(node)).unwrap_or_default(),
        };
        fields.finish(self);
        if pipeline.steps.is_empty() && !self.partial && self.findings.len() == before {
            let message = format!("pipeline `{}` has no steps", key.text);
            self.push(Finding::error(Code::InvalidValue, &key.span, message).hint("give it one, or leave it out"));
        }
        self.refuse_too_many_steps(&pipeline);
        Some(pipeline)
    }

    fn refuse_too_many_steps(&mut self, pipeline: &PipelineDefinition) {
        let count = pipeline.steps.len() + pipeline.finally.len();
        if count > super::MAX_STEPS
            && let Some(last) = pipeline.finally.values().last()
        {
            let message = format!("the pipeline has {count} steps, more than {}", super::MAX_STEPS);
            self.push(Finding::error(Code::InvalidValue, &last.key, message));
        }
    }
}
