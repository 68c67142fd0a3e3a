//! Policies: rules over what a plan would do.

use super::Context;
use super::fields::Fields;
use super::keys;
use crate::definition::model::SpannedMap;
use crate::definition::yaml::Key;
use crate::definition::yaml::Node;
use crate::expression::Rule;
use crate::finding::Code;
use crate::finding::Finding;
use crate::name::FieldName;
use crate::policy::Effect;
use crate::policy::Policy;
use crate::policy::VARIABLES;

impl Context {
    /// `policies:`.
    pub(super) fn policies(&mut self, node: Node) -> SpannedMap<FieldName, Policy> {
        self.named(node, "the policies", |text| FieldName::new(text), Self::policy)
    }

    fn policy(&mut self, key: &Key, node: Node) -> Option<Policy> {
        let mut fields = Fields::open(node, &key.span, &keys::POLICY, self)?;
        let rules: Vec<_> = [(Effect::Deny, "deny"), (Effect::Warn, "warn")]
            .into_iter()
            .filter_map(|(effect, name)| fields.take(name).map(|(key, node)| (effect, key, node)))
            .collect();
        let message = fields.take("message").and_then(|(_, node)| self.text(node, "the message of a policy"));
        fields.finish(self);
        let mut rules = rules.into_iter();
        let (Some((effect, _, node)), None) = (rules.next(), rules.next()) else {
            if !self.partial {
                let message = format!("the policy `{}` needs either `deny` or `warn`", key.text);
                let hint = "write the rule that must not hold: `deny: steps.exists(s, s.memory_mib > 8192)`";
                self.lose(Finding::error(Code::MissingKey, &key.span, message).hint(hint));
            }
            return None;
        };
        let rule = self.text(node, "the rule of a policy")?;
        if let Err(error) = Rule::parse(&rule.value) {
            let message = format!("the rule of policy `{}` can not be read: {}", key.text, error.message);
            let hint = format!("rules ask about {}", VARIABLES.join(", "));
            self.lose(Finding::error(Code::ExpressionSyntax, &rule.span, message).hint(hint));
            return None;
        }
        Some(Policy { effect, rule: rule.value, message: message.map(|message| message.value) })
    }
}
