//! Notifications of a bucket. A bucket has one configuration for everybody: ours are told from others by their ids, and
//! others are written back as they were read.
//!
//! S3 has no way to write only what nobody has changed since. So what was written is read again, and written again when it
//! is not there; whoever else writes at the very same moment can still be lost, as with every other tool.

use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::types::Event;
use aws_sdk_s3::types::FilterRule;
use aws_sdk_s3::types::FilterRuleName;
use aws_sdk_s3::types::NotificationConfiguration;
use aws_sdk_s3::types::NotificationConfigurationFilter;
use aws_sdk_s3::types::QueueConfiguration;
use aws_sdk_s3::types::S3KeyFilter;
use liminal_schemas::aws::resource::KeyFilter;
use liminal_schemas::aws::resource::NotificationSpec;
use liminal_schemas::digest::Digest;
use liminal_schemas::state::ResourceAddress;
use tokio::time::sleep;

use super::drift::Comparison;
use super::drift::FieldDrift;
use super::error::AwsError;
use super::error::failed;
use super::retry::patiently;
use super::site::Site;

const WHAT: &str = "notifications of bucket";

/// How often our entries are written while others overwrite them.
const ROUNDS: usize = 6;

/// How long a write may take to be seen.
const SETTLE: Duration = Duration::from_millis(500);

/// Makes our entries those of the document, in one write.
pub(super) async fn create(site: &Site, address: &ResourceAddress, spec: &NotificationSpec) -> Result<(), AwsError> {
    let wanted = entries(site, address, spec)?;
    replace(site, &spec.bucket, &wanted, |id| id.starts_with(&spec.id_prefix)).await
}

/// Removes the entries of one document. Those of another one that took its place stay.
pub(super) async fn delete(site: &Site, address: &ResourceAddress, spec: &NotificationSpec) -> Result<(), AwsError> {
    let prefix = own_prefix(address, spec);
    match replace(site, &spec.bucket, &[], |id| id.starts_with(&prefix)).await {
        // A bucket that is gone notifies nobody.
        Err(AwsError::Call(error)) if error.is_absent() => Ok(()),
        outcome => outcome,
    }
}

async fn replace(
    site: &Site,
    bucket: &str,
    wanted: &[QueueConfiguration],
    is_ours: impl Fn(&str) -> bool,
) -> Result<(), AwsError> {
    for _ in 0..ROUNDS {
        let found = read(site, bucket).await?;
        let (ours, mut queues): (Vec<_>, Vec<_>) =
            found.queue_configurations().iter().cloned().partition(|entry| entry.id().is_some_and(&is_ours));
        if is_same(&ours, wanted) {
            return Ok(());
        }
        queues.extend(wanted.iter().cloned());
        let configuration = NotificationConfiguration::builder()
            .set_queue_configurations(Some(queues))
            .set_topic_configurations(found.topic_configurations)
            .set_lambda_function_configurations(found.lambda_function_configurations)
            .set_event_bridge_configuration(found.event_bridge_configuration)
            .build();
        patiently(async || {
            let request = site.clients.s3.put_bucket_notification_configuration().bucket(bucket);
            let request = request.notification_configuration(configuration.clone());
            request.send().await.map_err(failed("s3:PutBucketNotification", bucket))
        })
        .await?;
        let found = read(site, bucket).await?;
        let ours: Vec<_> =
            found.queue_configurations().iter().filter(|entry| entry.id().is_some_and(&is_ours)).cloned().collect();
        if is_same(&ours, wanted) {
            return Ok(());
        }
        sleep(SETTLE).await;
    }
    Err(AwsError::Contended { what: WHAT, name: bucket.to_owned() })
}

/// All entries of a bucket that send to queues; none when there is no such bucket.
pub(super) async fn list(site: &Site, bucket: &str) -> Result<Vec<QueueConfiguration>, AwsError> {
    match read(site, bucket).await {
        Ok(found) => Ok(found.queue_configurations.unwrap_or_default()),
        Err(AwsError::Call(error)) if error.is_absent() => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Where the entries of a bucket differ from their document.
pub(super) fn drift(
    site: &Site,
    address: &ResourceAddress,
    spec: &NotificationSpec,
    found: &[QueueConfiguration],
) -> Result<Vec<FieldDrift>, AwsError> {
    let ours: Vec<_> =
        found.iter().filter(|entry| entry.id().is_some_and(|id| id.starts_with(&spec.id_prefix))).cloned().collect();
    let wanted = entries(site, address, spec)?;
    let mut comparison = Comparison::default();
    if !is_same(&ours, &wanted) {
        comparison.field("entries", shown(&wanted), shown(&ours));
    }
    Ok(comparison.finish())
}

fn entries(
    site: &Site,
    address: &ResourceAddress,
    spec: &NotificationSpec,
) -> Result<Vec<QueueConfiguration>, AwsError> {
    let prefix = own_prefix(address, spec);
    let entry = |filter: &KeyFilter| {
        let rule = |name, value: &String| {
            let rule = FilterRule::builder().name(name).value(value).build();
            Some(rule).filter(|_| !value.is_empty())
        };
        let rules = [rule(FilterRuleName::Prefix, &filter.prefix), rule(FilterRuleName::Suffix, &filter.suffix)];
        let rules: Vec<FilterRule> = rules.into_iter().flatten().collect();
        let key = S3KeyFilter::builder().set_filter_rules(Some(rules)).build();
        QueueConfiguration::builder()
            .id(format!("{prefix}-{}", Digest::of_document(filter).short()))
            .queue_arn(site.queue_arn(&spec.queue))
            .events(Event::from("s3:ObjectCreated:*"))
            .filter(NotificationConfigurationFilter::builder().key(key).build())
            .build()
            .map_err(|error| AwsError::request("s3:PutBucketNotification", &spec.bucket, error))
    };
    spec.filters.iter().map(entry).collect()
}

/// What the ids of one document's entries begin with.
fn own_prefix(address: &ResourceAddress, spec: &NotificationSpec) -> String {
    format!("{}{}", spec.id_prefix, address.digest.short())
}

fn is_same(one: &[QueueConfiguration], other: &[QueueConfiguration]) -> bool {
    shown(one) == shown(other)
}

/// What matters of some entries, in an order and a spelling of its own.
fn shown(entries: &[QueueConfiguration]) -> String {
    let line = |entry: &QueueConfiguration| {
        let rules = entry.filter().and_then(NotificationConfigurationFilter::key).map(S3KeyFilter::filter_rules);
        let mut rules: Vec<String> = rules
            .unwrap_or_default()
            .iter()
            .map(|rule| {
                let name = rule.name().map(FilterRuleName::as_str).unwrap_or_default().to_lowercase();
                format!("{name} `{}`", rule.value().unwrap_or_default())
            })
            .collect();
        rules.sort();
        let events: Vec<&str> = entry.events().iter().map(Event::as_str).collect();
        let id = entry.id().unwrap_or_default();
        format!("{id}: {} {} to {}", events.join(","), rules.join(" "), entry.queue_arn())
    };
    let mut lines: Vec<String> = entries.iter().map(line).collect();
    lines.sort();
    lines.join("; ")
}

async fn read(site: &Site, bucket: &str) -> Result<NotificationConfiguration, AwsError> {
    let found = match site.clients.s3.get_bucket_notification_configuration().bucket(bucket).send().await {
        Ok(found) => found,
        // Some answer with another element where there is nothing.
        Err(error) if says_nothing(&error) => return Ok(NotificationConfiguration::builder().build()),
        Err(error) => return Err(failed("s3:GetBucketNotification", bucket)(error).into()),
    };
    let configuration = NotificationConfiguration::builder()
        .set_queue_configurations(found.queue_configurations)
        .set_topic_configurations(found.topic_configurations)
        .set_lambda_function_configurations(found.lambda_function_configurations)
        .set_event_bridge_configuration(found.event_bridge_configuration);
    Ok(configuration.build())
}

fn says_nothing<E>(error: &SdkError<E, HttpResponse>) -> bool {
    let Some(response) = error.raw_response().filter(|response| response.status().is_success()) else { return false };
    let body = response.body().bytes().map(String::from_utf8_lossy);
    // As every entry of a configuration ends.
    body.is_some_and(|body| !body.contains("Configuration>"))
}
