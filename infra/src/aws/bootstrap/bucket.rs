//! The bucket: encrypted, versioned, closed to the public, reached by TLS alone, and tidied up by rules.

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types::BucketLocationConstraint;
use aws_sdk_s3::types::BucketVersioningStatus;
use aws_sdk_s3::types::CreateBucketConfiguration;
use aws_sdk_s3::types::ObjectOwnership;
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
use super::bucket_policy;
use super::failed;
use super::found;
use super::lifecycle;
use super::outcome;
use super::ownership;
use super::template::Template;
use crate::aws::clients::Clients;

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
    // What is refused is refused before anything is changed.
    let encrypts = is_encrypted(clients, name, &what).await?;
    let policy = bucket_policy::look(clients, name, &what, &template.bucket_policy()?).await?;
    let has_owner = ownership::look(clients, name, &what).await?;
    let mut mended = Vec::new();
    if !encrypts {
        encrypt(clients, name, &what).await?;
        mended.push("encryption");
    }
    if !has_versions(clients, name, &what).await? {
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let call = client.put_bucket_versioning().bucket(name).versioning_configuration(on);
        call.send().await.map_err(failed(&what, "given versions"))?;
        mended.push("versioning");
    }
    mend_access(clients, name, &what, &mut mended).await?;
    if !has_owner {
        ownership::enforce(clients, name, &what).await?;
        mended.push("object ownership");
    }
    lifecycle::mend(clients, name, &what, &mut mended).await?;
    if let Some(policy) = policy {
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

/// Whether the bucket encrypts with keys of S3; an error where it does with others.
async fn is_encrypted(clients: &Clients, name: &str, what: &str) -> Result<bool, BootstrapError> {
    let there = clients.s3.get_bucket_encryption().bucket(name).send().await;
    let absent = ["ServerSideEncryptionConfigurationNotFoundError"];
    let there = found(there, &absent).map_err(failed(what, "looked at"))?;
    let rules = there.and_then(|there| there.server_side_encryption_configuration).map(|there| there.rules);
    let algorithm = rules.unwrap_or_default().pop().and_then(|rule| rule.apply_server_side_encryption_by_default);
    match algorithm.map(|by_default| by_default.sse_algorithm) {
        Some(ServerSideEncryption::Aes256) => Ok(true),
        Some(other) => Err(BootstrapError::KmsKey { bucket: name.to_owned(), algorithm: other.as_str().to_owned() }),
        None => Ok(false),
    }
}

async fn encrypt(clients: &Clients, name: &str, what: &str) -> Result<(), BootstrapError> {
    let by_default = ServerSideEncryptionByDefault::builder().sse_algorithm(ServerSideEncryption::Aes256).build();
    let by_default = by_default.map_err(failed(what, "encrypted"))?;
    let rule = ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(by_default).build();
    let configuration = ServerSideEncryptionConfiguration::builder().rules(rule).build();
    let configuration = configuration.map_err(failed(what, "encrypted"))?;
    let call = clients.s3.put_bucket_encryption().bucket(name).server_side_encryption_configuration(configuration);
    call.send().await.map_err(failed(what, "encrypted"))?;
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
    Ok(())
}
