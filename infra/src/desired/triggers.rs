//! What starts runs: the trigger queue, schedules, notifications of buckets, events of tasks. These are the resources
//! that follow the live releases alone: none is kept for a release that is retired.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::aws::names;
use liminal_schemas::aws::placement;
use liminal_schemas::aws::resource::KeyFilter;
use liminal_schemas::aws::resource::NotificationSpec;
use liminal_schemas::aws::resource::QueueSpec;
use liminal_schemas::aws::resource::ResourceSpec;
use liminal_schemas::aws::resource::RuleSpec;
use liminal_schemas::aws::resource::ScheduleSpec;
use liminal_schemas::digest::Digest;
use liminal_schemas::message::TriggerMessage;
use liminal_schemas::name::PipelineName;
use liminal_schemas::state::ResourceAddress;
use liminal_schemas::trigger::TriggerSource;

use super::DesiredProblem;
use super::Scope;
use super::object_filters::without_overlaps;
use super::resource_set::ResourceSet;
use super::scope::bucket_arn;
use super::starter;
use super::statements;
use super::step::MAX_RECEIVES;
use crate::plan::Revised;

const S3: &str = "s3.amazonaws.com";
const EVENTS: &str = "events.amazonaws.com";
const SCHEDULER: &str = "scheduler.amazonaws.com";

/// How often open runs are looked at.
const SWEEP_EXPRESSION: &str = "rate(1 minute)";

/// Adds what starts runs of some live releases; gives the trigger queue. `cluster` is the ARN of the cluster whose tasks
/// are watched.
pub(super) fn add_to(
    set: &mut ResourceSet,
    scope: Scope<'_>,
    releases: &BTreeMap<PipelineName, Revised>,
    cluster: Option<String>,
) -> ResourceAddress {
    let rule = cluster.map(|cluster| task_rule(scope, &cluster));
    let filters = filters(scope, releases);
    let queue = trigger_queue(scope, filters.keys(), rule.as_ref());
    let queue_name = queue.name.clone();
    let queue = set.add(ResourceSpec::Queue(queue), [], None);
    if let Some(rule) = rule {
        set.add(ResourceSpec::Rule(rule), [queue.clone()], None);
    }
    for (bucket, filters) in filters {
        let notification =
            NotificationSpec { bucket, id_prefix: notification_prefix(scope), queue: queue_name.clone(), filters };
        set.add(ResourceSpec::Notification(notification), [queue.clone()], None);
    }
    let send = statements::allow("SendTicks", &["sqs:SendMessage"], [scope.queue_arn(&queue_name)]);
    let role = statements::role(scope, &["scheduler"], SCHEDULER, vec![send]);
    let role_arn = scope.role_arn(&role);
    let role = set.add(ResourceSpec::Role(role), [], None);
    for (part, expression, timezone, message) in schedules(releases) {
        let schedule = ScheduleSpec {
            name_parts: scope.parts(&[part]),
            expression: expression.to_owned(),
            timezone: timezone.to_owned(),
            queue: queue_name.clone(),
            role: role_arn.clone(),
            message: message.body(),
        };
        set.add(ResourceSpec::Schedule(schedule), [role.clone(), queue.clone()], None);
    }
    queue
}

fn schedules(releases: &BTreeMap<PipelineName, Revised>) -> Vec<(&str, &str, &str, TriggerMessage)> {
    let mut schedules = vec![("sweep", SWEEP_EXPRESSION, "UTC", TriggerMessage::sweep())];
    for (pipeline, revised) in releases {
        for trigger in &revised.release.triggers {
            match &trigger.on {
                TriggerSource::Schedule { expression, timezone } => {
                    let message = TriggerMessage::schedule(pipeline.clone(), trigger.digest());
                    schedules.push((pipeline.as_str(), expression, timezone, message));
                }
                // The sweeper finds runs that have ended by their marks.
                TriggerSource::Object { .. } | TriggerSource::Finished { .. } => {}
            }
        }
    }
    schedules
}

/// The object triggers of all pipelines: bucket and keys of each.
pub(super) fn object_triggers(
    scope: Scope<'_>,
    releases: &BTreeMap<PipelineName, Revised>,
) -> Vec<(PipelineName, String, KeyFilter)> {
    let mut found = Vec::new();
    for (pipeline, revised) in releases {
        for trigger in &revised.release.triggers {
            match &trigger.on {
                TriggerSource::Schedule { .. } | TriggerSource::Finished { .. } => {}
                TriggerSource::Object { bucket, prefix, suffix } => {
                    let bucket = bucket.as_ref().unwrap_or(&scope.place.bucket);
                    let filter = KeyFilter { prefix: prefix.clone(), suffix: suffix.clone() };
                    found.push((pipeline.clone(), bucket.clone(), filter));
                }
            }
        }
    }
    found
}

fn filters(scope: Scope<'_>, releases: &BTreeMap<PipelineName, Revised>) -> BTreeMap<String, BTreeSet<KeyFilter>> {
    let mut by_bucket: BTreeMap<String, BTreeSet<KeyFilter>> = BTreeMap::new();
    for (_, bucket, filter) in object_triggers(scope, releases) {
        by_bucket.entry(bucket).or_default().insert(filter);
    }
    by_bucket.into_iter().map(|(bucket, filters)| (bucket, without_overlaps(filters))).collect()
}

/// Triggers for what liminal itself writes, which starts no run: they would only keep the starter busy. One that is for
/// all keys of some ending is let pass, since what liminal writes has its own endings.
pub(super) fn problems(scope: Scope<'_>, releases: &BTreeMap<PipelineName, Revised>) -> Vec<DesiredProblem> {
    let own = scope.key("");
    let is_own = |bucket: &String, filter: &KeyFilter| {
        let all_of_it = own.starts_with(&filter.prefix) && filter.suffix.is_empty();
        *bucket == scope.place.bucket && (all_of_it || filter.prefix.starts_with(&own))
    };
    object_triggers(scope, releases)
        .into_iter()
        .filter(|(_, bucket, filter)| is_own(bucket, filter))
        .map(|(pipeline, bucket, filter)| DesiredProblem::SelfTriggering { pipeline, bucket, prefix: filter.prefix })
        .collect()
}

fn trigger_queue<'a>(
    scope: Scope<'_>,
    buckets: impl Iterator<Item = &'a String>,
    rule: Option<&RuleSpec>,
) -> QueueSpec {
    let buckets: BTreeSet<String> = buckets.map(|bucket| bucket_arn(scope.place, bucket)).collect();
    let rules: BTreeSet<String> =
        rule.into_iter().map(|rule| names::arn(scope.place, "events", &format!("rule/{}", rule.name()))).collect();
    let senders = [(S3, buckets), (EVENTS, rules)].into_iter().filter(|(_, arns)| !arns.is_empty());
    QueueSpec {
        name: scope.trigger_queue(),
        visibility_seconds: placement::visibility_seconds(starter::TIMEOUT_SECONDS),
        max_receives: MAX_RECEIVES,
        senders: senders.map(|(service, arns)| (service.to_owned(), arns)).collect(),
    }
}

/// What the ids of notifications begin with. The digest tells this environment from one whose name begins with its name.
fn notification_prefix(scope: Scope<'_>) -> String {
    let parts = [scope.project.as_str(), scope.environment.as_str()];
    let identity = Digest::of_bytes(names::prefix(scope.project, scope.environment).as_bytes());
    format!("{}-", names::resource(&parts, &identity, names::MAX_NAME))
}

/// Tells when a task of the environment stopped, so that one that died is not waited for.
fn task_rule(scope: Scope<'_>, cluster: &str) -> RuleSpec {
    let families = names::environment_pattern(scope.project, scope.environment, names::MAX_NAME);
    // In the order of the alphabet, so that the text is the same however maps are kept.
    let pattern = serde_json::json!({
        "detail": {
            "clusterArn": [cluster],
            "group": [{ "prefix": format!("family:{}", families.trim_end_matches('*')) }],
            "lastStatus": ["STOPPED"],
        },
        "detail-type": ["ECS Task State Change"],
        "source": ["aws.ecs"],
    });
    RuleSpec { name_parts: scope.parts(&["tasks"]), pattern: pattern.to_string(), queue: scope.trigger_queue() }
}
