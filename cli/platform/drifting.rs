//! Drift of an environment: looked for resource by resource, and healed by a plan like any other.

use std::collections::BTreeMap;
use std::sync::Arc;

use liminal_infra::apply::window::all;
use liminal_infra::drift::Drift;
use liminal_infra::drift::DriftedPointer;
use liminal_infra::drift::DriftedResource;
use liminal_infra::drift::Found;
use liminal_infra::plan;
use liminal_infra::plan::Observed;
use liminal_infra::ports::PortError;
use liminal_infra::source::Snapshot;
use liminal_infra::state::LoadedState;
use liminal_schemas::definition::resolve::Resolved;
use liminal_schemas::plan::Plan;
use liminal_schemas::state::ResourceAddress;
use liminal_schemas::state::ResourceRecord;

use super::Environment;
use super::planning::target_of;
use super::resources::Material;
use super::resources::recorded;
use crate::error::CliError;
use crate::error::While as _;
use crate::progress::Progress;

/// How many resources are looked at at once.
const AT_ONCE: usize = 16;

/// What was looked at, and what differs.
pub(crate) struct Looked {
    /// What differs.
    pub(crate) drift: Drift,
    /// How many resources were looked at.
    pub(crate) resources: usize,
    state: LoadedState,
    observed: Observed,
}

impl Environment {
    /// Looks at everything that is recorded; none when nothing was ever applied.
    pub(crate) async fn look_for_drift(&self, files: &Arc<Snapshot>) -> Result<Option<Looked>, CliError> {
        let Some(state) = self.state().await? else { return Ok(None) };
        let observed = self.observe_deployed(&state, None).await?;
        let (progress, packages) = (Progress::silent(), BTreeMap::new());
        let documents = recorded(Some(&state));
        let files = Arc::clone(files);
        let material = Material { files, packages: &packages, documents, delete_messages: false };
        let workshop = self.workshop(&progress, material);
        let resources = workshop.resources();
        let looks = state.state.resources.iter().map(|(address, record)| {
            let (resources, observed) = (&resources, &observed);
            async move { (address, record, resources.look_at(address, observed).await) }
        });
        let mut drift = Drift::default();
        for (address, record, looked) in all(looks, AT_ONCE).await {
            let found = looked.map_err(|error: PortError| {
                CliError::because(format!("{address} can not be looked at"), error.as_ref())
            })?;
            drift.resources.extend(found.map(|found| drifted(address, record, found)));
        }
        for (pipeline, deployed) in &state.state.pipelines {
            let found = observed.live.get(pipeline).copied();
            if found != Some(deployed.live) {
                drift.pointers.push(DriftedPointer { pipeline: pipeline.clone(), recorded: deployed.live, found });
            }
            if !observed.releases.get(pipeline).is_some_and(|releases| releases.contains(&deployed.live)) {
                drift.releases.push((pipeline.clone(), deployed.live));
            }
        }
        let resources = state.state.resources.len();
        Ok(Some(Looked { drift, resources, state, observed }))
    }
}

impl Looked {
    /// The plan that puts everything back. `resolved` is the definition of the commit that was applied last.
    pub(crate) fn plan(&self, resolved: Option<&Resolved>) -> Result<Plan, CliError> {
        let target = target_of(&self.state);
        plan::plan_heal(&target, &self.state, &self.observed, &self.drift, resolved)
            .or_failed(|| "there is no plan".to_owned())
    }

    /// The commit that was applied last, whose files resources are made from.
    pub(crate) fn commit(&self) -> Option<&str> {
        self.state.state.applied.as_ref()?.source.commit.as_deref()
    }
}

fn drifted(address: &ResourceAddress, record: &ResourceRecord, found: Found) -> DriftedResource {
    let resource = record.resource.as_deref();
    let served = resource.and_then(|resource| resource.serves.as_ref());
    DriftedResource {
        address: address.clone(),
        name: resource.map_or_else(|| address.digest.short(), |resource| resource.spec.name()),
        owner: served.map_or_else(|| "environment".to_owned(), |step| format!("{}/{}", step.pipeline, step.step)),
        found,
    }
}
