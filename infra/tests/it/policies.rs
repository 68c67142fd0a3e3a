//! IAM policies, evaluated as far as those of liminal go: they allow, and never deny.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;

/// What is known of a request: keys of conditions, and a value of each.
pub(crate) type Context = BTreeMap<&'static str, String>;

/// Whether a policy allows an action on something.
pub(crate) fn allows(policy: &Value, action: &str, arn: &str, context: &Context) -> bool {
    statements(policy).any(|statement| {
        texts(&statement["Action"]).any(|pattern| matches(pattern, action))
            && texts(&statement["Resource"]).any(|pattern| matches(pattern, arn))
            && holds(&statement["Condition"], context)
    })
}

/// All actions that a policy names.
pub(crate) fn grants(policy: &Value) -> BTreeSet<String> {
    statements(policy).flat_map(|statement| texts(&statement["Action"]).map(str::to_owned)).collect()
}

fn statements(policy: &Value) -> impl Iterator<Item = &Value> {
    let statements = policy["Statement"].as_array().expect("a list of statements");
    statements.iter().inspect(|statement| assert_eq!(statement["Effect"], "Allow", "{statement}"))
}

/// The texts of a list, or the one that stands in place of one.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let list = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
    list.iter().filter_map(Value::as_str)
}

/// Whether all conditions hold.
fn holds(conditions: &Value, context: &Context) -> bool {
    let operators = conditions.as_object().into_iter().flatten();
    operators.flat_map(|(operator, keys)| keys.as_object().into_iter().flatten().map(move |key| (operator, key))).all(
        |(operator, (key, wanted))| {
            let found = context.get(key.as_str());
            let is_any =
                |same: &dyn Fn(&str, &str) -> bool, found: &String| texts(wanted).any(|text| same(text, found));
            let equal = |wanted: &str, found: &str| wanted == found;
            match operator.as_str() {
                "StringEquals" => found.is_some_and(|found| is_any(&equal, found)),
                "ArnLike" => found.is_some_and(|found| is_any(&matches, found)),
                // Nothing to compare is as good as what compares.
                "ArnLikeIfExists" | "ForAllValues:StringLike" => found.is_none_or(|found| is_any(&matches, found)),
                other => panic!("the operator {other} is not known here"),
            }
        },
    )
}

/// Whether a text matches a pattern, in which `*` stands for any letters and `?` for one.
fn matches(pattern: &str, text: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => text.is_empty(),
        Some('*') => {
            text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| matches(rest.as_str(), &text[at..]))
        }
        Some(letter) => {
            let mut text = text.chars();
            text.next().is_some_and(|found| letter == '?' || letter == found) && matches(rest.as_str(), text.as_str())
        }
    }
}

#[test]
fn patterns_match_as_those_of_iam_do() {
    assert!(matches("liminal-*-triggers-*", "liminal-shop-prod-triggers-0a-dlq"));
    assert!(!matches("liminal-*-triggers-*", "liminal-shop-prod-train-fit-0a"));
    assert!(matches("secret:x-??????", "secret:x-a1b2c3") && !matches("secret:x-??????", "secret:x-a1"));
    assert!(matches("*", "") && matches("*", "*") && !matches("", "x"));
}
