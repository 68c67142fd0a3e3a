//! What an account and region need once: a bucket, a cluster, an image repository, a permission boundary and, for a CI, a
//! role to deploy with. Each part is looked at first and made or mended only where that is needed, so that doing it again
//! changes nothing.

pub mod template;

use aws_sdk_ecr::types::ImageScanningConfiguration;
use aws_sdk_ecr::types::ImageTagMutability;
use aws_sdk_s3::error::ProvideErrorMetadata;
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
use liminal_schemas::aws::names;
use serde_json::Value;

use self::template::Deployer;
use self::template::Template;
use self::template::TemplateError;
use super::clients::Clients;
use crate::ports::PortError;

/// The tag of everything that bootstrap makes.
const TAG: (&str, &str) = ("liminal:bootstrap", "1");

/// Uploads that were never finished are removed after so many days.
const ABORT_UPLOADS_DAYS: i32 = 7;

/// Overwritten and deleted objects can be had back for so many days.
const OLD_VERSIONS_DAYS: i32 = 90;

/// The role that a CI deploys with.
pub const DEPLOY_ROLE: &str = "liminal-deploy";

/// One part of what an account needs, as it came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is, with its name: `bucket liminal-123456789012-eu-central-1`.
    pub what: String,
    /// What was done.
    pub done: Done,
}

/// What was done about a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// It was there as it should be.
    Unchanged,
    /// It was made.
    Created,
    /// It was there, and these of its settings were brought to what they should be.
    Mended(Vec<&'static str>),
}

/// Why a part can not be made.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// A call failed.
    #[error("{what} can not be {action}")]
    Call {
        /// The part.
        what: String,
        /// What was tried: `made`, `looked at`…
        action: &'static str,
        /// The cause.
        source: PortError,
    },
    /// The bucket belongs to somebody else.
    #[error("the bucket {0} belongs to another account; name another with `bucket:` of the environment")]
    ForeignBucket(String),
    /// The template can not be used.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// Makes what is missing, and says of every part what was done. `report` hears of each as it is done.
///
/// # Errors
/// The first part that can not be made. Doing it again goes on from there.
pub async fn bootstrap(
    clients: &Clients,
    place: &AwsPlace,
    deployer: Option<&Deployer>,
    report: &mut dyn FnMut(&Part),
) -> Result<Vec<Part>, BootstrapError> {
    let template = Template::new(place, deployer)?;
    let mut parts = Vec::new();
    let mut done = |part: Part| {
        report(&part);
        parts.push(part);
    };
    done(bucket(clients, place, &template).await?);
    done(boundary(clients, place, &template).await?);
    done(cluster(clients).await?);
    done(repository(clients).await?);
    if deployer.is_some() {
        done(deploy_role(clients, &template).await?);
    }
    Ok(parts)
}

fn failed<E>(what: &str, action: &'static str) -> impl FnOnce(E) -> BootstrapError
where
    E: std::error::Error + Send + Sync + 'static,
{
    let what = what.to_owned();
    move |source| BootstrapError::Call { what, action, source: Box::new(source) }
}

/// A call whose answer "there is none" is no failure.
fn found<T, E>(answer: Result<T, E>, absent: &[&str]) -> Result<Option<T>, E>
where
    E: ProvideErrorMetadata,
{
    match answer {
        Ok(there) => Ok(Some(there)),
        Err(error) if error.code().is_some_and(|code| absent.contains(&code)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn same_document(text: Option<&str>, wanted: &Value) -> bool {
    text.and_then(|text| serde_json::from_str::<Value>(text).ok()).is_some_and(|there| there == *wanted)
}

async fn bucket(clients: &Clients, place: &AwsPlace, template: &Template) -> Result<Part, BootstrapError> {
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
    let versioning = client.get_bucket_versioning().bucket(name).send().await.map_err(failed(&what, "looked at"))?;
    if versioning.status() != Some(&BucketVersioningStatus::Enabled) {
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let call = client.put_bucket_versioning().bucket(name).versioning_configuration(on);
        call.send().await.map_err(failed(&what, "given versions"))?;
        mended.push("versioning");
    }
    mend_encryption(clients, name, &what, &mut mended).await?;
    mend_access(clients, name, &what, &mut mended).await?;
    mend_lifecycle(clients, name, &what, &mut mended).await?;
    let policy = template.bucket_policy()?;
    let there = client.get_bucket_policy().bucket(name).send().await;
    let there = found(there, &["NoSuchBucketPolicy"]).map_err(failed(&what, "looked at"))?;
    if !same_document(there.as_ref().and_then(|there| there.policy()), &policy) {
        let call = client.put_bucket_policy().bucket(name).policy(policy.to_string());
        call.send().await.map_err(failed(&what, "given its policy"))?;
        mended.push("policy (TLS only)");
    }
    Ok(Part { what, done: outcome(created, mended) })
}

fn outcome(created: bool, mended: Vec<&'static str>) -> Done {
    match (created, mended.is_empty()) {
        (true, _) => Done::Created,
        (false, true) => Done::Unchanged,
        (false, false) => Done::Mended(mended),
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
    // A key of the owner's choice is as good.
    let encrypted = there.is_some_and(|there| {
        there.server_side_encryption_configuration().is_some_and(|configuration| !configuration.rules().is_empty())
    });
    if encrypted {
        return Ok(());
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

/// The rules of ours, by id. Others of the bucket stay.
async fn mend_lifecycle(
    clients: &Clients,
    name: &str,
    what: &str,
    mended: &mut Vec<&'static str>,
) -> Result<(), BootstrapError> {
    let there = clients.s3.get_bucket_lifecycle_configuration().bucket(name).send().await;
    let there = found(there, &["NoSuchLifecycleConfiguration"]).map_err(failed(what, "looked at"))?;
    let mut rules = there.and_then(|there| there.rules).unwrap_or_default();
    let everything = || LifecycleRuleFilter::builder().prefix("").build();
    let uploads = LifecycleRule::builder()
        .id("liminal-abort-uploads")
        .status(ExpirationStatus::Enabled)
        .filter(everything())
        .abort_incomplete_multipart_upload(
            AbortIncompleteMultipartUpload::builder().days_after_initiation(ABORT_UPLOADS_DAYS).build(),
        )
        .build();
    let versions = LifecycleRule::builder()
        .id("liminal-old-versions")
        .status(ExpirationStatus::Enabled)
        .filter(everything())
        .noncurrent_version_expiration(
            NoncurrentVersionExpiration::builder().noncurrent_days(OLD_VERSIONS_DAYS).build(),
        )
        .build();
    let wanted = [uploads.map_err(failed(what, "given rules"))?, versions.map_err(failed(what, "given rules"))?];
    let has = |rule: &LifecycleRule| rules.iter().any(|there| there.id() == rule.id());
    if wanted.iter().all(has) {
        return Ok(());
    }
    rules.retain(|there| !wanted.iter().any(|rule| rule.id() == there.id()));
    rules.extend(wanted);
    let configuration = BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build();
    let configuration = configuration.map_err(failed(what, "given rules"))?;
    let call = clients.s3.put_bucket_lifecycle_configuration().bucket(name).lifecycle_configuration(configuration);
    call.send().await.map_err(failed(what, "given rules"))?;
    mended.push("lifecycle rules");
    Ok(())
}

async fn boundary(clients: &Clients, place: &AwsPlace, template: &Template) -> Result<Part, BootstrapError> {
    let (client, arn) = (&clients.iam, names::boundary_arn(place));
    let what = format!("permission boundary {}", names::BOUNDARY_POLICY);
    let document = template.boundary()?;
    let there = client.get_policy().policy_arn(&arn).send().await;
    let there = found(there, &["NoSuchEntity", "NoSuchEntityException"]).map_err(failed(&what, "looked at"))?;
    let Some(policy) = there.and_then(|there| there.policy) else {
        let tag = aws_sdk_iam::types::Tag::builder().key(TAG.0).value(TAG.1).build();
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
    let there = there.policy_version().and_then(|version| version.document()).map(decode_url);
    if same_document(there.as_deref(), &document) {
        return Ok(Part { what, done: Done::Unchanged });
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

async fn cluster(clients: &Clients) -> Result<Part, BootstrapError> {
    let what = format!("cluster {}", names::DEFAULT_CLUSTER);
    let there = clients.ecs.describe_clusters().clusters(names::DEFAULT_CLUSTER).send().await;
    let there = there.map_err(failed(&what, "looked at"))?;
    if there.clusters().iter().any(|cluster| cluster.status() == Some("ACTIVE")) {
        return Ok(Part { what, done: Done::Unchanged });
    }
    let tag = aws_sdk_ecs::types::Tag::builder().key(TAG.0).value(TAG.1).build();
    let call = clients
        .ecs
        .create_cluster()
        .cluster_name(names::DEFAULT_CLUSTER)
        .capacity_providers("FARGATE")
        .capacity_providers("FARGATE_SPOT")
        .tags(tag);
    call.send().await.map_err(failed(&what, "made"))?;
    Ok(Part { what, done: Done::Created })
}

async fn repository(clients: &Clients) -> Result<Part, BootstrapError> {
    let what = format!("image repository {}", names::DEFAULT_REPOSITORY);
    let there = clients.ecr.describe_repositories().repository_names(names::DEFAULT_REPOSITORY).send().await;
    let there = found(there, &["RepositoryNotFoundException"]).map_err(failed(&what, "looked at"))?;
    if there.is_some_and(|there| !there.repositories().is_empty()) {
        return Ok(Part { what, done: Done::Unchanged });
    }
    let tag = aws_sdk_ecr::types::Tag::builder().key(TAG.0).value(TAG.1).build();
    let call = clients
        .ecr
        .create_repository()
        .repository_name(names::DEFAULT_REPOSITORY)
        .image_tag_mutability(ImageTagMutability::Immutable)
        .image_scanning_configuration(ImageScanningConfiguration::builder().scan_on_push(true).build())
        .tags(tag.map_err(failed(&what, "tagged"))?);
    match call.send().await {
        Ok(_) => Ok(Part { what, done: Done::Created }),
        Err(error) if error.code() == Some("RepositoryAlreadyExistsException") => {
            Ok(Part { what, done: Done::Unchanged })
        }
        Err(error) => Err(failed(&what, "made")(error)),
    }
}

async fn deploy_role(clients: &Clients, template: &Template) -> Result<Part, BootstrapError> {
    let (client, what) = (&clients.iam, format!("role {DEPLOY_ROLE}"));
    let (trust, policy) = (template.deployer_trust()?, template.deployer_policy()?);
    let there = client.get_role().role_name(DEPLOY_ROLE).send().await;
    let there = found(there, &["NoSuchEntity", "NoSuchEntityException"]).map_err(failed(&what, "looked at"))?;
    let mut mended = Vec::new();
    let created = match there.and_then(|there| there.role) {
        None => {
            let tag = aws_sdk_iam::types::Tag::builder().key(TAG.0).value(TAG.1).build();
            let call = client
                .create_role()
                .role_name(DEPLOY_ROLE)
                .description("What a CI job of one repository deploys with, without keys.")
                .assume_role_policy_document(trust.to_string())
                .tags(tag.map_err(failed(&what, "tagged"))?);
            call.send().await.map_err(failed(&what, "made"))?;
            true
        }
        Some(role) => {
            let now = role.assume_role_policy_document().map(decode_url);
            if !same_document(now.as_deref(), &trust) {
                let call = client.update_assume_role_policy().role_name(DEPLOY_ROLE).policy_document(trust.to_string());
                call.send().await.map_err(failed(&what, "changed"))?;
                mended.push("who may assume it");
            }
            false
        }
    };
    let there = client.get_role_policy().role_name(DEPLOY_ROLE).policy_name("deploy").send().await;
    let there = found(there, &["NoSuchEntity", "NoSuchEntityException"]).map_err(failed(&what, "looked at"))?;
    let now = there.map(|there| decode_url(there.policy_document()));
    if !same_document(now.as_deref(), &policy) {
        let call =
            client.put_role_policy().role_name(DEPLOY_ROLE).policy_name("deploy").policy_document(policy.to_string());
        call.send().await.map_err(failed(&what, "given its permissions"))?;
        mended.push("permissions");
    }
    Ok(Part { what, done: outcome(created, mended) })
}

/// IAM answers with documents in URL encoding; some emulators with plain ones.
fn decode_url(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, code.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}
