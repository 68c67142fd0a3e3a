//! The clients of all services, with the same settings: the SDK's standard credential chain, five attempts, and a bound
//! on every call.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::Region;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls;

/// How often a call is tried: one more than two seconds of trouble need, far below what makes throttling worse.
const ATTEMPTS: u32 = 5;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_mins(1);

/// How long a call may take with all its attempts.
const CALL_TIMEOUT: Duration = Duration::from_mins(3);

/// How long one attempt to send a part of a bundle may take: 8 MiB at a tenth of a megabit a second.
const TRANSFER_TIMEOUT: Duration = Duration::from_mins(12);

/// Clients of all services that the control plane calls, in one region.
#[derive(Clone, Debug)]
pub struct Clients {
    pub(super) config: SdkConfig,
    pub(super) sts: aws_sdk_sts::Client,
    pub(super) iam: aws_sdk_iam::Client,
    pub(super) lambda: aws_sdk_lambda::Client,
    pub(super) sqs: aws_sdk_sqs::Client,
    pub(super) s3: aws_sdk_s3::Client,
    /// The same, with time for slow lines.
    pub(super) transfers: aws_sdk_s3::Client,
    pub(super) ecs: aws_sdk_ecs::Client,
    pub(super) logs: aws_sdk_cloudwatchlogs::Client,
    pub(super) scheduler: aws_sdk_scheduler::Client,
    pub(super) events: aws_sdk_eventbridge::Client,
    pub(super) ecr: aws_sdk_ecr::Client,
}

impl Clients {
    /// Clients with what the SDK finds on this machine: variables (`AWS_PROFILE`, `AWS_ENDPOINT_URL` and the like), files,
    /// single sign-on. No call is made yet.
    pub async fn connect(region: &str) -> Self {
        let http =
            Builder::new().tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring)).build_https();
        let loader = aws_config::defaults(BehaviorVersion::latest()).region(Region::new(region.to_owned()));
        Self::with_config(&loader.http_client(http).load().await)
    }

    /// Clients with the credentials, region, endpoint and HTTP client of a configuration. Retries and timeouts are ours.
    pub fn with_config(config: &SdkConfig) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(CALL_TIMEOUT)
            .build();
        let config = config
            .to_builder()
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(timeouts)
            .build();
        // Names of buckets are no names of hosts where an endpoint is given.
        let path_style = config.endpoint_url().is_some();
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(path_style);
        let slow = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(TRANSFER_TIMEOUT)
            .disable_operation_timeout()
            .build();
        Self {
            sts: aws_sdk_sts::Client::new(&config),
            iam: aws_sdk_iam::Client::new(&config),
            lambda: aws_sdk_lambda::Client::new(&config),
            sqs: aws_sdk_sqs::Client::new(&config),
            transfers: aws_sdk_s3::Client::from_conf(s3.clone().timeout_config(slow).build()),
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            ecs: aws_sdk_ecs::Client::new(&config),
            logs: aws_sdk_cloudwatchlogs::Client::new(&config),
            scheduler: aws_sdk_scheduler::Client::new(&config),
            events: aws_sdk_eventbridge::Client::new(&config),
            ecr: aws_sdk_ecr::Client::new(&config),
            config,
        }
    }

    /// The region that the calls go to.
    pub fn region(&self) -> &str {
        self.config.region().map_or("", Region::as_ref)
    }
}
