//! What is there, answered from listings: a handful of calls for all resources of a plan, all under way at once.
//!
//! A resource counts as present when its listing shows it as its document says. What listings do not show — permissions of
//! roles, attributes of queues, tags — is left to [`super::inspect`].

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::aws::names;
use liminal_schemas::aws::resource::CloudResource;
use liminal_schemas::aws::resource::FunctionSpec;
use liminal_schemas::aws::resource::LogsSpec;
use liminal_schemas::aws::resource::MappingSpec;
use liminal_schemas::aws::resource::NotificationSpec;
use liminal_schemas::aws::resource::QueueSpec;
use liminal_schemas::aws::resource::ResourceSpec;
use liminal_schemas::aws::resource::RoleSpec;
use liminal_schemas::aws::resource::RuleSpec;
use liminal_schemas::aws::resource::ScheduleSpec;
use liminal_schemas::aws::resource::TaskSpec;
use liminal_schemas::keys;
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
use super::task_definition;
use crate::package_objects;
use crate::ports::Objects;
use crate::ports::PortError;

/// Documents of one kind, by address.
type Asked<'a, S> = Vec<(&'a ResourceAddress, &'a S)>;

/// What is asked for, by kind.
#[derive(Default)]
struct Questions<'a> {
    packages: Vec<&'a ResourceAddress>,
    bundles: Vec<&'a ResourceAddress>,
    roles: Asked<'a, RoleSpec>,
    logs: Asked<'a, LogsSpec>,
    queues: Asked<'a, QueueSpec>,
    functions: Asked<'a, FunctionSpec>,
    mappings: Asked<'a, MappingSpec>,
    tasks: Asked<'a, TaskSpec>,
    schedules: Asked<'a, ScheduleSpec>,
    notifications: Asked<'a, NotificationSpec>,
    rules: Asked<'a, RuleSpec>,
}

/// Those of some resources that are there and as their documents say.
pub(super) async fn present(
    site: &Site,
    objects: &impl Objects,
    documents: &BTreeMap<ResourceAddress, CloudResource>,
    asked: &BTreeSet<ResourceAddress>,
) -> Result<BTreeSet<ResourceAddress>, PortError> {
    let questions = Questions::new(documents, asked);
    let in_services = async { questions.answer(site).await.map_err(PortError::from) };
    let (mut present, packages, bundles) =
        tokio::try_join!(in_services, packages(objects, &questions.packages), bundles(objects, &questions.bundles))?;
    present.extend(packages);
    present.extend(bundles);
    Ok(present)
}

impl<'a> Questions<'a> {
    fn new(documents: &'a BTreeMap<ResourceAddress, CloudResource>, asked: &'a BTreeSet<ResourceAddress>) -> Self {
        let mut questions = Self::default();
        for address in asked {
            if address.kind == ResourceKind::Package {
                questions.packages.push(address);
            }
            // Nobody can tell whether something is there of which nothing but a digest is known.
            let Some(document) = documents.get(address) else { continue };
            match &document.spec {
                ResourceSpec::Bundle(_) => questions.bundles.push(address),
                ResourceSpec::Role(spec) => questions.roles.push((address, spec)),
                ResourceSpec::Logs(spec) => questions.logs.push((address, spec)),
                ResourceSpec::Queue(spec) => questions.queues.push((address, spec)),
                ResourceSpec::Function(spec) => questions.functions.push((address, spec)),
                ResourceSpec::Mapping(spec) => questions.mappings.push((address, spec)),
                ResourceSpec::Task(spec) => questions.tasks.push((address, spec)),
                ResourceSpec::Schedule(spec) => questions.schedules.push((address, spec)),
                ResourceSpec::Notification(spec) => questions.notifications.push((address, spec)),
                ResourceSpec::Rule(spec) => questions.rules.push((address, spec)),
            }
        }
        questions
    }

    async fn answer(&self, site: &Site) -> Result<BTreeSet<ResourceAddress>, AwsError> {
        let (roles, logs, queues, functions, mappings, tasks, schedules, notifications, rules) = tokio::try_join!(
            roles(site, &self.roles),
            logs(site, &self.logs),
            queues(site, &self.queues),
            functions(site, &self.functions),
            mappings(site, &self.mappings),
            tasks(site, &self.tasks),
            schedules(site, &self.schedules),
            notifications(site, &self.notifications),
            rules(site, &self.rules),
        )?;
        let all = [roles, logs, queues, functions, mappings, tasks, schedules, notifications, rules];
        Ok(all.into_iter().flatten().cloned().collect())
    }
}

type Present<'a> = Result<Vec<&'a ResourceAddress>, AwsError>;

async fn roles<'a>(site: &Site, asked: &Asked<'a, RoleSpec>) -> Present<'a> {
    let paths: BTreeSet<&str> = asked.iter().map(|(_, spec)| spec.path.as_str()).collect();
    let mut found = BTreeSet::new();
    for path in paths {
        found.extend(role::list(site, path).await?);
    }
    Ok(matching(asked, |spec| found.contains(&spec.name())))
}

async fn logs<'a>(site: &Site, asked: &Asked<'a, LogsSpec>) -> Present<'a> {
    let Some(prefix) = common_prefix(asked.iter().map(|(_, spec)| spec.name.clone())) else { return Ok(Vec::new()) };
    let found = log_group::list(site, &prefix).await?;
    let found: BTreeMap<&str, Option<u32>> =
        found.iter().map(|group| (group.name.as_str(), group.retention_days)).collect();
    Ok(matching(asked, |spec| found.get(spec.name.as_str()) == Some(&Some(spec.retention_days))))
}

async fn queues<'a>(site: &Site, asked: &Asked<'a, QueueSpec>) -> Present<'a> {
    let Some(prefix) = common_prefix(asked.iter().map(|(_, spec)| spec.name.clone())) else { return Ok(Vec::new()) };
    let found: BTreeSet<String> = queue::list(site, &prefix).await?.into_iter().collect();
    let listed = |spec: &QueueSpec| found.contains(&spec.name) && found.contains(&queue::dead_letter(&spec.name));
    let mut documents: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, spec) in asked {
        *documents.entry(&spec.name).or_default() += 1;
    }
    let trigger_queue = names::trigger_queue(&site.owner.project, &site.owner.environment);
    let mut present = Vec::new();
    for (address, spec) in asked.iter().filter(|(_, spec)| listed(spec)) {
        // A queue keeps its name when its document changes: where that can be, a listing does not tell.
        let lasts = spec.name == trigger_queue || documents.get(spec.name.as_str()) > Some(&1);
        let same = !lasts || queue::drift(site, address, spec).await?.is_some_and(|drift| drift.is_empty());
        present.extend(same.then_some(*address));
    }
    Ok(present)
}

async fn functions<'a>(site: &Site, asked: &Asked<'a, FunctionSpec>) -> Present<'a> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let found = function::list(site).await?;
    Ok(matching(asked, |spec| {
        found.get(&spec.name()).is_some_and(|found| function::drift(spec, None, found).is_empty())
    }))
}

async fn mappings<'a>(site: &Site, asked: &Asked<'a, MappingSpec>) -> Present<'a> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let found = mapping::list(site).await?;
    let found: BTreeMap<_, _> = found.iter().filter_map(|found| Some((mapping::pair(found)?, found))).collect();
    Ok(matching(asked, |spec| {
        let found = found.get(&(spec.queue.as_str(), spec.function.as_str()));
        found.is_some_and(|found| mapping::drift(spec, found).is_empty())
    }))
}

async fn tasks<'a>(site: &Site, asked: &Asked<'a, TaskSpec>) -> Present<'a> {
    let Some(prefix) = common_prefix(asked.iter().map(|(_, spec)| spec.family())) else { return Ok(Vec::new()) };
    let found: BTreeSet<String> = task_definition::list(site, &prefix).await?.into_iter().collect();
    Ok(matching(asked, |spec| found.contains(&spec.family())))
}

async fn schedules<'a>(site: &Site, asked: &Asked<'a, ScheduleSpec>) -> Present<'a> {
    let Some(prefix) = common_prefix(asked.iter().map(|(_, spec)| spec.name())) else { return Ok(Vec::new()) };
    let found: BTreeSet<String> = schedule::list(site, &prefix).await?.into_iter().collect();
    Ok(matching(asked, |spec| found.contains(&spec.name())))
}

async fn notifications<'a>(site: &Site, asked: &Asked<'a, NotificationSpec>) -> Present<'a> {
    let mut present = Vec::new();
    for (address, spec) in asked {
        let found = notification::list(site, &spec.bucket).await?;
        let same = notification::drift(site, address, spec, &found)?.is_empty();
        present.extend(same.then_some(*address));
    }
    Ok(present)
}

async fn rules<'a>(site: &Site, asked: &Asked<'a, RuleSpec>) -> Present<'a> {
    let Some(prefix) = common_prefix(asked.iter().map(|(_, spec)| spec.name())) else { return Ok(Vec::new()) };
    let found = rule::list(site, &prefix).await?;
    Ok(matching(asked, |spec| {
        let mut found = found.iter().filter(|found| found.name() == Some(&spec.name()));
        found.next().is_some_and(|found| rule::is_as_listed(spec, found))
    }))
}

async fn packages(objects: &impl Objects, asked: &[&ResourceAddress]) -> Result<Vec<ResourceAddress>, PortError> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let stored = package_objects::stored(objects).await?;
    let there = asked.iter().filter(|address| package_objects::is_stored(&stored, &address.digest));
    Ok(there.map(|address| (*address).clone()).collect())
}

async fn bundles(objects: &impl Objects, asked: &[&ResourceAddress]) -> Result<Vec<ResourceAddress>, PortError> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let stored: BTreeSet<String> = objects.list(keys::BUNDLES_PREFIX).await?.into_iter().collect();
    let is_stored = |address: &&&ResourceAddress| {
        stored.contains(&keys::bundle(&address.digest)) && stored.contains(&keys::bundle_facts(&address.digest))
    };
    Ok(asked.iter().filter(is_stored).map(|address| (*address).clone()).collect())
}

fn matching<'a, S>(asked: &Asked<'a, S>, is_there: impl Fn(&S) -> bool) -> Vec<&'a ResourceAddress> {
    asked.iter().filter(|(_, spec)| is_there(spec)).map(|(address, _)| *address).collect()
}

/// What all names begin with: a listing of these is as short as it can be. Names of shortened parts are among them.
fn common_prefix(names: impl IntoIterator<Item = String>) -> Option<String> {
    names.into_iter().reduce(|mut prefix, name| {
        let same = prefix.bytes().zip(name.bytes()).take_while(|(one, other)| one == other).count();
        // Names are ASCII, so that any position is a boundary.
        prefix.truncate(same);
        prefix
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_begins_as_all_that_is_asked_for() {
        let names = |names: &[&str]| common_prefix(names.iter().map(|name| (*name).to_owned()));
        assert_eq!(names(&["liminal-shop-prod-a", "liminal-shop-prod-b"]).as_deref(), Some("liminal-shop-prod-"));
        assert_eq!(names(&["liminal-a"]).as_deref(), Some("liminal-a"));
        assert_eq!(names(&[]), None);
    }
}
