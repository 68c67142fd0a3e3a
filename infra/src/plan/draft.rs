//! A plan in the making: operations by kind, so that steps of the planner may find them in any order.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::aws::resource::CloudResource;
use liminal_schemas::canary::Share;
use liminal_schemas::digest::Digest;
use liminal_schemas::name::PipelineName;
use liminal_schemas::plan::Operation;
use liminal_schemas::plan::PLAN_FORMAT;
use liminal_schemas::plan::PermissionChange;
use liminal_schemas::plan::PipelineChange;
use liminal_schemas::plan::Placement;
use liminal_schemas::plan::Plan;
use liminal_schemas::plan::PlanBase;
use liminal_schemas::plan::PlanDocuments;
use liminal_schemas::plan::PlanPurpose;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::state::Journal;
use liminal_schemas::state::ResourceAddress;
use liminal_schemas::state::ResourceKind;
use liminal_schemas::state::State;

use super::PlanError;
use super::Target;
use crate::apply::Stage;
use crate::state::LoadedState;

/// A release that goes on trial.
pub(super) struct NewCanary {
    /// What is live beside it.
    pub(super) live: Digest,
    /// The release.
    pub(super) revision: Digest,
    /// The part of the runs that are given to it.
    pub(super) share: Share,
    /// The part of these that may fail.
    pub(super) tolerated: Share,
}

/// A plan in the making.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) create_resources: BTreeSet<ResourceAddress>,
    pub(super) write_releases: BTreeSet<(PipelineName, Digest)>,
    pub(super) move_live: BTreeMap<PipelineName, (Option<Digest>, Digest)>,
    pub(super) remove_live: BTreeMap<PipelineName, Digest>,
    pub(super) start_canary: BTreeMap<PipelineName, NewCanary>,
    pub(super) end_canary: BTreeMap<PipelineName, (Digest, Option<String>)>,
    pub(super) delete_releases: BTreeSet<(PipelineName, Digest)>,
    pub(super) delete_resources: BTreeSet<ResourceAddress>,
    pub(super) changes: Vec<PipelineChange>,
    pub(super) unchanged: usize,
    pub(super) notes: Vec<String>,
    pub(super) permissions: Vec<PermissionChange>,
    pub(super) placements: Vec<Placement>,
    pub(super) documents: PlanDocuments,
}

impl Draft {
    /// Whether nothing is to be done so far.
    pub(super) fn is_empty(&self) -> bool {
        self.create_resources.is_empty()
            && self.write_releases.is_empty()
            && self.move_live.is_empty()
            && self.remove_live.is_empty()
            && self.start_canary.is_empty()
            && self.end_canary.is_empty()
            && self.delete_releases.is_empty()
            && self.delete_resources.is_empty()
    }

    /// Takes up the documents of the cloud resources that are made.
    pub(super) fn add_resources<'a>(&mut self, known: impl Iterator<Item = (&'a ResourceAddress, &'a CloudResource)>) {
        for (address, resource) in known {
            if self.create_resources.contains(address) {
                self.documents.resources.insert(address.clone(), resource.clone());
            }
        }
    }

    /// The packages that bundles are made from which are made.
    fn bundled(&self) -> BTreeSet<Digest> {
        let bundles = self.documents.resources.values().filter_map(|resource| resource.spec.as_bundle());
        bundles.filter_map(|bundle| bundle.package).collect()
    }

    /// Takes up the documents of the packages that resources are made from. A Python environment is known only by the
    /// packages that use it, so that one of these comes along.
    pub(super) fn add_packages<'a>(&mut self, known: impl Iterator<Item = (Digest, &'a PackageSpec)>) {
        let created = |kind| {
            let of_kind = self.create_resources.iter().filter(move |address| address.kind == kind);
            of_kind.map(|address| address.digest).collect::<BTreeSet<_>>()
        };
        let mut packages = created(ResourceKind::Package);
        packages.extend(self.bundled());
        let mut environments = created(ResourceKind::Python);
        for (digest, spec) in known {
            let carries = spec.python.as_ref().is_some_and(|python| environments.remove(&python.digest()));
            if carries || packages.contains(&digest) {
                self.documents.packages.insert(digest, spec.clone());
            }
        }
    }

    /// Notes an apply that was interrupted.
    pub(super) fn note_journal(&mut self, state: Option<&LoadedState>) {
        if let Some(journal) = journal(state) {
            self.notes.push(format!(
                "an apply of {} was interrupted; this plan takes up what it left, and clears its journal",
                journal.started_at
            ));
        }
    }

    /// The plan.
    pub(super) fn finish(self, target: &Target, state: Option<&LoadedState>, purpose: PlanPurpose) -> Plan {
        let has_changes = !self.is_empty() || journal(state).is_some();
        let creates = self.create_resources.into_iter().map(|address| Operation::CreateResource { address });
        let writes =
            self.write_releases.into_iter().map(|(pipeline, revision)| Operation::WriteRelease { pipeline, revision });
        let moves = self.move_live.into_iter().map(|(pipeline, (from, to))| Operation::MoveLive { pipeline, from, to });
        let trials = self.start_canary.into_iter().map(|(pipeline, new)| {
            let NewCanary { live, revision, share, tolerated } = new;
            Operation::StartCanary { pipeline, live, revision, share, tolerated }
        });
        let ends = self.end_canary.into_iter();
        let ends = ends.map(|(pipeline, (revision, aborted))| Operation::EndCanary { pipeline, revision, aborted });
        let removes = self.remove_live.into_iter().map(|(pipeline, from)| Operation::RemoveLive { pipeline, from });
        let releases = self
            .delete_releases
            .into_iter()
            .map(|(pipeline, revision)| Operation::DeleteRelease { pipeline, revision });
        let resources = self.delete_resources.into_iter().map(|address| Operation::DeleteResource { address });
        let mut operations: Vec<Operation> = creates
            .chain(writes)
            .chain(moves)
            .chain(trials)
            .chain(ends)
            .chain(removes)
            .chain(releases)
            .chain(resources)
            .collect();
        // The sort is stable: within a stage the order above stays.
        operations.sort_by_key(Stage::of);
        Plan {
            format_version: PLAN_FORMAT.to_owned(),
            liminal: env!("CARGO_PKG_VERSION").to_owned(),
            project: target.project.clone(),
            environment: target.environment.clone(),
            base: PlanBase {
                source: target.source.clone(),
                tree: target.tree,
                lineage: state.map(|loaded| loaded.state.lineage.clone()),
                serial: state.map_or(0, |loaded| loaded.state.serial),
                etag: state.map(|loaded| loaded.etag.clone()),
            },
            has_changes,
            purpose,
            pipelines: self.changes,
            unchanged: self.unchanged,
            operations,
            notes: self.notes,
            permissions: self.permissions,
            placements: self.placements,
            documents: self.documents,
        }
    }
}

pub(super) fn journal(state: Option<&LoadedState>) -> Option<&Journal> {
    state?.state.journal.as_ref()
}

/// The recorded live revision of a pipeline.
pub(super) fn recorded_live(state: Option<&LoadedState>, pipeline: &PipelineName) -> Option<Digest> {
    Some(state?.state.pipelines.get(pipeline)?.live)
}

/// Refuses a state that belongs to another project.
pub(super) fn check_owner(target: &Target, state: Option<&LoadedState>) -> Result<(), PlanError> {
    match state {
        Some(LoadedState { state: State { project, .. }, .. }) if *project != target.project => {
            Err(PlanError::OtherProject { found: project.clone(), wanted: target.project.clone() })
        }
        Some(_) | None => Ok(()),
    }
}

/// The resources that liminal made or set out to make here: all that it may ever delete.
pub(crate) fn own_resources(state: Option<&LoadedState>) -> BTreeSet<ResourceAddress> {
    let recorded = state.into_iter().flat_map(|loaded| loaded.state.resources.keys().cloned());
    let intended =
        journal(state).into_iter().flat_map(|journal| &journal.open).filter_map(|operation| match operation {
            Operation::CreateResource { address } => Some(address.clone()),
            Operation::WriteRelease { .. }
            | Operation::MoveLive { .. }
            | Operation::RemoveLive { .. }
            | Operation::StartCanary { .. }
            | Operation::EndCanary { .. }
            | Operation::DeleteRelease { .. }
            | Operation::DeleteResource { .. } => None,
        });
    recorded.chain(intended).collect()
}
