//! Schedules of EventBridge Scheduler, in the default group. They carry no tags: their description says whose they are.

use aws_sdk_scheduler::operation::get_schedule::GetScheduleOutput;
use aws_sdk_scheduler::types::FlexibleTimeWindow;
use aws_sdk_scheduler::types::FlexibleTimeWindowMode;
use aws_sdk_scheduler::types::ScheduleState;
use aws_sdk_scheduler::types::Target;
use liminal_schemas::aws::resource::ScheduleSpec;
use liminal_schemas::state::ResourceAddress;

use super::drift::Comparison;
use super::drift::FieldDrift;
use super::error::AwsError;
use super::error::failed;
use super::policy;
use super::retry::blaming;
use super::retry::patiently;
use super::site::Site;
use super::tags::Ownership;

const WHAT: &str = "schedule";

/// Makes a schedule, or brings ours back to its document.
pub(super) async fn create(site: &Site, address: &ResourceAddress, spec: &ScheduleSpec) -> Result<(), AwsError> {
    let name = spec.name();
    let (target, window) = (target(site, spec)?, window(&name)?);
    let description = site.owner.line(address);
    let created = patiently(async || {
        let request = site.clients.scheduler.create_schedule().name(&name).description(&description);
        let request = request.schedule_expression(&spec.expression).schedule_expression_timezone(&spec.timezone);
        let request = request.target(target.clone()).flexible_time_window(window.clone());
        let request = request.state(ScheduleState::Enabled);
        request.send().await.map_err(failed("scheduler:CreateSchedule", &name))
    });
    match blaming(&spec.role, created.await) {
        Ok(_) => return Ok(()),
        Err(AwsError::Call(error)) if error.is(&["ConflictException"]) => {}
        Err(error) => return Err(error),
    }
    let Some(found) = find(site, &name).await? else { return Err(AwsError::Contended { what: WHAT, name }) };
    if ownership(site, &found) == Ownership::Foreign {
        return Err(AwsError::Foreign { what: WHAT, name });
    }
    if drift(site, address, spec, &found).is_empty() {
        return Ok(());
    }
    let updated = patiently(async || {
        let request = site.clients.scheduler.update_schedule().name(&name).description(&description);
        let request = request.schedule_expression(&spec.expression).schedule_expression_timezone(&spec.timezone);
        let request = request.target(target.clone()).flexible_time_window(window.clone());
        let request = request.state(ScheduleState::Enabled);
        request.send().await.map_err(failed("scheduler:UpdateSchedule", &name))
    });
    blaming(&spec.role, updated.await)?;
    Ok(())
}

/// Removes a schedule.
pub(super) async fn delete(site: &Site, address: &ResourceAddress, name: &str) -> Result<(), AwsError> {
    let Some(found) = find(site, name).await? else { return Ok(()) };
    match ownership(site, &found) {
        Ownership::Foreign => return Err(AwsError::Foreign { what: WHAT, name: name.to_owned() }),
        Ownership::Ours(Some(other)) if other != *address => return Ok(()),
        Ownership::Ours(_) => {}
    }
    let deleted = patiently(async || {
        let request = site.clients.scheduler.delete_schedule().name(name);
        match request.send().await.map_err(failed("scheduler:DeleteSchedule", name)) {
            Err(error) if !error.is_absent() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    });
    deleted.await
}

/// The names of all schedules that begin with a prefix and are not switched off.
pub(super) async fn list(site: &Site, prefix: &str) -> Result<Vec<String>, AwsError> {
    let request = site.clients.scheduler.list_schedules().name_prefix(prefix);
    let mut pages = request.into_paginator().page_size(100).send();
    let mut names = Vec::new();
    while let Some(page) = pages.try_next().await.map_err(failed("scheduler:ListSchedules", prefix))? {
        let enabled = page.schedules.into_iter().filter(|found| found.state != Some(ScheduleState::Disabled));
        names.extend(enabled.filter_map(|found| found.name));
    }
    Ok(names)
}

/// Whose a schedule is; none when it is not there.
pub(super) async fn owner(site: &Site, name: &str) -> Result<Option<Ownership>, AwsError> {
    Ok(find(site, name).await?.map(|found| ownership(site, &found)))
}

/// Where a schedule differs from its document; none when there is none of ours.
pub(super) async fn inspect(
    site: &Site,
    address: &ResourceAddress,
    spec: &ScheduleSpec,
) -> Result<Option<Vec<FieldDrift>>, AwsError> {
    let found = find(site, &spec.name()).await?.filter(|found| ownership(site, found) != Ownership::Foreign);
    Ok(found.map(|found| drift(site, address, spec, &found)))
}

fn drift(site: &Site, address: &ResourceAddress, spec: &ScheduleSpec, found: &GetScheduleOutput) -> Vec<FieldDrift> {
    let mut comparison = Comparison::default();
    comparison.optional("description", site.owner.line(address), found.description());
    comparison.optional("expression", &spec.expression, found.schedule_expression());
    comparison.optional("timezone", &spec.timezone, found.schedule_expression_timezone());
    comparison.optional("state", ScheduleState::Enabled.as_str(), found.state().map(ScheduleState::as_str));
    comparison.optional("queue", site.queue_arn(&spec.queue), found.target().map(Target::arn));
    comparison.optional("role", &spec.role, found.target().map(Target::role_arn));
    let message = found.target().and_then(Target::input);
    if !message.is_some_and(|message| policy::same(message, &spec.message)) {
        comparison.optional("message", &spec.message, message);
    }
    comparison.finish()
}

async fn find(site: &Site, name: &str) -> Result<Option<GetScheduleOutput>, AwsError> {
    match site.clients.scheduler.get_schedule().name(name).send().await.map_err(failed("scheduler:GetSchedule", name)) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn ownership(site: &Site, found: &GetScheduleOutput) -> Ownership {
    site.owner.ownership_by_line(found.description().unwrap_or_default())
}

fn target(site: &Site, spec: &ScheduleSpec) -> Result<Target, AwsError> {
    let target = Target::builder().arn(site.queue_arn(&spec.queue)).role_arn(&spec.role).input(&spec.message).build();
    target.map_err(|error| AwsError::request("scheduler:CreateSchedule", &spec.name(), error))
}

fn window(name: &str) -> Result<FlexibleTimeWindow, AwsError> {
    let window = FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build();
    window.map_err(|error| AwsError::request("scheduler:CreateSchedule", name, error))
}
