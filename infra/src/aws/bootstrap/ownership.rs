//! Whose the objects of the bucket are: its owner's, whoever put them there, and no ACL says otherwise.

use aws_sdk_s3::types::ObjectOwnership;
use aws_sdk_s3::types::OwnershipControls;
use aws_sdk_s3::types::OwnershipControlsRule;

use super::BootstrapError;
use super::TAG;
use super::failed;
use super::found;
use crate::aws::clients::Clients;

/// Whether all objects are the bucket owner's. A bucket that liminal did not make may have objects that others reach by
/// ACLs, which would stop to count: it is refused.
pub(super) async fn look(clients: &Clients, name: &str, what: &str) -> Result<bool, BootstrapError> {
    let there = clients.s3.get_bucket_ownership_controls().bucket(name).send().await;
    let there = found(there, &["OwnershipControlsNotFoundError"]).map_err(failed(what, "looked at"))?;
    let rules = there.and_then(|there| there.ownership_controls).map(|controls| controls.rules).unwrap_or_default();
    let found = rules.first().map(|rule| rule.object_ownership.clone());
    if found == Some(ObjectOwnership::BucketOwnerEnforced) {
        return Ok(true);
    }
    if is_made_by_us(clients, name, what).await? {
        return Ok(false);
    }
    let ownership = found.map_or_else(|| "none".to_owned(), |found| found.as_str().to_owned());
    Err(BootstrapError::Ownership { bucket: name.to_owned(), ownership })
}

pub(super) async fn enforce(clients: &Clients, name: &str, what: &str) -> Result<(), BootstrapError> {
    let rule = OwnershipControlsRule::builder().object_ownership(ObjectOwnership::BucketOwnerEnforced).build();
    let rule = rule.map_err(failed(what, "given an owner"))?;
    let controls = OwnershipControls::builder().rules(rule).build().map_err(failed(what, "given an owner"))?;
    let call = clients.s3.put_bucket_ownership_controls().bucket(name).ownership_controls(controls);
    call.send().await.map_err(failed(what, "given an owner"))?;
    Ok(())
}

async fn is_made_by_us(clients: &Clients, name: &str, what: &str) -> Result<bool, BootstrapError> {
    let there = clients.s3.get_bucket_tagging().bucket(name).send().await;
    let there = found(there, &["NoSuchTagSet"]).map_err(failed(what, "looked at"))?;
    Ok(there.is_some_and(|there| there.tag_set.iter().any(|tag| (tag.key(), tag.value()) == TAG)))
}
