//! Queues, each with its dead-letter queue.

use std::collections::BTreeMap;
use std::collections::HashMap;

use aws_sdk_sqs::types::QueueAttributeName;
use liminal_schemas::aws::names;
use liminal_schemas::aws::names::DEAD_LETTER_SUFFIX;
use liminal_schemas::aws::resource::QueueSpec;
use liminal_schemas::state::ResourceAddress;
use serde_json::Value;
use serde_json::json;

use super::drift::Comparison;
use super::drift::FieldDrift;
use super::error::AwsError;
use super::error::failed;
use super::policy;
use super::retry::patiently;
use super::site::Site;
use super::tags::Ownership;
use super::ticks;

const WHAT: &str = "queue";

/// How long a message waits to be handled, in seconds: SQS's own default, 4 days.
const RETENTION_SECONDS: u32 = 4 * 24 * 60 * 60;

/// How long a message that nobody could handle is kept, in seconds: the most that SQS allows, 14 days.
const DEAD_LETTER_RETENTION_SECONDS: u32 = 14 * 24 * 60 * 60;

/// The most queues that SQS lists at once.
const PAGE: i32 = 1000;

type Attributes = BTreeMap<&'static str, String>;

/// Makes a queue and its dead-letter queue, or brings ours of the same names back to their document.
pub(super) async fn create(site: &Site, address: &ResourceAddress, spec: &QueueSpec) -> Result<(), AwsError> {
    // SQS refuses a redrive policy whose target is not there.
    ensure(site, address, &dead_letter(&spec.name), &dead_letter_attributes()).await?;
    ensure(site, address, &spec.name, &attributes(site, spec)).await
}

async fn ensure(site: &Site, address: &ResourceAddress, name: &str, wanted: &Attributes) -> Result<(), AwsError> {
    if let Some(url) = url(site, name).await? {
        return restore(site, address, name, &url, wanted).await;
    }
    let named = wanted.iter().filter(|(_, value)| !value.is_empty());
    let named: HashMap<QueueAttributeName, String> =
        named.map(|(key, value)| (QueueAttributeName::from(*key), value.clone())).collect();
    let tags: HashMap<String, String> = site.owner.tags(address).into_iter().collect();
    let created = patiently(async || {
        let request = site.clients.sqs.create_queue().queue_name(name).set_attributes(Some(named.clone()));
        request.set_tags(Some(tags.clone())).send().await.map_err(failed("sqs:CreateQueue", name))
    });
    match created.await {
        Ok(_) => Ok(()),
        // Made by somebody else since, or found late.
        Err(AwsError::Call(error)) if error.is(&["QueueNameExists", "QueueAlreadyExists"]) => {
            match url(site, name).await? {
                Some(url) => restore(site, address, name, &url, wanted).await,
                None => Err(AwsError::Call(error)),
            }
        }
        Err(error) => Err(error),
    }
}

async fn restore(
    site: &Site,
    address: &ResourceAddress,
    name: &str,
    url: &str,
    wanted: &Attributes,
) -> Result<(), AwsError> {
    match ownership(site, name, url).await? {
        Ownership::Foreign => return Err(AwsError::Foreign { what: WHAT, name: name.to_owned() }),
        owned if owned.is_for(address) => {}
        Ownership::Ours(_) => {
            let tags = Some(site.owner.tags(address).into_iter().collect());
            let request = site.clients.sqs.tag_queue().queue_url(url).set_tags(tags);
            request.send().await.map_err(failed("sqs:TagQueue", name))?;
        }
    }
    let found = read(site, name, url).await?;
    let differing = wanted.iter().filter(|(key, value)| !is_same(value, found.get(**key)));
    let differing: HashMap<QueueAttributeName, String> =
        differing.map(|(key, value)| (QueueAttributeName::from(*key), value.clone())).collect();
    if differing.is_empty() {
        return Ok(());
    }
    let request = site.clients.sqs.set_queue_attributes().queue_url(url).set_attributes(Some(differing));
    request.send().await.map_err(failed("sqs:SetQueueAttributes", name))?;
    Ok(())
}

/// Removes a queue and its dead-letter queue, unless there is work in them.
pub(super) async fn delete(
    site: &Site,
    address: &ResourceAddress,
    name: &str,
    with_messages: bool,
) -> Result<(), AwsError> {
    let dead_letter = dead_letter(name);
    let mut found = Vec::new();
    for name in [name, dead_letter.as_str()] {
        let Some(url) = url(site, name).await? else { continue };
        match ownership(site, name, &url).await? {
            Ownership::Foreign => return Err(AwsError::Foreign { what: WHAT, name: name.to_owned() }),
            Ownership::Ours(Some(other)) if other != *address => continue,
            Ownership::Ours(_) => found.push((name, url)),
        }
    }
    if !with_messages {
        let mut work = count(site, name, &dead_letter, &found).await?;
        if work != (0, 0) && name == names::trigger_queue(&site.owner.project, &site.owner.environment) {
            // A tick that nobody is there to hear any more is no work.
            ticks::discard(site, &found).await?;
            work = count(site, name, &dead_letter, &found).await?;
        }
        let (waiting, failed) = work;
        if waiting + failed > 0 {
            return Err(AwsError::MessagesLeft { queue: name.to_owned(), waiting, failed });
        }
    }
    for (name, url) in &found {
        let deleted = site.clients.sqs.delete_queue().queue_url(url).send().await;
        match deleted.map_err(failed("sqs:DeleteQueue", name)) {
            Err(error) if !error.is_absent() => return Err(error.into()),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

/// How many messages are in a queue and in its dead-letter queue.
async fn count(site: &Site, name: &str, dead_letter: &str, found: &[(&str, String)]) -> Result<(u64, u64), AwsError> {
    let mut counts = (0, 0);
    for (found, url) in found {
        let messages = messages(&read(site, found, url).await?);
        if *found == dead_letter {
            counts.1 = messages;
        } else if *found == name {
            counts.0 = messages;
        }
    }
    Ok(counts)
}

/// Where a queue or its dead-letter queue differ from their document; none when one is not there or not ours.
pub(super) async fn drift(
    site: &Site,
    address: &ResourceAddress,
    spec: &QueueSpec,
) -> Result<Option<Vec<FieldDrift>>, AwsError> {
    let mut comparison = Comparison::default();
    let dead_letter = dead_letter(&spec.name);
    for (name, wanted) in [(&spec.name, attributes(site, spec)), (&dead_letter, dead_letter_attributes())] {
        let Some(url) = url(site, name).await? else { return Ok(None) };
        match ownership(site, name, &url).await? {
            Ownership::Foreign => return Ok(None),
            Ownership::Ours(found) => {
                comparison.optional("liminal:resource", address, found);
            }
        }
        let found = read(site, name, &url).await?;
        for (key, value) in wanted {
            if !is_same(&value, found.get(key)) {
                comparison.optional(key, value, found.get(key));
            }
        }
    }
    Ok(Some(comparison.finish()))
}

/// The names of all queues that begin with a prefix, dead-letter queues among them.
pub(super) async fn list(site: &Site, prefix: &str) -> Result<Vec<String>, AwsError> {
    let request = site.clients.sqs.list_queues().queue_name_prefix(prefix);
    let mut pages = request.into_paginator().page_size(PAGE).send();
    let mut names = Vec::new();
    while let Some(page) = pages.try_next().await.map_err(failed("sqs:ListQueues", prefix))? {
        let urls = page.queue_urls.unwrap_or_default();
        names.extend(urls.iter().filter_map(|url| url.rsplit('/').next()).map(str::to_owned));
    }
    Ok(names)
}

/// Whose a queue is; none when it is not there.
pub(super) async fn owner(site: &Site, name: &str) -> Result<Option<Ownership>, AwsError> {
    match url(site, name).await? {
        Some(url) => Ok(Some(ownership(site, name, &url).await?)),
        None => Ok(None),
    }
}

/// The name of a queue's dead-letter queue.
pub(super) fn dead_letter(name: &str) -> String {
    format!("{name}{DEAD_LETTER_SUFFIX}")
}

fn attributes(site: &Site, spec: &QueueSpec) -> Attributes {
    let redrive = json!({ "deadLetterTargetArn": site.queue_arn(&dead_letter(&spec.name)), "maxReceiveCount": spec.max_receives });
    let policy = policy::senders(&site.queue_arn(&spec.name), &site.place.account, &spec.senders);
    BTreeMap::from([
        ("VisibilityTimeout", spec.visibility_seconds.to_string()),
        ("MessageRetentionPeriod", RETENTION_SECONDS.to_string()),
        ("RedrivePolicy", redrive.to_string()),
        // An empty text removes what is there.
        ("Policy", policy.unwrap_or_default()),
    ])
}

fn dead_letter_attributes() -> Attributes {
    BTreeMap::from([("MessageRetentionPeriod", DEAD_LETTER_RETENTION_SECONDS.to_string())])
}

/// Whether an attribute is as wanted. Numbers in redrive policies come back as text from some.
fn is_same(wanted: &str, found: Option<&String>) -> bool {
    let Some(found) = found else { return wanted.is_empty() };
    let as_text = |text: &str| {
        serde_json::from_str::<BTreeMap<String, Value>>(text).ok().map(|fields| {
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            fields.iter().map(|(key, value)| (key.clone(), text(value))).collect::<BTreeMap<_, _>>()
        })
    };
    wanted == found
        || policy::same(wanted, found)
        || as_text(wanted).is_some_and(|wanted| as_text(found).as_ref() == Some(&wanted))
}

/// How many messages a queue holds, by its attributes.
pub(super) fn messages(attributes: &BTreeMap<String, String>) -> u64 {
    const COUNTS: [&str; 3] =
        ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"];
    COUNTS.iter().filter_map(|count| attributes.get(*count)?.parse::<u64>().ok()).sum()
}

/// The URL of a queue; none when it is not there.
pub(super) async fn url(site: &Site, name: &str) -> Result<Option<String>, AwsError> {
    let answer = site.clients.sqs.get_queue_url().queue_name(name).send().await;
    match answer.map_err(failed("sqs:GetQueueUrl", name)) {
        Ok(answer) => Ok(answer.queue_url),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn ownership(site: &Site, name: &str, url: &str) -> Result<Ownership, AwsError> {
    let answer = site.clients.sqs.list_queue_tags().queue_url(url).send().await;
    let tags = answer.map_err(failed("sqs:ListQueueTags", name))?.tags.unwrap_or_default();
    Ok(site.owner.ownership(tags.iter().map(|(key, value)| (key.as_str(), value.as_str()))))
}

/// The attributes of a queue.
pub(super) async fn read(site: &Site, name: &str, url: &str) -> Result<BTreeMap<String, String>, AwsError> {
    let request = site.clients.sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
    let answer = request.send().await.map_err(failed("sqs:GetQueueAttributes", name))?;
    let attributes = answer.attributes.unwrap_or_default();
    Ok(attributes.into_iter().map(|(key, value)| (key.as_str().to_owned(), value)).collect())
}
