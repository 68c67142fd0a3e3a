//! Carrying a plan out: under a lock, with the intent written down first, so that an apply that is killed anywhere is
//! finished by the next one.

mod engine;
mod event;
pub mod history;
mod operations;
mod record;
mod record_commit;
mod stage;
pub mod window;

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use liminal_schemas::digest::Digest;
use liminal_schemas::gitops::Trigger;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::plan::Operation;
use liminal_schemas::plan::Plan;
use liminal_schemas::state::Expiry;
use liminal_schemas::state::TriedRelease;
use liminal_schemas::time::UtcTime;

use self::engine::Engine;
pub use self::event::ApplyEvent;
pub(crate) use self::operations::live_pointer;
pub use self::record_commit::record_commit;
pub(crate) use self::stage::Stage;
use crate::ports::Clock;
use crate::ports::Objects;
use crate::ports::PortError;
use crate::ports::Resources;
use crate::state::LockError;
use crate::state::LockRequest;
use crate::state::StateError;
use crate::state::acquire;

/// The world that an apply changes.
pub struct Ports<'a, O, R, C> {
    /// State, releases, pointers and history.
    pub objects: &'a O,
    /// Packages and Python environments.
    pub resources: &'a R,
    /// The time.
    pub clock: &'a C,
}

/// What an apply needs to know besides its plan.
pub struct ApplyRequest<'a> {
    /// The digest over the files as they are now; none when the plan is to be taken as it is.
    pub tree: Option<Digest>,
    /// A random text that names this apply.
    pub id: String,
    /// A random text: the lineage, should there be no state yet.
    pub lineage: String,
    /// Who applies, as far as known.
    pub by: Option<String>,
    /// What set it going, where it was no person at a terminal.
    pub trigger: Option<Trigger>,
    /// Who takes the lock, and how long they wait for it.
    pub lock: LockRequest<'a>,
    /// Where the state is written to when the store refuses it.
    pub spill: &'a Path,
    /// How long the environment lives after this apply, and the template that it is made from; none for one that stays.
    pub lifetime: Option<Lifetime>,
    /// Whether a destroy also removes runs, artifacts, models and the cache.
    pub delete_data: bool,
    /// Whether to stop before the next operation.
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// Is told what happens.
    pub events: &'a (dyn Fn(ApplyEvent) + Sync),
}

/// How long an environment lives that is made from a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// The template.
    pub template: EnvironmentName,
    /// How long it lives after each apply, in seconds.
    pub ttl_seconds: u64,
}

impl Lifetime {
    /// When an environment is removed to which something was applied at a moment.
    pub(crate) fn expiry(&self, now: UtcTime) -> Expiry {
        let millis = i64::try_from(self.ttl_seconds).unwrap_or(i64::MAX).saturating_mul(1000);
        Expiry { at: now.plus_millis(millis), ttl_seconds: self.ttl_seconds, template: self.template.clone() }
    }
}

/// What an apply did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplyReport {
    /// The serial of the state that it left.
    pub serial: u64,
    /// How many operations it carried out.
    pub operations: usize,
    /// Per pipeline, what became live; none when the pipeline was removed.
    pub pipelines: BTreeMap<PipelineName, Option<Digest>>,
    /// Per pipeline, which release went on trial, or came off.
    pub canaries: BTreeMap<PipelineName, TriedRelease>,
    /// Operations that were left out, because a run that started meanwhile needs the release.
    pub skipped: Vec<Operation>,
    /// How many objects of data were deleted.
    pub deleted_objects: usize,
}

/// An operation that failed.
#[derive(Debug)]
pub struct FailedOperation {
    /// What was to be done.
    pub operation: Operation,
    /// Why it failed.
    pub source: PortError,
}

/// Why an apply did not finish.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// What the plan was made from has moved.
    #[error("the plan is stale: {0}; make a new one")]
    Stale(String),
    /// The lock was not to be had.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The state can not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The store refused the state before anything was changed.
    #[error("the state can not be written, and nothing was changed")]
    NotStarted(#[source] PortError),
    /// Operations failed. What was done is recorded; a new plan takes up the rest.
    #[error("{}", failed(.0))]
    Operations(Vec<FailedOperation>),
    /// The store refused the state after things were changed.
    #[error(
        "the store refused the state after things were changed; it is saved in {path}: once the store works again, run `liminal state push {path} -e {environment}`",
        path = spill.display()
    )]
    Spilled {
        /// The environment whose state it is.
        environment: EnvironmentName,
        /// The file that holds the state.
        spill: PathBuf,
        /// Why the store refused.
        source: PortError,
    },
    /// The store refused the state, and so did the local disk.
    #[error(
        "neither the store nor {path} takes the state; save this text to a file and run `liminal state push FILE -e {environment}`: {state}",
        path = spill.display()
    )]
    NotSpilled {
        /// The environment whose state it is.
        environment: EnvironmentName,
        /// The file that was to hold the state.
        spill: PathBuf,
        /// The state.
        state: String,
        /// Why the disk refused.
        source: std::io::Error,
    },
    /// Somebody else wrote the state meanwhile.
    #[error(
        "somebody else changed the state meanwhile; what was done so far is taken up by the next plan: make a new one"
    )]
    Overtaken,
    /// It was asked to stop.
    #[error("stopped after {done} of {operations} operations; the next plan takes up the rest")]
    Stopped {
        /// How many operations were done.
        done: usize,
        /// How many there were.
        operations: usize,
    },
    /// Everything was done and recorded, but for the line in the history.
    #[error("everything was applied, but the history entry {key} can not be written")]
    Unrecorded {
        /// The entry.
        key: String,
        /// Why the store refused.
        source: PortError,
    },
    /// Data can not be deleted. What the plan holds is done.
    #[error("the data below {prefix} can not be deleted; run the command again")]
    Data {
        /// The prefix of its keys.
        prefix: &'static str,
        /// Why the store refused.
        source: PortError,
    },
    /// A document can not be written as JSON.
    #[error("a document can not be written as JSON")]
    Json(#[from] serde_json::Error),
}

fn failed(failed: &[FailedOperation]) -> String {
    let Some(first) = failed.first() else { return "an operation failed".to_owned() };
    let more = failed.len() - 1;
    let also = if more == 0 { String::new() } else { format!(" (and {more} more)") };
    format!("failed to {}: {}{also}", operations::describe(&first.operation), first.source)
}

/// Carries a plan out.
///
/// # Errors
/// See [`ApplyError`]. Whatever it is, making a new plan and applying it is always safe, and finishes the work.
pub async fn apply<O: Objects, R: Resources, C: Clock>(
    plan: &Plan,
    ports: &Ports<'_, O, R, C>,
    request: ApplyRequest<'_>,
) -> Result<ApplyReport, ApplyError> {
    if request.tree.is_some_and(|tree| tree != plan.base.tree) {
        return Err(ApplyError::Stale("files of the project have changed since".to_owned()));
    }
    let ApplyRequest { id, lineage, by, trigger, lock, spill, lifetime, delete_data, stop, events, .. } = request;
    let mut lease = acquire(ports.objects, ports.clock, &plan.environment, lock).await?;
    let work = async {
        let terms = engine::Terms { id, lineage, by, trigger, spill, lifetime, delete_data, stop, events };
        match Engine::start(plan, ports, terms).await? {
            Some(engine) => engine.run().await,
            None => Ok(ApplyReport { serial: plan.base.serial, ..ApplyReport::default() }),
        }
    };
    let outcome = lease.while_held(work).await;
    // A lock that can not be given back runs out by itself; what was done, or went wrong, matters more.
    let _ = lease.release().await;
    outcome
}
