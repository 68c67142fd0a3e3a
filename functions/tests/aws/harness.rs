//! Clients of emulators, buckets and queues of a test's own.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use aws_credential_types::Credentials;
use liminal_emulators::Emulator;
use liminal_emulators::FaultProxy;
use liminal_emulators::Moto;
use liminal_functions::aws::clients::AccessKeys;
use liminal_functions::aws::clients::Clients;
use liminal_functions::aws::clients::Connection;
use liminal_functions::aws::place::Place;

/// One moto for all tests of this process.
pub(crate) fn shared_moto() -> &'static Emulator {
    static SHARED: OnceLock<Emulator> = OnceLock::new();
    SHARED.get_or_init(Moto::start)
}

/// Clients of an emulator.
pub(crate) async fn clients(emulator: &Emulator) -> Clients {
    connect(emulator.region(), emulator.endpoint()).await
}

/// Clients that go through a proxy.
pub(crate) async fn through(proxy: &FaultProxy, emulator: &Emulator) -> Clients {
    connect(emulator.region(), proxy.endpoint()).await
}

async fn connect(region: &str, endpoint: String) -> Clients {
    let keys = AccessKeys { id: "test".to_owned(), secret: "test".to_owned(), session: None };
    let connection = Connection { region: Some(region.to_owned()), endpoint: Some(endpoint), keys: Some(keys) };
    Clients::connect(connection).await
}

/// A name that no other test of this process has.
pub(crate) fn unique(begin: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{begin}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A new bucket, and a prefix in it.
pub(crate) async fn place(emulator: &Emulator) -> Place {
    let bucket = unique("objects");
    let constraint =
        aws_sdk_s3::types::CreateBucketConfiguration::builder().location_constraint(emulator.region().into()).build();
    s3(emulator)
        .create_bucket()
        .bucket(&bucket)
        .create_bucket_configuration(constraint)
        .send()
        .await
        .expect("a bucket");
    Place::new(bucket, "shop/dev").owned_by(emulator.account())
}

/// A new queue.
pub(crate) async fn queue(emulator: &Emulator, name: &str) {
    let client = aws_sdk_sqs::Client::from_conf(
        aws_sdk_sqs::Config::builder()
            .behavior_version(aws_sdk_sqs::config::BehaviorVersion::v2026_01_12())
            .region(aws_sdk_sqs::config::Region::new(emulator.region()))
            .endpoint_url(emulator.endpoint())
            .credentials_provider(credentials())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build(),
    );
    client.create_queue().queue_name(name).send().await.expect("a queue");
}

/// Objects as the SDK itself sees them.
pub(crate) fn s3(emulator: &Emulator) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::from_conf(
        aws_sdk_s3::Config::builder()
            .behavior_version(aws_sdk_s3::config::BehaviorVersion::v2026_01_12())
            .region(aws_sdk_s3::config::Region::new(emulator.region()))
            .endpoint_url(emulator.endpoint())
            .credentials_provider(credentials())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .force_path_style(true)
            .build(),
    )
}

fn credentials() -> Credentials {
    Credentials::new("test", "test", None, None, "test")
}
