//! What a plan makes and removes beside pipelines.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::digest::Digest;
use liminal_schemas::plan::ChangeAction;
use liminal_schemas::plan::Operation;
use liminal_schemas::plan::Plan;
use liminal_schemas::release::PythonSpec;
use liminal_schemas::state::ResourceAddress;
use liminal_schemas::state::ResourceKind;

use super::plan_cloud;
use super::style::one_line;
use super::units::count;

/// The resources and releases that are made or removed, one line each. What comes with a pipeline anyway, its release
/// and the move of its live pointer, has no line.
pub(super) fn resources(plan: &Plan) -> Vec<(ChangeAction, String)> {
    let known = Known::new(plan);
    let mut lines: Vec<(ChangeAction, String)> = Vec::new();
    for operation in &plan.operations {
        match operation {
            // Those of the cloud are told by kind.
            Operation::CreateResource { address } | Operation::DeleteResource { address }
                if plan_cloud::several(address.kind).is_some() => {}
            Operation::CreateResource { address } => lines.push((ChangeAction::Create, known.describe(address))),
            Operation::DeleteResource { address } => {
                let line = format!("{}, which nothing uses any more", known.describe(address));
                lines.push((ChangeAction::Delete, line));
            }
            Operation::DeleteRelease { pipeline, revision } => {
                let line = format!("release {} of {pipeline}, no longer kept for rollback", revision.short());
                lines.push((ChangeAction::Delete, line));
            }
            Operation::EndCanary { pipeline, revision, .. } => {
                let line = format!("canary {} of {pipeline}: all runs go to what is live", revision.short());
                lines.push((ChangeAction::Delete, line));
            }
            Operation::WriteRelease { .. }
            | Operation::MoveLive { .. }
            | Operation::StartCanary { .. }
            | Operation::RemoveLive { .. } => {}
        }
    }
    lines.sort();
    lines.extend(plan_cloud::lines(plan));
    lines.sort_by_key(|(action, _)| *action);
    lines
}

/// What the documents of a plan say of its resources, looked up once: a plan may have thousands of each.
struct Known<'a> {
    plan: &'a Plan,
    users: BTreeMap<Digest, BTreeSet<&'a str>>,
    pythons: BTreeMap<Digest, &'a PythonSpec>,
}

impl<'a> Known<'a> {
    fn new(plan: &'a Plan) -> Self {
        let mut users: BTreeMap<Digest, BTreeSet<&str>> = BTreeMap::new();
        for (step, spec) in plan.documents.releases.values().flat_map(|release| &release.steps) {
            if let Some(package) = spec.package {
                users.entry(package).or_default().insert(step.as_str());
            }
        }
        let mut specs: Vec<&PythonSpec> = Vec::new();
        for python in plan.documents.packages.values().filter_map(|package| package.python.as_ref()) {
            // Nearly all packages share one environment, so that this list stays short.
            if !specs.contains(&python) {
                specs.push(python);
            }
        }
        let pythons = specs.into_iter().map(|python| (python.digest(), python)).collect();
        Self { plan, users, pythons }
    }

    fn describe(&self, address: &ResourceAddress) -> String {
        let digest = address.digest.short();
        let (what, about) = match address.kind {
            ResourceKind::Python => ("python environment", self.python(&address.digest)),
            ResourceKind::Package => ("package", self.package(&address.digest)),
            kind @ (ResourceKind::Bundle
            | ResourceKind::Role
            | ResourceKind::Logs
            | ResourceKind::Queue
            | ResourceKind::Function
            | ResourceKind::Task
            | ResourceKind::Mapping
            | ResourceKind::Schedule
            | ResourceKind::Notification
            | ResourceKind::Rule) => (kind.as_str(), String::new()),
        };
        if about.is_empty() { format!("{what} {digest}") } else { one_line(&format!("{what} {digest} ({about})")) }
    }

    fn python(&self, digest: &Digest) -> String {
        let Some(python) = self.pythons.get(digest) else { return String::new() };
        let version = python.version.as_ref().map(|version| format!("python {version}"));
        let file = python.requirements.as_ref().map(|file| file.path.clone());
        version.into_iter().chain(file).collect::<Vec<_>>().join(", ")
    }

    fn package(&self, digest: &Digest) -> String {
        let files = self.plan.documents.packages.get(digest).map(|package| count(package.files.len(), "file"));
        let steps = self.users.get(digest).map(|steps| {
            let names: Vec<&str> = steps.iter().copied().collect();
            format!("for {}", names.join(", "))
        });
        files.into_iter().chain(steps).collect::<Vec<_>>().join(" ")
    }
}
