//! Parameters.

use std::collections::BTreeMap;

use super::Context;
use super::fields::Fields;
use super::keys;
use crate::definition::merge;
use crate::definition::model::SpannedMap;
use crate::definition::yaml::Key;
use crate::definition::yaml::Kind;
use crate::definition::yaml::Node;
use crate::finding::Code;
use crate::finding::Finding;
use crate::name::FieldName;
use crate::release::ParamSpec;
use crate::suggestion::closest;
use crate::value::Value;
use crate::value::ValueType;

const TYPES: [ValueType; 6] =
    [ValueType::String, ValueType::Int, ValueType::Float, ValueType::Bool, ValueType::List, ValueType::Map];

impl Context {
    /// `params:`. Those that stand in `above` too keep the type and bounds they have there.
    pub(super) fn params(&mut self, node: Node, above: &BTreeMap<String, Node>) -> SpannedMap<FieldName, ParamSpec> {
        let name = |text: &str| FieldName::new(text);
        self.named(node, "the parameters", name, |cx, key, node| match above.get(&key.text) {
            Some(base) => cx.param(key, merge::overlay_param(base.clone(), node)),
            None => cx.param(key, node),
        })
    }

    fn param(&mut self, key: &Key, node: Node) -> Option<ParamSpec> {
        let long = matches!(node.kind, Kind::Map(_)) && node.get("type").is_some();
        if long { self.long_param(key, node) } else { self.short_param(key, node) }
    }

    fn short_param(&mut self, key: &Key, node: Node) -> Option<ParamSpec> {
        if let Kind::Null = node.kind {
            let message = format!("the parameter `{}` has neither value nor type", key.text);
            self.lose(Finding::error(Code::MissingKey, &key.span, message).hint(format!(
                "write a default, or the type of what every run must set: `{}: {{type: int}}`",
                key.text
            )));
            return None;
        }
        if let Kind::Map(entries) = &node.kind
            && !entries.is_empty()
            && entries.iter().all(|(part, _)| keys::PARAM_KEYS.contains(&part.text.as_str()))
        {
            let message = format!("the parameter `{}` is a map with these keys, since it has no `type`", key.text);
            let hint = "add `type:` to declare a parameter with bounds";
            self.push(Finding::warning(Code::ParamValue, &node.span, message).hint(hint));
        }
        let value = self.value(node)?;
        let value_type = value.value_type()?;
        Some(ParamSpec { value_type, default: Some(value), min: None, max: None, choices: Vec::new() })
    }

    fn long_param(&mut self, key: &Key, node: Node) -> Option<ParamSpec> {
        let mut fields = Fields::open(node, &key.span, &keys::PARAM, self)?;
        let value_type = fields.require("type", self).and_then(|(_, node)| self.param_type(node));
        let default = fields.take("default").map(|(_, node)| node);
        let min = fields.take("min").and_then(|(key, node)| Some((key, self.number(&node, "the minimum")?)));
        let max = fields.take("max").and_then(|(key, node)| Some((key, self.number(&node, "the maximum")?)));
        let choices =
            fields.take("choices").map(|(key, node)| (key, self.list(node, "the choices", |_, node| Some(node))));
        if let Some((_, node)) = fields.take("description") {
            self.text(node, "the description");
        }
        fields.finish(self);

        let value_type = value_type?;
        let numeric = matches!(value_type, ValueType::Int | ValueType::Float);
        for (bound, _) in [&min, &max].into_iter().flatten().filter(|_| !numeric) {
            let message = format!("`{}` means nothing for a parameter of type {value_type}", bound.text);
            self.push(Finding::error(Code::ParamValue, &bound.span, message).hint("only numbers have bounds"));
        }
        if let (Some((low, min)), Some((_, max))) = (&min, &max)
            && min > max
        {
            let message = format!("the minimum {min} is above the maximum {max}");
            self.push(Finding::error(Code::ParamValue, &low.span, message));
        }
        let mut spec = ParamSpec {
            value_type,
            default: None,
            min: min.filter(|_| numeric).map(|(_, min)| min),
            max: max.filter(|_| numeric).map(|(_, max)| max),
            choices: Vec::new(),
        };
        let mut allowed = Vec::new();
        if let Some((place, choices)) = choices {
            if choices.is_empty() {
                let message = "`choices` allows no value at all";
                self.push(
                    Finding::error(Code::ParamValue, &place.span, message).hint("leave `choices` out, or fill it"),
                );
            }
            for choice in choices {
                allowed.extend(self.param_value(key, choice, &spec, "choice"));
            }
        }
        spec.choices = allowed;
        let default = default.filter(|node| !matches!(node.kind, Kind::Null));
        spec.default = default.and_then(|node| self.param_value(key, node, &spec, "default"));
        Some(spec)
    }

    /// A default or choice of a parameter, checked against what is known of it so far.
    pub(super) fn param_value(&mut self, key: &Key, node: Node, spec: &ParamSpec, role: &str) -> Option<Value> {
        let span = node.span.clone();
        let quoted = matches!(node.kind, Kind::Text { .. });
        let value = self.value(node)?;
        let value = value.coerce(spec.value_type).unwrap_or_else(|value| value);
        let Some(problem) = spec.problem_with(&value) else { return Some(value) };
        let mut finding = Finding::error(
            Code::ParamValue,
            &span,
            format!("the {role} of parameter `{}` is not allowed: {problem}", key.text),
        );
        if value.value_type() != Some(spec.value_type) {
            if spec.value_type == ValueType::String {
                finding = finding.hint("put it into quotes");
            } else if quoted && Value::parse_as(&value.to_string(), spec.value_type).is_ok() {
                finding = finding.hint("leave the quotes out");
            }
        }
        self.push(finding);
        None
    }

    fn param_type(&mut self, node: Node) -> Option<ValueType> {
        let text = self.text(node, "the type of a parameter")?;
        let found = TYPES.into_iter().find(|known| known.as_str() == text.value);
        if found.is_none() {
            let meant = match text.value.to_lowercase().as_str() {
                "str" | "text" => Some("string"),
                "integer" | "number" => Some("int"),
                "double" | "decimal" => Some("float"),
                "boolean" => Some("bool"),
                "array" => Some("list"),
                "dict" | "object" | "mapping" => Some("map"),
                other => closest(other, TYPES.iter().map(|known| known.as_str())),
            };
            let message = format!("`{}` is no type of a parameter", super::fields::shorten(&text.value));
            let mut finding = Finding::error(Code::InvalidValue, &text.span, message);
            if let Some(meant) = meant {
                finding = finding.label(format!("did you mean `{meant}`?"));
            }
            self.lose(finding.hint(format!("known types: {}", TYPES.map(ValueType::as_str).join(", "))));
        }
        found
    }

    /// Any value; none when a finding speaks of a part of it.
    pub(super) fn value(&mut self, node: Node) -> Option<Value> {
        Some(match node.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(value),
            Kind::Int(number) => Value::Int(number),
            Kind::Float(number) => Value::Float(number),
            Kind::Text { text, .. } => Value::Text(text),
            Kind::List(items) => Value::List(items.into_iter().map(|item| self.value(item)).collect::<Option<_>>()?),
            Kind::Map(entries) => Value::Map(
                entries.into_iter().map(|(key, value)| Some((key.text, self.value(value)?))).collect::<Option<_>>()?,
            ),
            Kind::Refused => {
                self.incomplete = true;
                return None;
            }
        })
    }
}
