//! Any text as the expression of a gate or a condition: what is checked has a value or a reason why not, in bounded time.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use liminal_schemas::expression::Expression;
use liminal_schemas::expression::Scope;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::value::Value;

fuzz_target!(|data: &str| {
    let Ok(expression) = Expression::parse(data) else { return };
    let name = |text: &str| FieldName::new(text).expect("valid");
    let params = BTreeMap::from([
        (name("full"), Value::Bool(true)),
        (name("seed"), Value::Int(7)),
        (name("rate"), Value::Float(0.1)),
        (name("text"), Value::Text("eu".to_owned())),
        (name("list"), Value::List(vec![Value::Int(1), Value::Int(2)])),
    ]);
    let types = params.iter().map(|(name, value)| {
        use liminal_schemas::value::ValueType;
        let value_type = match value {
            Value::Bool(_) => ValueType::Bool,
            Value::Int(_) => ValueType::Int,
            Value::Float(_) => ValueType::Float,
            Value::List(_) => ValueType::List,
            Value::Map(_) => ValueType::Map,
            Value::Null | Value::Text(_) => ValueType::String,
        };
        (name.clone(), value_type)
    });
    let types = types.collect();
    drop(expression.check(&types));
    let step = StepName::new("train").expect("valid");
    let metrics = BTreeMap::from([(step, BTreeMap::from([("auc".to_owned(), 0.93)]))]);
    let run_id = RunId::new("20261124-230239-x7k2").expect("valid");
    drop(expression.evaluate(&Scope { params: &params, metrics: &metrics, run_id: &run_id }));
});
