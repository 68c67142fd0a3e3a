//! Event source mappings: what hands the messages of a queue to a function, one at a time.
//!
//! A mapping has no name. Queue and function, whose names are ours, say which one it is.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use aws_sdk_lambda::types::EventSourceMappingConfiguration;
use aws_sdk_lambda::types::FunctionResponseType;
use aws_sdk_lambda::types::ScalingConfig;
use liminal_schemas::aws::resource::MappingSpec;
use liminal_schemas::state::ResourceAddress;

use super::drift::Comparison;
use super::drift::FieldDrift;
use super::error::AwsError;
use super::error::failed;
use super::retry::CHANGE_BUDGET;
use super::retry::Look;
use super::retry::blaming;
use super::retry::patiently;
use super::retry::until_ready;
use super::site::Site;

const WHAT: &str = "event source mapping";

/// How many messages a function gets at once: an attempt takes as long as it likes and fails on its own.
const BATCH: i32 = 1;

/// How often a mapping is brought back to its document while somebody else changes it.
const CHANGES: usize = 3;

/// Makes a mapping and waits until it hands out messages, or brings the one of the same pair back to its document.
pub(super) async fn create(site: &Site, address: &ResourceAddress, spec: &MappingSpec) -> Result<(), AwsError> {
    let name = name(spec);
    // AWS refuses a second mapping of a pair, others make it: so look first.
    if find(site, spec).await?.is_none() {
        match make(site, address, spec).await {
            Ok(()) => {}
            Err(AwsError::Call(error)) if error.is(&["ResourceConflictException"]) => {}
            Err(error) => return Err(error),
        }
    }
    let changes = AtomicUsize::new(0);
    until_ready(WHAT, &name, CHANGE_BUDGET, async || {
        let Some(found) = find(site, spec).await? else {
            return Ok(Look::Waiting { state: "absent".to_owned(), reason: None });
        };
        let state = found.state().unwrap_or("Enabled");
        let settled = matches!(state, "Enabled" | "Disabled");
        if settled && drift(spec, &found).is_empty() {
            return Ok(Look::Ready(()));
        }
        if settled {
            if changes.fetch_add(1, Ordering::Relaxed) == CHANGES {
                return Err(AwsError::Contended { what: WHAT, name: name.clone() });
            }
            restore(site, spec, &found).await?;
        }
        let reason = found.state_transition_reason().map(str::to_owned);
        Ok(Look::Waiting { state: state.to_lowercase(), reason })
    })
    .await
}

async fn make(site: &Site, address: &ResourceAddress, spec: &MappingSpec) -> Result<(), AwsError> {
    let name = name(spec);
    let tags: HashMap<String, String> = site.owner.tags(address).into_iter().collect();
    let made = patiently(async || {
        let request = site.clients.lambda.create_event_source_mapping().function_name(&spec.function);
        let request = request.event_source_arn(site.queue_arn(&spec.queue)).enabled(true).batch_size(BATCH);
        let request = request.function_response_types(FunctionResponseType::ReportBatchItemFailures);
        let request = request.set_scaling_config(scaling(spec)).set_tags(Some(tags.clone()));
        request.send().await.map_err(failed("lambda:CreateEventSourceMapping", &name))
    });
    blaming(&format!("of function {}", spec.function), made.await)?;
    Ok(())
}

async fn restore(site: &Site, spec: &MappingSpec, found: &EventSourceMappingConfiguration) -> Result<(), AwsError> {
    let name = name(spec);
    let uuid = uuid(found, &name)?;
    patiently(async || {
        let request = site.clients.lambda.update_event_source_mapping().uuid(uuid).enabled(true).batch_size(BATCH);
        let request = request.function_response_types(FunctionResponseType::ReportBatchItemFailures);
        // An empty configuration takes a limit away.
        let scaling = scaling(spec).unwrap_or_else(|| ScalingConfig::builder().build());
        let request = request.scaling_config(scaling);
        request.send().await.map_err(failed("lambda:UpdateEventSourceMapping", &name))
    })
    .await?;
    Ok(())
}

/// Stops a mapping, waits until it hands out nothing any more, and removes it.
pub(super) async fn delete(site: &Site, spec: &MappingSpec) -> Result<(), AwsError> {
    let name = name(spec);
    let (stopped, removed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    until_ready(WHAT, &name, CHANGE_BUDGET, async || {
        let Some(found) = find(site, spec).await? else { return Ok(Look::Ready(())) };
        let uuid = uuid(&found, &name)?;
        let state = found.state().unwrap_or("Enabled");
        match state {
            "Enabled" if stopped.fetch_add(1, Ordering::Relaxed) < CHANGES => stop(site, uuid, &name).await?,
            "Disabled" if removed.fetch_add(1, Ordering::Relaxed) < CHANGES => remove(site, uuid, &name).await?,
            "Enabled" | "Disabled" => return Err(AwsError::Contended { what: WHAT, name: name.clone() }),
            // Creating, Enabling, Disabling, Updating, Deleting: on its way.
            _ => {}
        }
        let reason = found.state_transition_reason().map(str::to_owned);
        Ok(Look::Waiting { state: state.to_lowercase(), reason })
    })
    .await
}

async fn stop(site: &Site, uuid: &str, name: &str) -> Result<(), AwsError> {
    let stopped = patiently(async || {
        let request = site.clients.lambda.update_event_source_mapping().uuid(uuid).enabled(false);
        match request.send().await.map_err(failed("lambda:UpdateEventSourceMapping", name)) {
            Err(error) if !error.is_absent() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    });
    stopped.await
}

async fn remove(site: &Site, uuid: &str, name: &str) -> Result<(), AwsError> {
    let removed = patiently(async || {
        let request = site.clients.lambda.delete_event_source_mapping().uuid(uuid);
        match request.send().await.map_err(failed("lambda:DeleteEventSourceMapping", name)) {
            Err(error) if !error.is_absent() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    });
    removed.await
}

/// All mappings of the region.
pub(super) async fn list(site: &Site) -> Result<Vec<EventSourceMappingConfiguration>, AwsError> {
    let request = site.clients.lambda.list_event_source_mappings();
    let mut pages = request.into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.try_next().await.map_err(failed("lambda:ListEventSourceMappings", "the region"))? {
        found.extend(page.event_source_mappings.unwrap_or_default());
    }
    Ok(found)
}

/// The mapping of a pair, if there is one.
pub(super) async fn find(site: &Site, spec: &MappingSpec) -> Result<Option<EventSourceMappingConfiguration>, AwsError> {
    let request = site.clients.lambda.list_event_source_mappings().function_name(&spec.function);
    let request = request.event_source_arn(site.queue_arn(&spec.queue));
    match request.send().await.map_err(failed("lambda:ListEventSourceMappings", &name(spec))) {
        Ok(answer) => {
            let mut found = answer.event_source_mappings.unwrap_or_default().into_iter();
            Ok(found.find(|found| is_for(spec, found)))
        }
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether a mapping is that of a pair.
pub(super) fn is_for(spec: &MappingSpec, found: &EventSourceMappingConfiguration) -> bool {
    pair(found) == Some((spec.queue.as_str(), spec.function.as_str()))
}

/// The queue and the function of a mapping, by name.
pub(super) fn pair(found: &EventSourceMappingConfiguration) -> Option<(&str, &str)> {
    let queue = found.event_source_arn()?.rsplit(':').next()?;
    // `arn:aws:lambda:region:account:function:name`, with or without a version.
    let function = found.function_arn()?.split(':').nth(6)?;
    Some((queue, function))
}

/// Where a mapping differs from its document.
pub(super) fn drift(spec: &MappingSpec, found: &EventSourceMappingConfiguration) -> Vec<FieldDrift> {
    let mut comparison = Comparison::default();
    let state = found.state().unwrap_or("Enabled");
    let on_its_way = matches!(state, "Creating" | "Enabling" | "Updating");
    comparison.field("state", "Enabled", if on_its_way { "Enabled" } else { state });
    comparison.optional("batch size", BATCH, found.batch_size());
    let responses = found.function_response_types();
    let responses: Vec<&str> = responses.iter().map(FunctionResponseType::as_str).collect();
    comparison.field("responses", FunctionResponseType::ReportBatchItemFailures.as_str(), responses.join(", "));
    let limit = |limit: Option<i64>| limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
    let found = found.scaling_config().and_then(ScalingConfig::maximum_concurrency);
    comparison.field("max concurrency", limit(spec.max_concurrency.map(i64::from)), limit(found.map(i64::from)));
    comparison.finish()
}

fn scaling(spec: &MappingSpec) -> Option<ScalingConfig> {
    let limit = i32::try_from(spec.max_concurrency?).unwrap_or(i32::MAX);
    Some(ScalingConfig::builder().maximum_concurrency(limit).build())
}

fn name(spec: &MappingSpec) -> String {
    format!("from queue {} to function {}", spec.queue, spec.function)
}

fn uuid<'a>(found: &'a EventSourceMappingConfiguration, name: &str) -> Result<&'a str, AwsError> {
    found.uuid().ok_or_else(|| AwsError::incomplete("lambda:ListEventSourceMappings", name, "the UUID"))
}
