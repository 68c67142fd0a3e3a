//! All that is ours in an account, found without any record of it: by names, and by the tags of what has such a name. The
//! tagging service is not asked: it lags, and does not know all kinds.

use liminal_schemas::aws::names;
use liminal_schemas::state::ResourceAddress;
use liminal_schemas::state::ResourceKind;

use super::error::AwsError;
use super::function;
use super::log_group;
use super::mapping;
use super::notification;
use super::queue;
use super::role;
use super::rule;
use super::schedule;
use super::site::Site;
use super::tags::Ownership;
use super::task_definition;

/// Something of ours that is in the account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// What kind of thing it is.
    pub kind: ResourceKind,
    /// Its name; for a mapping, queue and function; for notifications, the bucket and the entry.
    pub name: String,
    /// The address in its tags; none where it carries none.
    pub address: Option<ResourceAddress>,
}

/// Lists all that is ours: roles, log groups, queues, functions, mappings, task definitions, schedules and rules by their
/// names and tags, and notifications of some buckets by the queues that they send to. Sorted.
///
/// # Errors
/// When AWS can not be asked.
pub async fn inventory(site: &Site, buckets: &[String]) -> Result<Vec<Found>, AwsError> {
    let (prefix, queue_prefix) = (prefix(site, names::MAX_NAME), prefix(site, names::MAX_QUEUE_NAME));
    let log_groups = format!("/liminal/{}/{}/", site.owner.project, site.owner.environment);
    let path = names::role_path(&site.owner.project, &site.owner.environment);
    let (roles, logs, queues, functions, mappings, tasks, schedules, rules) = tokio::try_join!(
        role::list(site, &path),
        log_group::list(site, &log_groups),
        queue::list(site, &queue_prefix),
        function::list(site),
        mapping::list(site),
        task_definition::list(site, &prefix),
        schedule::list(site, &prefix),
        rule::list(site, &prefix),
    )?;
    let mut found = Vec::new();
    for name in roles {
        add(&mut found, ResourceKind::Role, role::owner(site, &name).await?, &name);
    }
    for group in logs {
        add(&mut found, ResourceKind::Logs, log_group::owner(site, &group.name).await?, &group.name);
    }
    let mut ours = Vec::new();
    for name in queues {
        let owned = queue::owner(site, &name).await?;
        ours.extend(owned.as_ref().filter(|owned| **owned != Ownership::Foreign).map(|_| name.clone()));
        add(&mut found, ResourceKind::Queue, owned, &name);
    }
    for name in functions.keys().filter(|name| name.starts_with(&prefix)) {
        let owned = function::owner(site, name).await?;
        ours.extend(owned.as_ref().filter(|owned| **owned != Ownership::Foreign).map(|_| name.clone()));
        add(&mut found, ResourceKind::Function, owned, name);
    }
    // A mapping is ours when its queue or its function is.
    for (queue, function) in mappings.iter().filter_map(mapping::pair) {
        if ours.iter().any(|name| name == queue || name == function) {
            found.push(Found { kind: ResourceKind::Mapping, name: format!("{queue} → {function}"), address: None });
        }
    }
    for family in tasks {
        add(&mut found, ResourceKind::Task, task_definition::owner(site, &family).await?, &family);
    }
    for name in schedules {
        add(&mut found, ResourceKind::Schedule, schedule::owner(site, &name).await?, &name);
    }
    for name in rules.iter().filter_map(|rule| rule.name()) {
        add(&mut found, ResourceKind::Rule, rule::owner(site, name).await?, name);
    }
    let queue = site.queue_arn(&names::trigger_queue(&site.owner.project, &site.owner.environment));
    for bucket in buckets {
        for entry in notification::list(site, bucket).await?.iter().filter(|entry| entry.queue_arn() == queue) {
            let name = format!("{bucket}: {}", entry.id().unwrap_or_default());
            found.push(Found { kind: ResourceKind::Notification, name, address: None });
        }
    }
    found.sort();
    Ok(found)
}

fn add(found: &mut Vec<Found>, kind: ResourceKind, owned: Option<Ownership>, name: &str) {
    match owned {
        // What is gone again meanwhile, and what is somebody else's.
        None | Some(Ownership::Foreign) => {}
        Some(Ownership::Ours(address)) => found.push(Found { kind, name: name.to_owned(), address }),
    }
}

/// What the names of all our resources begin with, shortened ones included.
fn prefix(site: &Site, max: usize) -> String {
    let pattern = names::environment_pattern(&site.owner.project, &site.owner.environment, max);
    pattern.trim_end_matches('*').to_owned()
}
