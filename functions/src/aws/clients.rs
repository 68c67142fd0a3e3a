//! How AWS is reached: one configuration, one pool of connections, for all services.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::Region;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::config::ResponseChecksumValidation;
use aws_smithy_http_client::tls;
use aws_types::service_config::ServiceConfigKey;

use super::clock::StoreClock;

/// How long a connection may take to come about. The SDK's own default is 3.1 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long one try of a small request may take: all but transfers of artifacts. Far above what a healthy service needs,
/// and longer than a long poll of a queue (20 s).
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(25);

/// How long a small request may take, with all its tries.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(90);

/// How long a transfer of one part may take. A part that makes no progress at all is given up much earlier, by the SDK's
/// own guard against stalled streams.
const TRANSFER_TIMEOUT: Duration = Duration::from_mins(10);

/// How often a request is tried, the first time included. The SDK's default is 3; one that is throttled needs more.
const ATTEMPTS: u32 = 5;

/// The first pause before another try, doubled with each and jittered. The SDK's default, 1 s, is long for functions that
/// are paid by the millisecond.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause before another try.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a connection may lie idle. S3 closes its side after some seconds, and a function that was frozen comes back to
/// connections that are dead.
const IDLE_CONNECTION: Duration = Duration::from_secs(10);

/// Where to go, and as whom. What is left open is found as the AWS CLI finds it: from the environment, the profile or the
/// machine's role.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// The region.
    pub region: Option<String>,
    /// The endpoint of all services, when it is not AWS's own.
    pub endpoint: Option<String>,
    /// Fixed credentials.
    pub keys: Option<AccessKeys>,
}

/// Fixed credentials.
#[derive(Clone)]
pub struct AccessKeys {
    /// The public part.
    pub id: String,
    /// The secret part.
    pub secret: String,
    /// The token that temporary credentials have.
    pub session: Option<String>,
}

/// The clients of all services.
#[derive(Clone, Debug)]
pub struct Clients {
    sdk: SdkConfig,
}

impl Clients {
    /// Finds out what is left open. Reaches no service, and does not fail without credentials: the first request does.
    pub async fn connect(connection: Connection) -> Self {
        let http = aws_smithy_http_client::Builder::new()
            .pool_idle_timeout(IDLE_CONNECTION)
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(ATTEMPTS)
            .with_initial_backoff(FIRST_PAUSE)
            .with_max_backoff(LONGEST_PAUSE);
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http)
            .timeout_config(timeouts)
            .retry_config(retries);
        if let Some(region) = connection.region {
            loader = loader.region(Region::new(region));
        }
        if let Some(endpoint) = connection.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(keys) = connection.keys {
            let credentials = Credentials::new(keys.id, keys.secret, keys.session, None, "liminal");
            loader = loader.credentials_provider(SharedCredentialsProvider::new(credentials));
        }
        Self { sdk: loader.load().await }
    }

    /// The configuration, for the services that only one adapter uses.
    pub(crate) const fn sdk(&self) -> &SdkConfig {
        &self.sdk
    }

    /// Objects, for small requests. Their answers set a clock.
    pub(crate) fn s3(&self, clock: &StoreClock) -> aws_sdk_s3::Client {
        aws_sdk_s3::Client::from_conf(self.s3_config().interceptor(clock.clone()).build())
    }

    /// Objects, for requests whose time depends on their size.
    pub(crate) fn s3_for_transfers(&self) -> aws_sdk_s3::Client {
        // What is transferred is checked against its own digest.
        let config = self.s3_config().response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        aws_sdk_s3::Client::from_conf(config.timeout_config(patience_of_transfers()).build())
    }

    fn s3_config(&self) -> aws_sdk_s3::config::Builder {
        let config = aws_sdk_s3::config::Builder::from(&self.sdk);
        if !self.has_own_s3() {
            return config;
        }
        // Stores that are not Amazon's have no host name per bucket, and know few of its checksums.
        config
            .force_path_style(true)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
    }

    /// Whether objects are kept by something else than S3 itself.
    pub(crate) fn has_own_s3(&self) -> bool {
        if self.sdk.endpoint_url().is_some() {
            return true;
        }
        let key = ServiceConfigKey::builder().service_id("S3").env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
        let (Some(settings), Ok(key)) = (self.sdk.service_config(), key) else { return false };
        settings.load_config(key).is_some()
    }

    /// Queues.
    pub(crate) fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(self.sdk())
    }
}

/// Timeouts for requests that carry much: no bound on all tries together, and time for slow lines on each.
pub(crate) fn patience_of_transfers() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(TRANSFER_TIMEOUT)
        .disable_operation_timeout()
        .build()
}

impl std::fmt::Debug for AccessKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKeys").field("id", &self.id).finish_non_exhaustive()
    }
}
