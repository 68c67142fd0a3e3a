//! Steps.

use super::Context;
use super::fields::Fields;
use super::fields::shorten;
use super::keys;
use crate::definition::model::ActionDefinition;
use crate::definition::model::SpannedMap;
use crate::definition::model::StepDefinition;
use crate::definition::yaml::Key;
use crate::definition::yaml::Node;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Spanned;
use crate::name::FieldName;
use crate::name::NameError;
use crate::name::RESERVED_STEP_NAMES;
use crate::name::StepName;
use crate::step::Compute;
use crate::step::Phase;
use crate::suggestion::closest;

impl Context {
    /// `steps:` and `finally:`.
    pub(super) fn steps(&mut self, node: Node) -> SpannedMap<StepName, StepDefinition> {
        let (what, limit) = ("the steps", super::MAX_STEPS);
        if let crate::definition::yaml::Kind::Map(entries) = &node.kind
            && entries.len() > limit
        {
            let message = format!("the pipeline has {} steps, more than {limit}", entries.len());
            self.lose(Finding::error(Code::InvalidValue, &node.span, message));
            return SpannedMap::new();
        }
        self.named(node, what, step_name, Self::step)
    }

    fn step(&mut self, key: &Key, node: Node) -> Option<StepDefinition> {
        let mut fields = Fields::open(node, &key.span, &keys::STEP, self)?;
        self.refuse_keys_of_others(key, &mut fields);
        // A step without a way to execute is told of; it stays as one that does nothing, so that others may refer to it.
        let action = self.unreferenced(|cx| cx.action(key, &mut fields)).unwrap_or(ActionDefinition::Gate(Vec::new()));
        let phase = fields.take("phase").and_then(|(_, node)| self.unreferenced(|cx| cx.phase(node)));
        let description = fields.take("description").and_then(|(_, node)| self.text(node, "the description"));
        let step = StepDefinition {
            phase,
            description: description.map(|text| text.value),
            action,
            params: fields
                .take("params")
                .map(|(_, node)| self.given_params(node, "the parameters of a pipeline"))
                .unwrap_or_default(),
            code: fields.take("code").map(|(_, node)| self.code(node)).unwrap_or_default(),
            inputs: fields
                .take("inputs")
                .map(|(_, node)| self.named(node, "the inputs", field_name, |cx, _, node| cx.text(node, "an input")))
                .unwrap_or_default(),
            outputs: fields.take("outputs").map(|(_, node)| self.outputs(node, "the outputs")).unwrap_or_default(),
            metrics: fields.take("metrics").and_then(|(_, node)| self.output_path(node, "the metrics file")),
            plots: fields.take("plots").map(|(_, node)| self.outputs(node, "the plots")).unwrap_or_default(),
            map: fields.take("map").and_then(|(key, node)| {
                let span = key.span.clone();
                self.unreferenced(|cx| cx.map_over(&key, node)).map(|map| Spanned::new(map, span))
            }),
            after: fields
                .take("after")
                .map(|(_, node)| self.list(node, "`after`", |cx, node| cx.name(node, "a step", StepName::plain)))
                .unwrap_or_default(),
            when: fields.take("when").and_then(|(_, node)| self.text(node, "a condition")),
            settings: self.unreferenced(|cx| cx.step_settings(&mut fields)),
            image: fields
                .take("image")
                .and_then(|(_, node)| self.unreferenced(|cx| cx.image(node, "the image of a step"))),
            python: fields.take("python").map(|(key, node)| self.python(node, &key.span)).unwrap_or_default(),
        };
        fields.finish(self);
        self.refuse_image_on_lambda(&step);
        Some(step)
    }

    /// Reports keys that mean nothing to what the step is: a gate and a registration start no process, and the steps of a pipeline
    /// have settings of their own.
    fn refuse_keys_of_others(&mut self, step: &Key, fields: &mut Fields) {
        let [action] = &*fields.present(keys::ACTION_KEYS) else { return };
        let (refused, hint) = match action.text.as_str() {
            "gate" => (
                keys::PROCESS_KEYS,
                "a gate reads `metrics.<step>.<name>` and `params.<name>` in its expressions, and starts no process",
            ),
            "register" => {
                (keys::PROCESS_KEYS, "a registration takes its model from `artifact:`, and starts no process")
            }
            "pipeline" => (
                keys::KEYS_OF_SINGLE_STEPS,
                "write it in the pipeline itself: a step that is a pipeline has `params`, `inputs`, `after` and `when`",
            ),
            _ => (
                &["params"][..],
                "only a step that is a `pipeline:` is given parameters; others name them: `inputs: {NAME: params.NAME}`",
            ),
        };
        // Neither a gate nor a registration is given parameters.
        let of_pipelines: &[&str] = if action.text == "pipeline" { &[] } else { &["params"] };
        for key in fields.present(&[refused, of_pipelines].concat()) {
            fields.take(&key.text);
            let message = format!("`{}` means nothing to step `{}`, which is a `{}`", key.text, step.text, action.text);
            self.push(
                Finding::error(Code::KeyNotApplicable, &key.span, message)
                    .related(&action.span, "because of this")
                    .hint(hint),
            );
        }
    }

    /// Reports a step that asks for an image and for Lambda, where functions are zips.
    fn refuse_image_on_lambda(&mut self, step: &StepDefinition) {
        if let (Some(image), Some(compute)) = (&step.image, &step.settings.compute)
            && compute.value == Compute::Lambda
        {
            let message = "a step with an image runs on Fargate, not on Lambda";
            self.push(
                Finding::error(Code::KeyNotApplicable, &compute.span, message)
                    .related(&image.span, "the image")
                    .hint("leave out `compute:`, or `image:`"),
            );
        }
    }

    fn outputs(&mut self, node: Node, what: &str) -> SpannedMap<FieldName, Spanned<String>> {
        self.named(node, what, field_name, |cx, _, node| cx.output_path(node, "the path of an output"))
    }

    fn phase(&mut self, node: Node) -> Option<Phase> {
        let text = self.text(node, "the phase")?;
        let found = Phase::ALL.into_iter().find(|phase| phase.as_str() == text.value);
        if found.is_none() {
            let message = format!("`{}` is no phase", shorten(&text.value));
            let mut finding = Finding::error(Code::InvalidValue, &text.span, message);
            if let Some(similar) = closest(&text.value, Phase::ALL.map(Phase::as_str)) {
                finding = finding.label(format!("did you mean `{similar}`?"));
            }
            self.push(finding.hint(format!("known phases: {}", Phase::ALL.map(Phase::as_str).join(", "))));
        }
        found
    }
}

fn field_name(text: &str) -> Result<FieldName, NameError> {
    FieldName::new(text)
}

fn step_name(text: &str) -> Result<StepName, NameError> {
    if RESERVED_STEP_NAMES.contains(&text) {
        let problem = "it has a meaning of its own in references";
        return Err(NameError { what: StepName::WHAT, text: text.to_owned(), problem });
    }
    StepName::plain(text)
}
