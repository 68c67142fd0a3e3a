//! The bucket: encrypted, versioned, closed to the public, reached by TLS alone, and tidied up by rules.

use aws_sdk_s3::error::BuildError;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types::AbortIncompleteMultipartUpload;
use aws_sdk_s3::types::BucketLifecycleConfiguration;
use aws_sdk_s3::types::BucketLocationConstraint;
use aws_sdk_s3::types::BucketVersioningStatus;
use aws_sdk_s3::types::CreateBucketConfiguration;
use aws_sdk_s3::types::ExpirationStatus;
use aws_sdk_s3::types::LifecycleRule;
use aws_sdk_s3::types::LifecycleRuleFilter;
use aws_sdk_s3::types::NoncurrentVersionExpiration;
use aws_sdk_s3::types::ObjectOwnership;
use aws_sdk_s3::types::OwnershipControls;
use aws_sdk_s3::types::OwnershipControlsRule;
use aws_sdk_s3::types::PublicAccessBlockConfiguration;
use aws_sdk_s3::types::ServerSideEncryption;
use aws_sdk_s3::types::ServerSideEncryptionByDefault;
use aws_sdk_s3::types::ServerSideEncryptionConfiguration;
use aws_sdk_s3::types::ServerSideEncryptionRule;
use aws_sdk_s3::types::Tag;
use aws_sdk_s3::types::Tagging;
use aws_sdk_s3::types::VersioningConfiguration;
use liminal_schemas::aws::AwsPlace;

use super::BootstrapError;
use super::Part;
use super::TAG;
use super::failed;
use super::found;
use super::is_same;
use super::outcome;
use super::template::Template;
use crate::aws::clients::Clients;

/// Uploads that were never finished are removed after so many days.
const ABORT_UPLOADS_DAYS: i32 = 7;

/// Overwritten and deleted objects can be had back for so many days.
const OLD_VERSIONS_DAYS: i32 = 90;

pub(super) async fn bucket(clients: &Clients, place: &AwsPlace, template: &Template) -> Result<Part, BootstrapError> {
    let (client, name) = (&clients.s3, place.bucket.as_str());
    let what = format!("bucket {name}");
    let created = match client.head_bucket().bucket(name).expected_bucket_owner(&place.account).send().await {
        Ok(_) => false,
        Err(error) => match error.raw_response().map(|response| response.status().as_u16()) {
            Some(404) => {
                create_bucket(clients, place).await?;
                true
            }
            Some(403) => return Err(BootstrapError::ForeignBucket(name.to_owned())),
            Some(_) | None => return Err(failed(&what, "looked at")(error)),
        },
    };
    let mut mended = Vec::new();
    // What is refused is refused before anything is changed.
    mend_encryption(clients, name, &what, &mut mended).await?;
    if !has_versions(clients, name, &what).await? {
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let call = client.put_bucket_versioning().bucket(name).versioning_configuration(on);
        call.send().await.map_err(failed(&what, "given versions"))?;
        mended.push("versioning");
    }
    mend_access(clients, name, &what, &mut mended).await?;
    mend_lifecycle(clients, name, &what, &mut mended).await?;
    let policy = template.bucket_policy()?;
    let there = client.get_bucket_policy().bucket(name).send().await;
    let there = found(there, &["NoSuchBucketPolicy"]).map_err(failed(&what, "looked at"))?;
    if !is_same(there.as_ref().and_then(|there| there.policy()), &policy) {
        let call = client.put_bucket_policy().bucket(name).policy(policy.to_string());
        call.send().await.map_err(failed(&what, "given its policy"))?;
        mended.push("policy (TLS only)");
    }
    Ok(Part { what, done: outcome(created, mended) })
}

async fn has_versions(clients: &Clients, name: &str, what: &str) -> Result<bool, BootstrapError> {
    match clients.s3.get_bucket_versioning().bucket(name).send().await {
        Ok(there) => Ok(there.status() == Some(&BucketVersioningStatus::Enabled)),
        Err(error) => match error.raw_response().filter(|response| response.status().is_success()) {
            // Some answer with another element, in which the same stands.
            Some(response) => {
                let body = response.body().bytes().map(String::from_utf8_lossy).unwrap_or_default();
                Ok(body.contains("<Status>Enabled</Status>"))
            }
            None => Err(failed(what, "looked at")(error)),
        },
    }
}

async fn create_bucket(clients: &Clients, place: &AwsPlace) -> Result<(), BootstrapError> {
    let what = format!("bucket {}", place.bucket);
    let mut call =
        clients.s3.create_bucket().bucket(&place.bucket).object_ownership(ObjectOwnership::BucketOwnerEnforced);
    // us-east-1 is the one region that is no location constraint.
    if place.region != "us-east-1" {
        let location = BucketLocationConstraint::from(place.region.as_str());
        call = call
            .create_bucket_configuration(CreateBucketConfiguration::builder().location_constraint(location).build());
    }
    match call.send().await {
        Ok(_) => {}
        Err(error) if error.code() == Some("BucketAlreadyExists") => {
            return Err(BootstrapError::ForeignBucket(place.bucket.clone()));
        }
        Err(error) if error.code() == Some("BucketAlreadyOwnedByYou") => {}
        Err(error) => return Err(failed(&what, "made")(error)),
    }
    let tag = Tag::builder().key(TAG.0).value(TAG.1).build().map_err(failed(&what, "tagged"))?;
    let tagging = Tagging::builder().tag_set(tag).build().map_err(failed(&what, "tagged"))?;
    let call = clients.s3.put_bucket_tagging().bucket(&place.bucket).tagging(tagging);
    call.send().await.map_err(failed(&what, "tagged"))?;
    Ok(())
}

async fn mend_encryption(
    clients: &Clients,
    name: &str,
    what: &str,
    mended: &mut Vec<&'static str>,
) -> Result<(), BootstrapError> {
    let there = clients.s3.get_bucket_encryption().bucket(name).send().await;
    let absent = ["ServerSideEncryptionConfigurationNotFoundError"];
    let there = found(there, &absent).map_err(failed(what, "looked at"))?;
    let rules = there.and_then(|there| there.server_side_encryption_configuration).map(|there| there.rules);
    let algorithm = rules.unwrap_or_default().pop().and_then(|rule| rule.apply_server_side_encryption_by_default);
    match algorithm.map(|by_default| by_default.sse_algorithm) {
        Some(ServerSideEncryption::Aes256) => return Ok(()),
        Some(other) => {
            return Err(BootstrapError::KmsKey { bucket: name.to_owned(), algorithm: other.as_str().to_owned() });
        }
        None => {}
    }
    let by_default = ServerSideEncryptionByDefault::builder().sse_algorithm(ServerSideEncryption::Aes256).build();
    let by_default = by_default.map_err(failed(what, "encrypted"))?;
    let rule = ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(by_default).build();
    let configuration = ServerSideEncryptionConfiguration::builder().rules(rule).build();
    let configuration = configuration.map_err(failed(what, "encrypted"))?;
    let call = clients.s3.put_bucket_encryption().bucket(name).server_side_encryption_configuration(configuration);
    call.send().await.map_err(failed(what, "encrypted"))?;
    mended.push("encryption");
    Ok(())
}

async fn mend_access(
    clients: &Clients,
    name: &str,
    what: &str,
    mended: &mut Vec<&'static str>,
) -> Result<(), BootstrapError> {
    let closed = PublicAccessBlockConfiguration::builder()
        .block_public_acls(true)
        .block_public_policy(true)
        .ignore_public_acls(true)
        .restrict_public_buckets(true)
        .build();
    let there = clients.s3.get_public_access_block().bucket(name).send().await;
    let there = found(there, &["NoSuchPublicAccessBlockConfiguration"]).map_err(failed(what, "looked at"))?;
    if there.and_then(|there| there.public_access_block_configuration).as_ref() != Some(&closed) {
        let call = clients.s3.put_public_access_block().bucket(name).public_access_block_configuration(closed);
        call.send().await.map_err(failed(what, "closed to the public"))?;
        mended.push("public access block");
    }
    let there = clients.s3.get_bucket_ownership_controls().bucket(name).send().await;
    let there = found(there, &["OwnershipControlsNotFoundError"]).map_err(failed(what, "looked at"))?;
    let enforced = there.and_then(|there| there.ownership_controls).is_some_and(|controls| {
        controls.rules().iter().any(|rule| *rule.object_ownership() == ObjectOwnership::BucketOwnerEnforced)
    });
    if !enforced {
        let rule = OwnershipControlsRule::builder().object_ownership(ObjectOwnership::BucketOwnerEnforced).build();
        let rule = rule.map_err(failed(what, "given an owner"))?;
        let controls = OwnershipControls::builder().rules(rule).build().map_err(failed(what, "given an owner"))?;
        let call = clients.s3.put_bucket_ownership_controls().bucket(name).ownership_controls(controls);
        call.send().await.map_err(failed(what, "given an owner"))?;
        mended.push("object ownership");
    }
    Ok(())
}

/// Brings the rules of ours to what they should be, whole. Others of the bucket stay as they are.
async fn mend_lifecycle(
    clients: &Clients,
    name: &str,
    what: &str,
    mended: &mut Vec<&'static str>,
) -> Result<(), BootstrapError> {
    let there = clients.s3.get_bucket_lifecycle_configuration().bucket(name).send().await;
    let there = found(there, &["NoSuchLifecycleConfiguration"]).map_err(failed(what, "looked at"))?;
    // Whoever writes rules without it sets it to S3's own choice, for the rules of others too.
    let least_size = there.as_ref().and_then(|there| there.transition_default_minimum_object_size.clone());
    let mut rules = there.and_then(|there| there.rules).unwrap_or_default();
    let wanted = lifecycle_rules().map_err(failed(what, "given rules"))?;
    if wanted.iter().all(|rule| rules.iter().any(|there| is_rule(there, rule))) {
        return Ok(());
    }
    rules.retain(|there| !wanted.iter().any(|rule| rule.id() == there.id()));
    rules.extend(wanted);
    let configuration = BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build();
    let configuration = configuration.map_err(failed(what, "given rules"))?;
    let call = clients.s3.put_bucket_lifecycle_configuration().bucket(name).lifecycle_configuration(configuration);
    let call = call.set_transition_default_minimum_object_size(least_size);
    call.send().await.map_err(failed(what, "given rules"))?;
    mended.push("lifecycle rules");
    Ok(())
}

/// The rules of ours, each for all objects.
fn lifecycle_rules() -> Result<[LifecycleRule; 2], BuildError> {
    let uploads = AbortIncompleteMultipartUpload::builder().days_after_initiation(ABORT_UPLOADS_DAYS).build();
    let versions = NoncurrentVersionExpiration::builder().noncurrent_days(OLD_VERSIONS_DAYS).build();
    let rule = |id| LifecycleRule::builder().id(id).status(ExpirationStatus::Enabled).filter(everything());
    Ok([
        rule("liminal-abort-uploads").abort_incomplete_multipart_upload(uploads).build()?,
        rule("liminal-old-versions").noncurrent_version_expiration(versions).build()?,
    ])
}

fn everything() -> LifecycleRuleFilter {
    LifecycleRuleFilter::builder().prefix("").build()
}

/// Whether a rule that is there is the wanted one in all that it says. That it is for all objects is written in several ways.
fn is_rule(there: &LifecycleRule, wanted: &LifecycleRule) -> bool {
    let mut there = there.clone();
    #[expect(deprecated, reason = "S3 still answers with it where a rule was made with it")]
    let prefix = there.prefix.take().unwrap_or_default();
    let filter = there.filter.take().unwrap_or_else(everything);
    let is_for_all = filter == everything() || filter == LifecycleRuleFilter::builder().build();
    there.filter = Some(everything());
    prefix.is_empty() && is_for_all && there == *wanted
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::LifecycleExpiration;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_template_has_the_same_rules() {
        let place = AwsPlace {
            partition: "aws".to_owned(),
            region: "eu-central-1".to_owned(),
            account: "123456789012".to_owned(),
            bucket: "data".to_owned(),
            endpoint: None,
        };
        let template = Template::new(&place, None).expect("readable");
        let rules = template.part(&["Bucket", "Properties", "LifecycleConfiguration", "Rules"]).expect("complete");
        let [uploads, versions] = lifecycle_rules().expect("complete");
        let of_uploads =
            uploads.abort_incomplete_multipart_upload().and_then(AbortIncompleteMultipartUpload::days_after_initiation);
        let of_versions =
            versions.noncurrent_version_expiration().and_then(NoncurrentVersionExpiration::noncurrent_days);
        let wanted = json!([
            { "Id": uploads.id(), "Status": "Enabled", "AbortIncompleteMultipartUpload": { "DaysAfterInitiation": of_uploads } },
            { "Id": versions.id(), "Status": "Enabled", "NoncurrentVersionExpiration": { "NoncurrentDays": of_versions } },
        ]);
        assert_eq!(rules, wanted);
    }

    #[test]
    fn a_rule_is_ours_only_when_all_that_it_says_is_however_it_says_that_it_is_for_everything() {
        let [uploads, versions] = lifecycle_rules().expect("complete");
        assert!(is_rule(&uploads, &uploads) && !is_rule(&uploads, &versions));
        let changed = |change: &dyn Fn(&mut LifecycleRule)| {
            let mut rule = versions.clone();
            change(&mut rule);
            is_rule(&rule, &versions)
        };
        assert!(changed(&|rule| rule.filter = None));
        assert!(changed(&|rule| rule.filter = Some(LifecycleRuleFilter::builder().build())));
        let short = || LifecycleRuleFilter::builder().prefix("shop/").build();
        assert!(!changed(&|rule| rule.filter = Some(short())));
        assert!(!changed(&|rule| rule.status = ExpirationStatus::Disabled));
        let days = |days| NoncurrentVersionExpiration::builder().noncurrent_days(days).build();
        assert!(!changed(&|rule| rule.noncurrent_version_expiration = Some(days(1))));
        assert!(!changed(&|rule| rule.expiration = Some(LifecycleExpiration::builder().days(1).build())));
    }
}
