//! What went wrong at a service, in the words that help: the SDK's own are for those who know the SDK.

use std::error::Error;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::RequestId as _;

/// The code of a service that does not say one.
const NO_CODE: &str = "no error code";

/// Codes with which services refuse whoever asks, not what is asked.
const CREDENTIAL_CODES: &[&str] = &[
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidToken",
    "MissingAuthenticationToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

/// Codes that ask for fewer requests.
const THROTTLING_CODES: &[&str] = &[
    "OverLimit",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// Why a request to a service failed.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// Nobody to sign requests as.
    #[error("no usable AWS credentials were found")]
    NoCredentials {
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The service said no.
    #[error("{0}")]
    Refused(Refusal),
    /// Nobody answered in time, so that nobody knows whether it was done.
    #[error("{operation} was not answered in time")]
    TimedOut {
        /// The operation.
        operation: &'static str,
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The service was not reached, or what came back made no sense.
    #[error("{operation} got no answer")]
    NoAnswer {
        /// The operation.
        operation: &'static str,
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Others kept writing the same object for longer than we try.
    #[error("{operation} met another write of the same object each of {tries} times (HTTP 409): try again later")]
    Contended {
        /// The operation.
        operation: &'static str,
        /// How often it was tried.
        tries: u32,
    },
}

/// A service's answer that it will not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The operation.
    pub operation: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The service's own code.
    pub code: String,
    /// The service's own words.
    pub message: String,
    /// What the service's support asks for.
    pub request: Option<String>,
}

impl AwsError {
    /// Whether whoever asks is not known, so that no request at all would be served.
    pub fn is_about_credentials(&self) -> bool {
        match self {
            Self::NoCredentials { .. } => true,
            Self::Refused(refusal) => CREDENTIAL_CODES.contains(&refusal.code.as_str()),
            Self::TimedOut { .. } | Self::NoAnswer { .. } | Self::Contended { .. } => false,
        }
    }

    /// Whether the service asks for fewer requests.
    pub fn is_throttling(&self) -> bool {
        match self {
            Self::Refused(refusal) => THROTTLING_CODES.contains(&refusal.code.as_str()),
            Self::Contended { .. } => true,
            Self::NoCredentials { .. } | Self::TimedOut { .. } | Self::NoAnswer { .. } => false,
        }
    }

    /// The status and code of a refusal.
    pub(crate) fn refusal(&self) -> Option<(u16, &str)> {
        match self {
            Self::Refused(refusal) => Some((refusal.status, refusal.code.as_str())),
            Self::NoCredentials { .. } | Self::TimedOut { .. } | Self::NoAnswer { .. } | Self::Contended { .. } => None,
        }
    }

    /// Whether the answer was of that status.
    pub(crate) fn is_status(&self, status: u16) -> bool {
        self.refusal().is_some_and(|(found, _)| found == status)
    }

    /// Whether the answer was of that code.
    pub(crate) fn is_code(&self, code: &str) -> bool {
        self.refusal().is_some_and(|(_, found)| found == code)
    }
}

/// Makes sense of the SDK's error.
pub(crate) fn explain<E>(operation: &'static str) -> impl Fn(SdkError<E>) -> AwsError
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    move |error| {
        if let SdkError::ServiceError(service) = &error {
            let kind = service.err();
            return AwsError::Refused(Refusal {
                operation,
                status: service.raw().status().as_u16(),
                code: kind.code().unwrap_or(NO_CODE).to_owned(),
                message: kind.message().unwrap_or_default().to_owned(),
                request: error.request_id().map(str::to_owned),
            });
        }
        if names_credentials(&error) {
            return AwsError::NoCredentials { source: inner(error) };
        }
        match &error {
            SdkError::TimeoutError(_) => AwsError::TimedOut { operation, source: inner(error) },
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                AwsError::TimedOut { operation, source: inner(error) }
            }
            _ => AwsError::NoAnswer { operation, source: inner(error) },
        }
    }
}

/// The SDK wraps the lack of credentials as if the network had failed.
fn names_credentials(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<CredentialsError>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// The outer error says only which of the SDK's stages failed.
fn inner<E: Error + Send + Sync + 'static>(error: SdkError<E>) -> Box<dyn Error + Send + Sync> {
    match error.into_source() {
        Ok(source) => source,
        Err(error) => error.into(),
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was refused: {}", self.operation, self.code)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message.trim_end_matches('.'))?;
        }
        write!(f, " (HTTP {}", self.status)?;
        if let Some(request) = &self.request {
            write!(f, ", request {request}")?;
        }
        f.write_str(")")
    }
}
