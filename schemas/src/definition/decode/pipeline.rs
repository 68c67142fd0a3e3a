//! Pipelines.

use std::collections::BTreeMap;

use super::Context;
use super::fields::Fields;
use super::fields::shorten;
use super::keys;
use crate::definition::model::PipelineDefinition;
use crate::definition::model::SpannedMap;
use crate::definition::yaml::Key;
use crate::definition::yaml::Node;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Spanned;
use crate::name::FieldName;
use crate::name::PipelineName;
use crate::run_policy::Overlap;
use crate::suggestion::closest;

/// The most runs of a pipeline that may be said to be open at once.
const MAX_OPEN_RUNS: u32 = 1000;

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
        let deadline = fields.take("deadline").and_then(|(_, node)| self.whole_seconds(&node, "the deadline"));
        let (overlap, most) = self.overlap(fields.take("overlap"), fields.take("max_concurrent_runs").as_ref());
        let before = self.findings.len();
        let pipeline = PipelineDefinition {
            description: description.map(|text| text.value),
            owner: owner.map(|text| text.value),
            params: fields.take("params").map(|(_, node)| self.params(node, params)).unwrap_or_default(),
            env: fields.take("env").map(|(_, node)| self.env(node)).unwrap_or_default(),
            python: fields.take("python").map(|(key, node)| self.python(node, &key.span)).unwrap_or_default(),
            defaults: fields.take("defaults").map(|(key, node)| self.defaults(node, &key.span)).unwrap_or_default(),
            inputs: fields.take("inputs").map(|(_, node)| self.references(node, "the inputs")).unwrap_or_default(),
            outputs: fields.take("outputs").map(|(_, node)| self.references(node, "the outputs")).unwrap_or_default(),
            triggers: fields
                .take("triggers")
                .map(|(_, node)| self.unreferenced(|cx| cx.triggers(node)))
                .unwrap_or_default(),
            deadline_seconds: deadline,
            overlap,
            max_concurrent_runs: most,
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

    /// What a pipeline is given, or leaves, as a step of another one.
    fn references(&mut self, node: Node, what: &str) -> SpannedMap<FieldName, Spanned<String>> {
        self.named(node, what, |text| FieldName::new(text), |cx, _, node| cx.text(node, "a reference"))
    }

    /// `overlap:` and `max_concurrent_runs:`, each of which has a default that follows from the other.
    fn overlap(&mut self, overlap: Option<(Key, Node)>, most: Option<&(Key, Node)>) -> (Overlap, Option<u32>) {
        let what = "the number of runs that may be open at once";
        let limit = most.and_then(|(_, node)| self.whole(node, what, 1..=MAX_OPEN_RUNS));
        let Some((_, node)) = overlap else {
            return if limit.is_some() { (Overlap::Queue, limit) } else { (Overlap::Allow, None) };
        };
        let Some(text) = self.text(node, "the overlap") else { return (Overlap::Allow, None) };
        let Some(overlap) = Overlap::ALL.into_iter().find(|known| known.as_str() == text.value) else {
            let known = Overlap::ALL.map(Overlap::as_str);
            let message = format!("`{}` is no way to treat runs that overlap", shorten(&text.value));
            let mut finding = Finding::error(Code::InvalidValue, &text.span, message);
            if let Some(meant) = closest(&text.value, known) {
                finding = finding.label(format!("did you mean `{meant}`?"));
            }
            self.push(finding.hint(format!("known are {}", known.join(", "))));
            return (Overlap::Allow, None);
        };
        if let (Overlap::Allow, Some((key, _))) = (overlap, most) {
            let message = "`max_concurrent_runs` means nothing where runs may overlap";
            self.push(
                Finding::error(Code::KeyNotApplicable, &key.span, message)
                    .related(&text.span, "because of this")
                    .hint("leave one of them out, or choose `queue`, `forbid` or `replace`"),
            );
        }
        match overlap {
            Overlap::Allow => (overlap, None),
            Overlap::Forbid | Overlap::Queue | Overlap::Replace => (overlap, Some(limit.unwrap_or(1))),
        }
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
