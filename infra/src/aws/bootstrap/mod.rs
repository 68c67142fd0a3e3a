//! What an account and region need once: a bucket, a cluster, an image repository, a permission boundary and, for a CI, a
//! role to deploy with. Each part is looked at first and made or mended only where that is needed, so that doing it again
//! changes nothing.

mod boundary;
mod bucket;
mod bucket_policy;
mod containers;
mod deploy_role;
mod lifecycle;
mod ownership;
pub mod template;

use aws_sdk_s3::error::ProvideErrorMetadata;
use liminal_schemas::aws::AwsPlace;
use serde_json::Value;

use self::template::Deployer;
use self::template::Template;
use self::template::TemplateError;
use super::clients::Clients;
use super::policy;
use crate::ports::PortError;

/// The tag of everything that bootstrap makes.
const TAG: (&str, &str) = ("liminal:bootstrap", "1");

/// What IAM says of what is not there.
const ABSENT: [&str; 2] = ["NoSuchEntity", "NoSuchEntityException"];

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
    /// The bucket encrypts with a key that roles may not use.
    #[error(
        "the bucket {bucket} encrypts what is put there with {algorithm}, and no role of liminal may use a key of KMS, so that no step could read or write there; let it encrypt with keys of S3 (`AES256`), or name another with `bucket:` of the environment"
    )]
    KmsKey {
        /// The bucket.
        bucket: String,
        /// How it encrypts: `aws:kms`.
        algorithm: String,
    },
    /// Access to what is in the bucket may rest on ACLs, which liminal would switch off.
    #[error(
        "the bucket {bucket} was not made by liminal and has object ownership {ownership}, so that access to its objects may rest on ACLs, which liminal would switch off; set BucketOwnerEnforced yourself where nothing rests on them, or name another with `bucket:` of the environment"
    )]
    Ownership {
        /// The bucket.
        bucket: String,
        /// What it has: `ObjectWriter`, or none, which S3 treats alike.
        ownership: String,
    },
    /// The policy that the bucket has is not understood, so that nothing can be added to it.
    #[error(
        "the policy of the bucket {0} is no JSON object with statements, so that those of liminal can not be added to it; mend or remove it, or name another with `bucket:` of the environment"
    )]
    BucketPolicy(String),
    /// The boundary names as many buckets as fit into a policy.
    #[error(
        "the permission boundary has no room for another bucket: a policy of IAM has at most 6,144 characters; take buckets that are gone out of its statement WriteObjects, or let environments share one"
    )]
    BoundaryFull,
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
    done(bucket::bucket(clients, place, &template).await?);
    done(boundary::boundary(clients, place, &template).await?);
    done(containers::cluster(clients).await?);
    done(containers::repository(clients).await?);
    if let Some(deployer) = deployer {
        done(deploy_role::deploy_role(clients, &deployer.role_name(place), &template).await?);
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

fn is_same(there: Option<&str>, wanted: &Value) -> bool {
    there.is_some_and(|there| policy::same(there, &wanted.to_string()))
}

fn outcome(created: bool, mended: Vec<&'static str>) -> Done {
    match (created, mended.is_empty()) {
        (true, _) => Done::Created,
        (false, true) => Done::Unchanged,
        (false, false) => Done::Mended(mended),
    }
}
