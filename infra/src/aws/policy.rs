//! IAM documents as JSON: what roles may do, who may assume them, who may send to queues.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::aws::policy::Statement;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

const VERSION: &str = "2012-10-17";

/// What a role may do, as IAM gets it.
pub fn permissions(statements: &[Statement]) -> String {
    let statements = statements.iter().map(|statement| {
        let mut document = Map::new();
        document.insert("Sid".to_owned(), json!(statement.sid));
        document.insert("Effect".to_owned(), json!("Allow"));
        document.insert("Action".to_owned(), json!(statement.actions));
        document.insert("Resource".to_owned(), json!(statement.resources));
        if !statement.conditions.is_empty() {
            document.insert("Condition".to_owned(), json!(statement.conditions));
        }
        Value::Object(document)
    });
    json!({ "Version": VERSION, "Statement": statements.collect::<Vec<_>>() }).to_string()
}

/// Who may assume a role: a service, and that only for what is in the account.
pub(super) fn trust(service: &str, account: &str) -> String {
    json!({
        "Version": VERSION,
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "Service": service },
            "Action": "sts:AssumeRole",
            "Condition": { "StringEquals": { "aws:SourceAccount": account } },
        }],
    })
    .to_string()
}

/// Which services may send to a queue, and for what. The ARN of a bucket names no account, and a bucket's name can come to
/// belong to somebody else: there the account is asked for as well.
pub(super) fn senders(queue_arn: &str, account: &str, senders: &BTreeMap<String, BTreeSet<String>>) -> Option<String> {
    if senders.is_empty() {
        return None;
    }
    let statements = senders.iter().map(|(service, sources)| {
        let mut condition = json!({ "ArnLike": { "aws:SourceArn": sources } });
        let names_no_account = |arn: &String| arn.split(':').nth(4).is_none_or(str::is_empty);
        if let Some(condition) = condition.as_object_mut().filter(|_| sources.iter().any(names_no_account)) {
            condition.insert("StringEquals".to_owned(), json!({ "aws:SourceAccount": account }));
        }
        json!({
            "Effect": "Allow",
            "Principal": { "Service": service },
            "Action": "sqs:SendMessage",
            "Resource": queue_arn,
            "Condition": condition,
        })
    });
    Some(json!({ "Version": VERSION, "Statement": statements.collect::<Vec<_>>() }).to_string())
}

/// Whether two documents say the same. IAM answers with percent-encoded text, and services write lists of one as they like.
pub(super) fn same(one: &str, other: &str) -> bool {
    match (read(one), read(other)) {
        (Some(one), Some(other)) => one == other,
        (None, _) | (_, None) => one == other,
    }
}

/// A document as IAM answers with it. What can be written in several ways is written in one: lists are sorted, and a list of
/// one is what it holds.
pub(super) fn read(text: &str) -> Option<Value> {
    let value = serde_json::from_str(text).ok().or_else(|| serde_json::from_str(&percent_decoded(text)?).ok());
    value.map(normal)
}

fn normal(value: Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.into_iter().map(normal).collect();
            items.sort_by_key(Value::to_string);
            match items.pop() {
                Some(only) if items.is_empty() => only,
                Some(last) => {
                    items.push(last);
                    Value::Array(items)
                }
                None => Value::Array(items),
            }
        }
        Value::Object(fields) => Value::Object(fields.into_iter().map(|(key, value)| (key, normal(value))).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let value = digit(rest.next()?)? * 16 + digit(rest.next()?)?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_trusts_one_service_and_only_for_its_own_account() {
        // Without the account, the service could be asked from any other one to act as the role ("confused deputy").
        insta::assert_snapshot!(trust("lambda.amazonaws.com", "111122223333"), @r#"{"Statement":[{"Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:SourceAccount":"111122223333"}},"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"}}],"Version":"2012-10-17"}"#);
    }

    #[test]
    fn documents_that_say_the_same_in_other_words_are_the_same() {
        let ours = r#"{"Statement":[{"Action":["a:B","c:D"],"Resource":["x"]}]}"#;
        assert!(same(ours, r#"{"Statement":{"Action":["c:D","a:B"],"Resource":"x"}}"#));
        assert!(same(
            ours,
            "%7B%22Statement%22%3A%5B%7B%22Action%22%3A%5B%22a%3AB%22%2C%22c%3AD%22%5D%2C%22Resource%22%3A%5B%22x%22%5D%7D%5D%7D"
        ));
        assert!(!same(ours, r#"{"Statement":[{"Action":["a:B"],"Resource":["x"]}]}"#));
        assert!(!same(ours, "no document"));
    }

    #[test]
    fn whoever_sends_for_a_bucket_must_send_for_the_account_too() {
        let allowed = BTreeMap::from([
            ("s3.amazonaws.com".to_owned(), BTreeSet::from(["arn:aws:s3:::data".to_owned()])),
            ("events.amazonaws.com".to_owned(), BTreeSet::from(["arn:aws:events:eu-central-1:1:rule/x".to_owned()])),
        ]);
        let policy: Value = serde_json::from_str(&senders("arn:q", "1", &allowed).unwrap()).unwrap();
        assert_eq!(policy["Statement"][0]["Condition"].get("StringEquals"), None);
        assert_eq!(policy["Statement"][1]["Condition"]["StringEquals"]["aws:SourceAccount"], "1");
        assert_eq!(senders("arn:q", "1", &BTreeMap::new()), None);
    }
}
