//! The permission boundary of the roles that liminal makes. An account has one for all its regions and buckets, so that each
//! bootstrap adds its bucket to those that are there, and takes none away.

use std::collections::BTreeSet;

use aws_sdk_iam::types::Tag;
use liminal_schemas::aws::AwsPlace;
use liminal_schemas::aws::names;
use serde_json::Value;

use super::ABSENT;
use super::BootstrapError;
use super::Done;
use super::Part;
use super::TAG;
use super::failed;
use super::found;
use super::is_same;
use super::template::Template;
use crate::aws::clients::Clients;
use crate::aws::policy;

/// The statement of the boundary that names the buckets to which roles may write.
const WRITES: &str = "WriteObjects";

/// The most that a managed policy may have, in characters without spaces (IAM quotas, 2026-11).
const MAX_POLICY: usize = 6144;

pub(super) async fn boundary(clients: &Clients, place: &AwsPlace, template: &Template) -> Result<Part, BootstrapError> {
    let (client, arn) = (&clients.iam, names::boundary_arn(place));
    let what = format!("permission boundary {}", names::BOUNDARY_POLICY);
    let document = template.boundary()?;
    let there = client.get_policy().policy_arn(&arn).send().await;
    let there = found(there, &ABSENT).map_err(failed(&what, "looked at"))?;
    let Some(policy) = there.and_then(|there| there.policy) else {
        let tag = Tag::builder().key(TAG.0).value(TAG.1).build();
        let call = client
            .create_policy()
            .policy_name(names::BOUNDARY_POLICY)
            .description("The most that any role made by liminal may do, whatever its own policy says.")
            .policy_document(document.to_string())
            .tags(tag.map_err(failed(&what, "tagged"))?);
        call.send().await.map_err(failed(&what, "made"))?;
        return Ok(Part { what, done: Done::Created });
    };
    let version = policy.default_version_id().unwrap_or("v1");
    let there = client.get_policy_version().policy_arn(&arn).version_id(version).send().await;
    let there = there.map_err(failed(&what, "looked at"))?;
    let there = there.policy_version().and_then(|version| version.document());
    let document = with_buckets_of(there, document);
    if is_same(there, &document) {
        return Ok(Part { what, done: Done::Unchanged });
    }
    if document.to_string().len() > MAX_POLICY {
        return Err(BootstrapError::BoundaryFull);
    }
    // A policy has at most five versions: the oldest gives way.
    let versions = client.list_policy_versions().policy_arn(&arn).send().await.map_err(failed(&what, "looked at"))?;
    let mut old: Vec<&str> = versions
        .versions()
        .iter()
        .filter(|version| !version.is_default_version())
        .filter_map(|version| version.version_id())
        .collect();
    old.sort_by_key(|id| id.trim_start_matches('v').parse::<u32>().unwrap_or(0));
    if let (true, Some(oldest)) = (old.len() >= 4, old.first()) {
        let call = client.delete_policy_version().policy_arn(&arn).version_id(*oldest);
        call.send().await.map_err(failed(&what, "changed"))?;
    }
    let call =
        client.create_policy_version().policy_arn(&arn).policy_document(document.to_string()).set_as_default(true);
    call.send().await.map_err(failed(&what, "changed"))?;
    Ok(Part { what, done: Done::Mended(vec!["policy"]) })
}

/// The boundary, with the buckets in it besides that the one which is there lets roles write to. Only single buckets are
/// taken over: what was widened to all of them is not.
fn with_buckets_of(there: Option<&str>, mut wanted: Value) -> Value {
    let Some(there) = there.and_then(policy::read) else { return wanted };
    let kept = statements(&there).iter().filter(|statement| is_of_writes(statement));
    let kept: Vec<Value> =
        kept.flat_map(|statement| each(&statement["Resource"])).filter(|arn| is_of_one_bucket(arn)).cloned().collect();
    let lists = wanted.get_mut("Statement").and_then(Value::as_array_mut);
    let lists = lists.into_iter().flatten().filter(|statement| is_of_writes(statement));
    for buckets in lists.filter_map(|statement| statement.get_mut("Resource")).filter_map(Value::as_array_mut) {
        let named: BTreeSet<String> = buckets.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        buckets.extend(kept.iter().filter(|arn| arn.as_str().is_some_and(|arn| !named.contains(arn))).cloned());
    }
    wanted
}

fn statements(policy: &Value) -> &[Value] {
    each(&policy["Statement"])
}

fn is_of_writes(statement: &Value) -> bool {
    statement["Sid"] == WRITES
}

/// Whether a text names the objects of a bucket, and of no other: `arn:aws:s3:::data/*`.
fn is_of_one_bucket(arn: &Value) -> bool {
    let bucket = arn.as_str().and_then(|arn| arn.split_once(":s3:::")).and_then(|(_, rest)| rest.strip_suffix("/*"));
    bucket.is_some_and(|bucket| {
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-');
        !bucket.is_empty() && bucket.chars().all(is_letter)
    })
}

/// What a list holds, or the one thing that stands in place of a list.
fn each(value: &Value) -> &[Value] {
    value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn boundary(bucket: &str) -> Value {
        let place = AwsPlace {
            partition: "aws".to_owned(),
            region: "eu-central-1".to_owned(),
            account: "123456789012".to_owned(),
            bucket: bucket.to_owned(),
            endpoint: None,
        };
        Template::new(&place, None).expect("readable").boundary().expect("complete")
    }

    /// What roles may write to.
    fn written(boundary: &Value) -> Vec<&str> {
        let statement = statements(boundary).iter().find(|statement| is_of_writes(statement)).expect("writes");
        each(&statement["Resource"]).iter().map(|arn| arn.as_str().expect("a text")).collect()
    }

    #[test]
    fn a_bucket_is_added_to_those_that_are_there_and_none_is_named_twice() {
        const BY_DEFAULT: &str = "arn:aws:s3:::liminal-123456789012-*/*";
        let (one, other) = (boundary("one"), boundary("other"));
        assert_eq!(written(&one), [BY_DEFAULT, "arn:aws:s3:::one/*"]);
        let both = with_buckets_of(Some(&one.to_string()), other.clone());
        assert_eq!(written(&both), [BY_DEFAULT, "arn:aws:s3:::other/*", "arn:aws:s3:::one/*"]);
        let again = with_buckets_of(Some(&both.to_string()), one);
        assert!(policy::same(&again.to_string(), &both.to_string()), "{again}");
        assert_eq!(with_buckets_of(None, other.clone()), other);
        assert_eq!(with_buckets_of(Some("no document"), other.clone()), other);
    }

    #[test]
    fn what_was_widened_to_more_than_single_buckets_is_not_taken_over() {
        let widened = |resource: Value, sid: &str| {
            let there =
                json!({ "Statement": { "Sid": sid, "Effect": "Allow", "Action": "s3:*", "Resource": resource } });
            with_buckets_of(Some(&there.to_string()), boundary("one"))
        };
        assert_eq!(widened(json!("arn:aws:s3:::kept/*"), WRITES)["Statement"][1]["Resource"][2], "arn:aws:s3:::kept/*");
        for resource in ["*", "arn:aws:s3:::*", "arn:aws:s3:::*/*", "arn:aws:s3:::data-*/*", "arn:aws:s3:::data/x/*"] {
            assert_eq!(widened(json!([resource]), WRITES), boundary("one"), "{resource}");
        }
        assert_eq!(widened(json!("arn:aws:s3:::kept/*"), "Objects"), boundary("one"));
    }
}
