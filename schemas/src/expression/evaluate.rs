//! Evaluating an expression over the parameters and metrics of a run.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use crate::name::FieldName;
use crate::name::RunId;
use crate::name::StepName;
use crate::value::Value;
use crate::value::ValueType;

use super::Expression;
use super::references::metric_path;
use super::types::Type;

/// How many values, each element of a list counted, the parameters of one expression may hold. Bounds what macros cost.
const MAX_VALUES: usize = 10_000;

/// What an expression is evaluated over.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The parameters of the run.
    pub params: &'a BTreeMap<FieldName, Value>,
    /// The metrics of the steps that have some.
    pub metrics: &'a BTreeMap<StepName, BTreeMap<String, f64>>,
    /// The run.
    pub run_id: &'a RunId,
}

/// How an expression came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Whether it holds.
    pub value: bool,
    /// The value of every metric and parameter that it names, by the path it is written by: `metrics.evaluate.auc`.
    pub values: BTreeMap<String, Value>,
}

impl Expression {
    /// Evaluates the expression.
    ///
    /// # Errors
    /// A sentence on what is missing or does not fit. The time and memory it takes are bounded by the size of the
    /// expression and of the parameters.
    pub fn evaluate(&self, scope: &Scope<'_>) -> Result<Evaluation, String> {
        if let Some(problem) = self.references.problems.first() {
            return Err(problem.message.clone());
        }
        let mut values = BTreeMap::new();
        let mut context = cel::Context::default();
        context.add_variable_from_value("metrics", self.metrics(scope, &mut values)?);
        context.add_variable_from_value("params", self.params(scope, &mut values)?);
        context.add_variable_from_value("run", HashMap::from([("id".to_owned(), scope.run_id.to_string())]));
        let type_of =
            |name: &str| scope.params.get(name).and_then(Value::value_type).map_or(Type::Any, ValueType::into);
        let root = self.typed(&type_of).map_err(|error| error.message)?;
        match cel::Value::resolve(&root, &context) {
            Ok(cel::Value::Bool(value)) => Ok(Evaluation { value, values }),
            Ok(_) => Err("it gives neither true nor false".to_owned()),
            Err(error) => Err(sentence(&error)),
        }
    }

    fn metrics(
        &self,
        scope: &Scope<'_>,
        values: &mut BTreeMap<String, Value>,
    ) -> Result<HashMap<String, cel::Value>, String> {
        let mut all = HashMap::new();
        for (step, names) in &self.references.metrics {
            let nothing = BTreeMap::new();
            let made = scope.metrics.get(step).unwrap_or(&nothing);
            let mut known: HashMap<String, cel::Value> = HashMap::new();
            for name in names {
                match made.get(name) {
                    Some(number) if number.is_nan() => {
                        return Err(format!("metric {name} of step {step} is no number"));
                    }
                    Some(number) => {
                        values.insert(metric_path(step, name), Value::Float(*number));
                        known.insert(name.clone(), cel::Value::Float(*number));
                    }
                    None if self.references.optional.contains(&(step.clone(), name.clone())) => {}
                    None => return Err(missing_metric(step, name, made)),
                }
            }
            all.insert(step.to_string(), cel::Value::from(known));
        }
        Ok(all)
    }

    fn params(
        &self,
        scope: &Scope<'_>,
        values: &mut BTreeMap<String, Value>,
    ) -> Result<HashMap<String, cel::Value>, String> {
        let mut all = HashMap::new();
        let mut left = MAX_VALUES;
        for name in &self.references.params {
            let value = scope.params.get(name).ok_or_else(|| format!("there is no parameter {name}"))?;
            if !fits(value, &mut left) {
                return Err(format!("its parameters hold more than {MAX_VALUES} values"));
            }
            values.insert(format!("params.{name}"), value.clone());
            all.insert(name.to_string(), to_cel(value));
        }
        Ok(all)
    }
}

/// Counts a value and all that is in it against what is left.
fn fits(value: &Value, left: &mut usize) -> bool {
    let Some(fewer) = left.checked_sub(1) else { return false };
    *left = fewer;
    match value {
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => true,
        Value::List(items) => items.iter().all(|item| fits(item, left)),
        Value::Map(items) => items.values().all(|item| fits(item, left)),
    }
}

fn to_cel(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(value) => cel::Value::Bool(*value),
        Value::Int(value) => cel::Value::Int(*value),
        Value::Float(value) => cel::Value::Float(*value),
        Value::Text(value) => cel::Value::String(Arc::new(value.clone())),
        Value::List(items) => cel::Value::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Map(items) => {
            let items: HashMap<String, cel::Value> =
                items.iter().map(|(key, item)| (key.clone(), to_cel(item))).collect();
            cel::Value::from(items)
        }
    }
}

fn missing_metric(step: &StepName, name: &str, made: &BTreeMap<String, f64>) -> String {
    if made.is_empty() {
        return format!("step {step} left no metrics, so there is no {name}");
    }
    let names: Vec<&str> = made.keys().map(String::as_str).take(20).collect();
    let meant = crate::suggestion::closest(name, made.keys().map(String::as_str));
    let meant = meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
    format!("step {step} left no metric {name}; its metrics are {}{meant}", names.join(", "))
}

pub(super) fn sentence(error: &cel::ExecutionError) -> String {
    match error {
        cel::ExecutionError::DivisionByZero(_) | cel::ExecutionError::RemainderByZero(_) => {
            "it divides by zero".to_owned()
        }
        cel::ExecutionError::Overflow(..) => "a whole number becomes too large".to_owned(),
        cel::ExecutionError::NoSuchKey(key) => format!("there is no `{key}` in the map"),
        cel::ExecutionError::IndexOutOfBounds(_) => "the list has no element of that number".to_owned(),
        other => other.to_string(),
    }
}
