//! What an apply shows while it works: how far it is, and what it waits for.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;

use indicatif::ProgressBar;
use liminal_infra::apply::ApplyEvent;
use liminal_schemas::aws::resource::CloudResource;
use liminal_schemas::plan::Operation;
use liminal_schemas::plan::Plan;
use liminal_schemas::state::ResourceAddress;
use liminal_schemas::state::ResourceKind;

use crate::progress::Progress;
use crate::render::plan_cloud;

/// The bars of an apply: one for the whole, and one for each cloud resource that is under way, since these take seconds.
pub(super) struct ApplyBars<'a> {
    progress: &'a Progress,
    documents: BTreeMap<ResourceAddress, CloudResource>,
    whole: ProgressBar,
    under_way: Mutex<BTreeMap<usize, ProgressBar>>,
}

impl<'a> ApplyBars<'a> {
    /// Nothing is done yet. `documents` is what addresses stand for.
    pub(super) fn new(
        progress: &'a Progress,
        plan: &Plan,
        documents: BTreeMap<ResourceAddress, CloudResource>,
    ) -> Self {
        let total = u64::try_from(plan.operations.len()).unwrap_or(u64::MAX);
        let whole = progress.bar(total, plan.purpose.as_str());
        Self { progress, documents, whole, under_way: Mutex::default() }
    }

    /// Shows what happens.
    pub(super) fn show(&self, event: ApplyEvent) {
        match event {
            ApplyEvent::Started { .. } | ApplyEvent::DataDeleted { .. } => {}
            ApplyEvent::OperationStarted { index, operation } => {
                let text = self.describe(&operation);
                if is_slow(&operation) {
                    let bar = self.progress.spinner(text);
                    self.under_way.lock().unwrap_or_else(PoisonError::into_inner).insert(index, bar);
                } else {
                    self.whole.set_message(text);
                }
            }
            ApplyEvent::OperationDone { index, .. } => {
                if let Some(bar) = self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&index) {
                    bar.finish_and_clear();
                }
                self.whole.inc(1);
            }
        }
    }

    /// Takes all bars away.
    pub(super) fn finish(self) {
        for bar in self.under_way.into_inner().unwrap_or_else(PoisonError::into_inner).into_values() {
            bar.finish_and_clear();
        }
        self.whole.finish_and_clear();
    }

    fn describe(&self, operation: &Operation) -> String {
        match operation {
            Operation::WriteRelease { pipeline, revision } | Operation::DeleteRelease { pipeline, revision } => {
                format!("release {} of {pipeline}", revision.short())
            }
            Operation::MoveLive { pipeline, .. } | Operation::RemoveLive { pipeline, .. } => format!("live {pipeline}"),
            Operation::StartCanary { pipeline, .. } | Operation::EndCanary { pipeline, .. } => {
                format!("canary of {pipeline}")
            }
            Operation::CreateResource { address } => self.resource(address),
            Operation::DeleteResource { address } => format!("removing {}", self.resource(address)),
        }
    }

    fn resource(&self, address: &ResourceAddress) -> String {
        if address.kind == ResourceKind::Python {
            return format!("Python environment {}", address.digest.short());
        }
        let kind = plan_cloud::several(address.kind).map_or(address.kind.as_str(), |(one, _)| one);
        match self.documents.get(address) {
            Some(resource) => format!("{kind} {}", plan_cloud::subject(resource)),
            None => format!("{kind} {}", address.digest.short()),
        }
    }
}

/// Whether an operation takes long enough to be watched.
fn is_slow(operation: &Operation) -> bool {
    match operation {
        Operation::CreateResource { address } | Operation::DeleteResource { address } => {
            plan_cloud::several(address.kind).is_some()
        }
        Operation::WriteRelease { .. }
        | Operation::DeleteRelease { .. }
        | Operation::MoveLive { .. }
        | Operation::StartCanary { .. }
        | Operation::EndCanary { .. }
        | Operation::RemoveLive { .. } => false,
    }
}
