//! Log groups. They hold what steps printed, so that they stay as long as their environment.

use liminal_schemas::aws::names;
use liminal_schemas::aws::resource::LogsSpec;
use liminal_schemas::state::ResourceAddress;

use super::drift::Comparison;
use super::drift::FieldDrift;
use super::error::AwsError;
use super::error::failed;
use super::retry::patiently;
use super::site::Site;
use super::tags::Ownership;

const WHAT: &str = "log group";

/// A log group that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundLogGroup {
    pub(super) name: String,
    /// How long events are kept, in days; none for ever.
    pub(super) retention_days: Option<u32>,
}

/// Makes a log group, or sets the retention of ours.
pub(super) async fn create(site: &Site, address: &ResourceAddress, spec: &LogsSpec) -> Result<(), AwsError> {
    let logs = &site.clients.logs;
    let tags = || site.owner.tags(address).into_iter().collect();
    let created = patiently(async || {
        let request = logs.create_log_group().log_group_name(&spec.name).set_tags(Some(tags()));
        request.send().await.map_err(failed("logs:CreateLogGroup", &spec.name))
    });
    match created.await {
        Ok(_) => {}
        Err(AwsError::Call(error)) if error.is(&["ResourceAlreadyExistsException"]) => {
            if owner(site, &spec.name).await? == Some(Ownership::Foreign) {
                return Err(AwsError::Foreign { what: WHAT, name: spec.name.clone() });
            }
        }
        Err(error) => return Err(error),
    }
    let days = i32::try_from(spec.retention_days).unwrap_or(i32::MAX);
    patiently(async || {
        let request = logs.put_retention_policy().log_group_name(&spec.name).retention_in_days(days);
        request.send().await.map_err(failed("logs:PutRetentionPolicy", &spec.name))
    })
    .await?;
    Ok(())
}

/// Removes a log group with all that it holds.
pub(super) async fn delete(site: &Site, name: &str) -> Result<(), AwsError> {
    match owner(site, name).await? {
        None => return Ok(()),
        Some(Ownership::Foreign) => return Err(AwsError::Foreign { what: WHAT, name: name.to_owned() }),
        Some(Ownership::Ours(_)) => {}
    }
    let deleted = patiently(async || {
        let request = site.clients.logs.delete_log_group().log_group_name(name);
        match request.send().await.map_err(failed("logs:DeleteLogGroup", name)) {
            Err(error) if !error.is_absent() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    });
    deleted.await
}

/// All log groups whose names begin with a prefix.
pub(super) async fn list(site: &Site, prefix: &str) -> Result<Vec<FoundLogGroup>, AwsError> {
    let request = site.clients.logs.describe_log_groups().log_group_name_prefix(prefix);
    let mut pages = request.into_paginator().page_size(50).send();
    let mut found = Vec::new();
    while let Some(page) = pages.try_next().await.map_err(failed("logs:DescribeLogGroups", prefix))? {
        found.extend(page.log_groups.unwrap_or_default().into_iter().filter_map(|group| {
            let retention_days = group.retention_in_days.and_then(|days| u32::try_from(days).ok());
            Some(FoundLogGroup { name: group.log_group_name?, retention_days })
        }));
    }
    Ok(found)
}

/// Where a log group differs from its document; none when there is none of ours.
pub(super) async fn inspect(site: &Site, spec: &LogsSpec) -> Result<Option<Vec<FieldDrift>>, AwsError> {
    let found = list(site, &spec.name).await?.into_iter().find(|found| found.name == spec.name);
    let Some(found) = found else { return Ok(None) };
    if owner(site, &spec.name).await?.is_none_or(|owned| owned == Ownership::Foreign) {
        return Ok(None);
    }
    let mut comparison = Comparison::default();
    comparison.optional("retention in days", spec.retention_days, found.retention_days);
    Ok(Some(comparison.finish()))
}

/// Whose a log group is; none when it is not there.
pub(super) async fn owner(site: &Site, name: &str) -> Result<Option<Ownership>, AwsError> {
    let arn = names::arn(&site.place, "logs", &format!("log-group:{name}"));
    let request = site.clients.logs.list_tags_for_resource().resource_arn(arn);
    match request.send().await.map_err(failed("logs:ListTagsForResource", name)) {
        Ok(answer) => {
            let tags = answer.tags.unwrap_or_default();
            let tags = tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
            Ok(Some(site.owner.ownership(tags)))
        }
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
