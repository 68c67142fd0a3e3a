//! What a plan must find in the state, and what each operation leaves there.

use std::collections::BTreeMap;

use liminal_schemas::plan::Operation;
use liminal_schemas::plan::Plan;
use liminal_schemas::state::DeployedPipeline;
use liminal_schemas::state::ResourceAddress;
use liminal_schemas::state::ResourceRecord;
use liminal_schemas::state::STATE_SCHEMA;
use liminal_schemas::state::State;
use liminal_schemas::time::UtcTime;

use super::ApplyError;
use crate::state::LoadedState;

/// The state before the first apply. It goes on where a history left off whose state was lost.
pub(super) fn new_state(plan: &Plan, lineage: &str, serial: u64) -> State {
    State {
        schema: STATE_SCHEMA,
        lineage: lineage.to_owned(),
        serial,
        project: plan.project.clone(),
        environment: plan.environment.clone(),
        applied: None,
        expires: None,
        pipelines: BTreeMap::new(),
        resources: BTreeMap::new(),
        journal: None,
    }
}

/// Refuses a plan that was made against another state than the one in place.
pub(super) fn check_base(plan: &Plan, loaded: Option<&LoadedState>) -> Result<(), ApplyError> {
    let lineage = loaded.map(|loaded| &loaded.state.lineage);
    let serial = loaded.map_or(0, |loaded| loaded.state.serial);
    let etag = loaded.map(|loaded| &loaded.etag);
    let stale = |what: String| Err(ApplyError::Stale(what));
    if let (None, Some(_)) = (&plan.base.lineage, lineage) {
        return stale(format!("nothing was applied yet when it was made, and the state is at serial {serial}"));
    }
    if lineage != plan.base.lineage.as_ref() {
        return stale("the state is another one, of another lineage".to_owned());
    }
    if serial != plan.base.serial {
        return stale(format!("the state was at serial {} and is at {serial}", plan.base.serial));
    }
    if etag != plan.base.etag.as_ref() {
        return stale("the state was written again under the same serial".to_owned());
    }
    Ok(())
}

/// Counts what an interrupted apply set out to make as made, so that it is used or collected, but never forgotten.
pub(super) fn take_over_intent(state: &mut State, now: UtcTime) {
    let Some(mut journal) = state.journal.take() else { return };
    for operation in journal.open {
        if let Operation::CreateResource { address } = operation {
            let resource = journal.resources.remove(&address).map(Box::new);
            let record = ResourceRecord { created_at: now, resource };
            if !state.resources.contains_key(&address) {
                insert(&mut state.resources, address, record);
            }
        }
    }
}

/// Records a resource. One of the same lasting name was made over: it is no thing of its own any more.
fn insert(resources: &mut BTreeMap<ResourceAddress, ResourceRecord>, address: ResourceAddress, record: ResourceRecord) {
    let name = |record: &ResourceRecord| record.resource.as_ref().and_then(|resource| resource.spec.lasting_name());
    if let Some(made) = name(&record) {
        resources.retain(|_, other| name(other).as_ref() != Some(&made));
    }
    resources.insert(address, record);
}

/// Records in the state what an operation did.
pub(super) fn record_in(state: &mut State, operation: &Operation, plan: &Plan, now: UtcTime) {
    match operation {
        Operation::CreateResource { address } => {
            let resource = plan.documents.resources.get(address).cloned().map(Box::new);
            let created_at = state.resources.get(address).map_or(now, |known| known.created_at);
            insert(&mut state.resources, address.clone(), ResourceRecord { created_at, resource });
        }
        // What is on trial stands in the live pointer alone, since what becomes of its runs may take it off at any time.
        Operation::WriteRelease { .. } | Operation::StartCanary { .. } | Operation::EndCanary { .. } => {}
        Operation::MoveLive { pipeline, to, .. } => {
            let retired = plan.documents.retired.get(pipeline).cloned().unwrap_or_default();
            state.pipelines.insert(pipeline.clone(), DeployedPipeline { live: *to, retired });
        }
        Operation::RemoveLive { pipeline, .. } => {
            state.pipelines.remove(pipeline);
        }
        Operation::DeleteRelease { pipeline, revision } => {
            if let Some(deployed) = state.pipelines.get_mut(pipeline) {
                deployed.retired.retain(|retired| retired != revision);
            }
        }
        Operation::DeleteResource { address } => {
            state.resources.remove(address);
        }
    }
}
