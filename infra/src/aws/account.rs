//! Where we are: the account that the credentials belong to, checked against the environment before anything else.

use aws_sdk_sts::config::ProvideCredentials as _;
use liminal_schemas::aws::AwsPlace;
use liminal_schemas::aws::AwsSpec;
use liminal_schemas::aws::names;

use super::clients::Clients;
use super::error::AwsError;
use super::error::CallError;
use super::error::failed;

/// Why it is not known, or not right, where we are.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// There are no credentials.
    #[error(
        "there are no AWS credentials ({reason}); run `aws configure` or `aws sso login`, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )]
    NoCredentials {
        /// What the SDK looked at.
        reason: String,
    },
    /// The credentials are not valid.
    #[error(
        "the AWS credentials are not accepted: {call}; they may have expired (`aws sso login`), or be those of another account"
    )]
    Refused {
        /// What AWS said.
        call: Box<CallError>,
    },
    /// The credentials belong to another account than the environment says.
    #[error(
        "the environment is in account {expected}, but the credentials are for account {found} ({identity}); choose others with AWS_PROFILE, or change `account` in liminal.yml"
    )]
    WrongAccount {
        /// What the environment says.
        expected: String,
        /// What the credentials are for.
        found: String,
        /// Who they are.
        identity: String,
    },
    /// The calls would go to another region than the environment says.
    #[error("the environment is in region {expected}, but the clients are for region `{found}`")]
    WrongRegion {
        /// What the environment says.
        expected: String,
        /// What the clients are for.
        found: String,
    },
    /// AWS could not be asked.
    #[error(transparent)]
    Call(#[from] AwsError),
}

impl AccountError {
    /// Whether other credentials are what helps.
    pub const fn is_about_credentials(&self) -> bool {
        match self {
            Self::NoCredentials { .. } | Self::Refused { .. } | Self::WrongAccount { .. } => true,
            Self::WrongRegion { .. } | Self::Call(_) => false,
        }
    }
}

/// Asks whom the credentials belong to. Comes before every other call: nothing is ever looked at or changed in an account
/// that the environment does not mean.
///
/// # Errors
/// When there are no credentials, when AWS refuses them, or when they are for another account.
pub async fn locate(clients: &Clients, spec: &AwsSpec) -> Result<AwsPlace, AccountError> {
    if clients.region() != spec.region {
        return Err(AccountError::WrongRegion { expected: spec.region.clone(), found: clients.region().to_owned() });
    }
    let no_credentials = |reason: String| AccountError::NoCredentials { reason };
    let provider =
        clients.config.credentials_provider().ok_or_else(|| no_credentials("no source of them".to_owned()))?;
    if let Err(error) = provider.provide_credentials().await {
        return Err(no_credentials(aws_sdk_sts::error::DisplayErrorContext(&error).to_string()));
    }
    let identity = clients.sts.get_caller_identity().send().await;
    let identity = identity.map_err(failed("sts:GetCallerIdentity", "the credentials")).map_err(|call| {
        // Nobody needs a permission for this call: every refusal is one of the credentials themselves.
        let refused = call.status.is_some_and(|status| status == 400 || status == 401 || status == 403);
        if refused { AccountError::Refused { call: Box::new(call) } } else { AccountError::Call(call.into()) }
    })?;
    let (Some(account), Some(arn)) = (identity.account, identity.arn) else {
        return Err(AwsError::incomplete("sts:GetCallerIdentity", "the credentials", "the account").into());
    };
    if let Some(expected) = spec.account.as_ref().filter(|expected| **expected != account) {
        return Err(AccountError::WrongAccount { expected: expected.clone(), found: account, identity: arn });
    }
    let partition = arn.split(':').nth(1).unwrap_or("aws").to_owned();
    let bucket = spec.bucket.clone().unwrap_or_else(|| names::default_bucket(&account, &spec.region));
    let endpoint = clients.config.endpoint_url().map(str::to_owned);
    Ok(AwsPlace { partition, region: spec.region.clone(), account, bucket, endpoint })
}
