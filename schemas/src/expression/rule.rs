//! A rule: an expression over any facts, within the same limits as those of runs.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::Expression;
use super::ExpressionError;
use super::evaluate::sentence;

/// An expression over facts that are given when it is evaluated.
#[derive(Debug)]
pub struct Rule(Expression);

impl Rule {
    /// Reads a rule.
    ///
    /// # Errors
    /// When it is no CEL, or goes beyond the limits of expressions.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        Expression::parse(text).map(Self)
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// A sentence on what is missing or does not fit.
    pub fn holds(&self, facts: &BTreeMap<String, Value>) -> Result<bool, String> {
        let mut context = cel::Context::default();
        for (name, value) in facts {
            context.add_variable_from_value(name.as_str(), to_cel(value));
        }
        match cel::Value::resolve(self.0.program.expression(), &context) {
            Ok(cel::Value::Bool(value)) => Ok(value),
            Ok(_) => Err("it gives neither true nor false".to_owned()),
            Err(error) => Err(sentence(&error)),
        }
    }
}

fn to_cel(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(value) => cel::Value::Bool(*value),
        Value::Number(number) => {
            number.as_i64().map_or_else(|| cel::Value::Float(number.as_f64().unwrap_or(f64::NAN)), cel::Value::Int)
        }
        Value::String(text) => cel::Value::String(Arc::new(text.clone())),
        Value::Array(items) => cel::Value::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Object(items) => {
            let items: HashMap<String, cel::Value> =
                items.iter().map(|(key, item)| (key.clone(), to_cel(item))).collect();
            cel::Value::from(items)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(rule: &str) -> Result<bool, String> {
        let steps =
            json!([{"name": "fit", "memory_mib": 4096, "env": ["TOKEN"]}, {"name": "say", "memory_mib": 0, "env": []}]);
        let facts = BTreeMap::from([("steps".to_owned(), steps), ("environment".to_owned(), json!("prod"))]);
        Rule::parse(rule).map_err(|error| error.message)?.holds(&facts)
    }

    #[test]
    fn rules_ask_about_lists_of_facts() {
        assert_eq!(holds("steps.exists(s, s.memory_mib > 2048)"), Ok(true));
        assert_eq!(holds("environment == 'prod' && steps.exists(s, s.memory_mib > 8192)"), Ok(false));
        assert_eq!(holds("steps.exists(s, 'TOKEN' in s.env)"), Ok(true));
        assert_eq!(holds("size(steps) > 5"), Ok(false));
    }

    #[test]
    fn what_can_not_be_evaluated_is_told() {
        assert!(holds("nothing > 1").is_err());
        assert!(holds("steps.exists(s, s.nothing > 1)").is_err());
        assert_eq!(holds("size(steps)"), Err("it gives neither true nor false".to_owned()));
        assert!(holds("steps.map(s, s.name) == []").is_err());
    }
}
