//! The policy of the bucket: our statements, and those that its owner has there besides.

use serde_json::Map;
use serde_json::Value;

use super::BootstrapError;
use super::failed;
use super::found;
use super::is_same;
use crate::aws::clients::Clients;

/// The policy to write; none where it is there already. `ours` are our statements.
pub(super) async fn look(
    clients: &Clients,
    name: &str,
    what: &str,
    ours: &Value,
) -> Result<Option<Value>, BootstrapError> {
    let there = clients.s3.get_bucket_policy().bucket(name).send().await;
    let there = found(there, &["NoSuchBucketPolicy"]).map_err(failed(what, "looked at"))?;
    let there = there.as_ref().and_then(|there| there.policy());
    let wanted = match there {
        None => ours.clone(),
        Some(there) => merged(there, ours).ok_or_else(|| BootstrapError::BucketPolicy(name.to_owned()))?,
    };
    Ok(Some(wanted).filter(|wanted| !is_same(there, wanted)))
}

/// A policy with our statements in place of those of the same `Sid`, and at the end where there are none. All else stays as it
/// is and where it is, the version too: under another one, variables in statements of others would come to mean something
/// else, and ours have none. None where it is no policy.
fn merged(there: &str, ours: &Value) -> Option<Value> {
    let mut policy: Map<String, Value> = serde_json::from_str(there).ok()?;
    let mut statements = match policy.remove("Statement") {
        None => Vec::new(),
        Some(Value::Array(statements)) => statements,
        Some(statement @ Value::Object(_)) => vec![statement],
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => return None,
    };
    for our in ours.get("Statement").and_then(Value::as_array).into_iter().flatten() {
        match statements.iter_mut().find(|there| there.get("Sid") == our.get("Sid")) {
            Some(there) => there.clone_from(our),
            None => statements.push(our.clone()),
        }
    }
    policy.insert("Statement".to_owned(), Value::Array(statements));
    Some(Value::Object(policy))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ours() -> Value {
        json!({ "Version": "2012-10-17", "Statement": [{ "Sid": "TlsOnly", "Effect": "Deny" }, { "Sid": "ModernTlsOnly", "Effect": "Deny" }] })
    }

    #[test]
    fn statements_of_others_stay_in_their_order_and_ours_are_replaced_where_they_are() {
        let (first, last) = (json!({ "Effect": "Deny", "Action": "s3:*" }), json!({ "Sid": "Vpc", "Effect": "Deny" }));
        let there =
            json!({ "Version": "2008-10-17", "Id": "theirs", "Statement": [first, { "Sid": "ModernTlsOnly" }, last] });
        let wanted = json!({ "Version": "2008-10-17", "Id": "theirs", "Statement": [
            { "Effect": "Deny", "Action": "s3:*" }, ours()["Statement"][1], { "Sid": "Vpc", "Effect": "Deny" }, ours()["Statement"][0],
        ] });
        let merged_once = merged(&there.to_string(), &ours()).expect("a policy");
        assert_eq!(merged_once, wanted);
        assert_eq!(merged(&merged_once.to_string(), &ours()), Some(wanted));
    }

    #[test]
    fn a_statement_that_stands_alone_is_kept_and_what_is_no_policy_is_refused() {
        let alone = json!({ "Version": "2012-10-17", "Statement": { "Sid": "Partner", "Effect": "Allow" } });
        let statements = merged(&alone.to_string(), &ours()).expect("a policy")["Statement"].clone();
        assert_eq!(statements[0], alone["Statement"]);
        assert_eq!(statements.as_array().map(Vec::len), Some(3));
        assert_eq!(merged(r#"{"Version":"2012-10-17"}"#, &ours()), Some(ours()));
        for no_policy in ["", "[]", "\"Deny\"", "<Policy/>", r#"{"Statement":"Deny"}"#, r#"{"Statement":null}"#] {
            assert_eq!(merged(no_policy, &ours()), None, "{no_policy}");
        }
    }
}
