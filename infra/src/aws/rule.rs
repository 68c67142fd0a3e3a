//! Rules of EventBridge that send events of the account to the trigger queue.

use aws_sdk_eventbridge::operation::describe_rule::DescribeRuleOutput;
use aws_sdk_eventbridge::types::Rule;
use aws_sdk_eventbridge::types::RuleState;
use aws_sdk_eventbridge::types::Tag;
use aws_sdk_eventbridge::types::Target;
use liminal_schemas::aws::names;
use liminal_schemas::aws::resource::RuleSpec;
use liminal_schemas::state::ResourceAddress;

use super::drift::Comparison;
use super::drift::FieldDrift;
use super::error::AwsError;
use super::error::CallError;
use super::error::failed;
use super::policy;
use super::retry::patiently;
use super::site::Site;
use super::tags::Ownership;

const WHAT: &str = "rule";

/// The id of the one target.
const TARGET: &str = "trigger-queue";

/// Makes a rule with its target, or brings ours back to its document.
pub(super) async fn create(site: &Site, address: &ResourceAddress, spec: &RuleSpec) -> Result<(), AwsError> {
    let name = spec.name();
    let tags = tags(site, address)?;
    // Making a rule and changing one are the same call: so look first. Tags count for new rules alone.
    match owner(site, &name).await? {
        None => {}
        Some(Ownership::Foreign) => return Err(AwsError::Foreign { what: WHAT, name }),
        Some(owned) if owned.is_for(address) => {}
        Some(Ownership::Ours(_)) => {
            let request =
                site.clients.events.tag_resource().resource_arn(arn(site, &name)).set_tags(Some(tags.clone()));
            request.send().await.map_err(failed("events:TagResource", &name))?;
        }
    }
    patiently(async || {
        let request = site.clients.events.put_rule().name(&name).event_pattern(&spec.pattern);
        let request = request.state(RuleState::Enabled).set_tags(Some(tags.clone()));
        request.send().await.map_err(failed("events:PutRule", &name))
    })
    .await?;
    let target = Target::builder().id(TARGET).arn(site.queue_arn(&spec.queue)).build();
    let target = target.map_err(|error| AwsError::request("events:PutTargets", &name, error))?;
    patiently(async || {
        let request = site.clients.events.put_targets().rule(&name).targets(target.clone());
        let answer = request.send().await.map_err(failed("events:PutTargets", &name))?;
        match answer.failed_entries.unwrap_or_default().into_iter().next() {
            None => Ok(()),
            // The answer is one of success all the same.
            Some(entry) => {
                let code = entry.error_code.unwrap_or_default();
                let message = format!("{code}: {}", entry.error_message.unwrap_or_default());
                let (action, subject) = ("events:PutTargets", name.clone());
                Err(CallError { action, subject, code: Some(code), status: None, message, request: None })
            }
        }
    })
    .await
}

/// Removes a rule with its targets.
pub(super) async fn delete(site: &Site, address: &ResourceAddress, name: &str) -> Result<(), AwsError> {
    match owner(site, name).await? {
        None => return Ok(()),
        Some(Ownership::Foreign) => return Err(AwsError::Foreign { what: WHAT, name: name.to_owned() }),
        Some(Ownership::Ours(Some(other))) if other != *address => return Ok(()),
        Some(Ownership::Ours(_)) => {}
    }
    let ids: Vec<String> = targets(site, name).await?.into_iter().map(|target| target.id).collect();
    if !ids.is_empty() {
        let request = site.clients.events.remove_targets().rule(name).set_ids(Some(ids));
        request.send().await.map_err(failed("events:RemoveTargets", name))?;
    }
    let deleted = patiently(async || {
        match site.clients.events.delete_rule().name(name).send().await.map_err(failed("events:DeleteRule", name)) {
            Err(error) if !error.is_absent() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    });
    deleted.await
}

/// All rules whose names begin with a prefix.
pub(super) async fn list(site: &Site, prefix: &str) -> Result<Vec<Rule>, AwsError> {
    let mut rules = Vec::new();
    let mut token = None;
    loop {
        let request = site.clients.events.list_rules().name_prefix(prefix).set_next_token(token);
        let answer = request.send().await.map_err(failed("events:ListRules", prefix))?;
        rules.extend(answer.rules.unwrap_or_default());
        match answer.next_token {
            Some(next) if !next.is_empty() => token = Some(next),
            Some(_) | None => return Ok(rules),
        }
    }
}

/// Whether a rule of a listing is as its document says, as far as listings tell.
pub(super) fn is_as_listed(spec: &RuleSpec, found: &Rule) -> bool {
    found.state() != Some(&RuleState::Disabled)
        && found.event_pattern().is_some_and(|pattern| policy::same(pattern, &spec.pattern))
}

/// Whose a rule is; none when it is not there.
pub(super) async fn owner(site: &Site, name: &str) -> Result<Option<Ownership>, AwsError> {
    if find(site, name).await?.is_none() {
        return Ok(None);
    }
    let request = site.clients.events.list_tags_for_resource().resource_arn(arn(site, name));
    match request.send().await.map_err(failed("events:ListTagsForResource", name)) {
        Ok(answer) => {
            let tags = answer.tags.unwrap_or_default();
            Ok(Some(site.owner.ownership(tags.iter().map(|tag| (tag.key(), tag.value())))))
        }
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Where a rule differs from its document; none when there is none of ours.
pub(super) async fn inspect(site: &Site, spec: &RuleSpec) -> Result<Option<Vec<FieldDrift>>, AwsError> {
    let name = spec.name();
    let Some(found) = find(site, &name).await? else { return Ok(None) };
    if owner(site, &name).await?.is_none_or(|owned| owned == Ownership::Foreign) {
        return Ok(None);
    }
    let mut comparison = Comparison::default();
    comparison.optional("state", RuleState::Enabled.as_str(), found.state().map(RuleState::as_str));
    if !found.event_pattern().is_some_and(|pattern| policy::same(pattern, &spec.pattern)) {
        comparison.optional("pattern", &spec.pattern, found.event_pattern());
    }
    let queues: Vec<String> = targets(site, &name).await?.into_iter().map(|target| target.arn).collect();
    comparison.field("queue", site.queue_arn(&spec.queue), queues.join(", "));
    Ok(Some(comparison.finish()))
}

async fn find(site: &Site, name: &str) -> Result<Option<DescribeRuleOutput>, AwsError> {
    match site.clients.events.describe_rule().name(name).send().await.map_err(failed("events:DescribeRule", name)) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A rule has at most five targets, fewer than one answer holds.
async fn targets(site: &Site, name: &str) -> Result<Vec<Target>, AwsError> {
    let request = site.clients.events.list_targets_by_rule().rule(name);
    match request.send().await.map_err(failed("events:ListTargetsByRule", name)) {
        Ok(answer) => Ok(answer.targets.unwrap_or_default()),
        Err(error) if error.is_absent() => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

fn arn(site: &Site, name: &str) -> String {
    names::arn(&site.place, "events", &format!("rule/{name}"))
}

fn tags(site: &Site, address: &ResourceAddress) -> Result<Vec<Tag>, AwsError> {
    let tags = site.owner.tags(address).into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
    tags.collect::<Result<_, _>>().map_err(|error| AwsError::request("events:TagResource", &address.to_string(), error))
}
