//! Carries canaries on: gives runs to them, counts how these end, and aborts what does badly.
//!
//! There are no counters. A run of a canary is marked before its record is there; once it has ended, the mark is replaced
//! by one that says how. Whoever counts does so before the next run is given to the canary, and the sweeper does it once a
//! minute: so no run is started on a release that is known to be bad. Only who starts runs needs to write any of this, never a
//! step: what a step could write, the user's code could.
//!
//! An abort is one swap of the live pointer. It leaves there which release it was and why, so that nothing makes that release
//! live again by itself.

use std::collections::BTreeSet;

use liminal_schemas::canary::AbortedCanary;
use liminal_schemas::canary::Canary;
use liminal_schemas::canary::CanaryEnd;
use liminal_schemas::canary::trial;
use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::run::OpenRun;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunResult;
use liminal_schemas::run::RunStatus;
use liminal_schemas::state::LivePointer;
use liminal_schemas::state::STATE_SCHEMA;
use liminal_schemas::time::UtcTime;

use crate::documents;
use crate::documents::Versioned;
use crate::ports::ObjectStore;
use crate::ports::StoreError;
use crate::ports::Swap;
use crate::protocol::canary::Tally;
use crate::protocol::canary::abort_reason;
use crate::protocol::canary::counted_as;

/// How old the mark of a run that has no record must be to be taken for a stray, in milliseconds. Whoever makes both does so
/// within the quarter of an hour that a function may run.
const STRAY_MILLIS: i64 = 60 * 60 * 1000;

/// The release that a run is given to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The release.
    pub revision: Digest,
    /// Since when it is on trial, if it is a canary: see [`RunRecord::canary`].
    pub canary: Option<UtcTime>,
}

/// What came of looking at a canary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The live pointer, as it is now; none where nothing is live.
    pub pointer: Option<LivePointer>,
    /// The canary that was aborted just now.
    pub aborted: Option<AbortedCanary>,
}

/// The release that a run goes to which was not told one. What is known of the canary is counted first.
///
/// # Errors
/// When the store fails.
pub async fn give(
    store: &impl ObjectStore,
    now: UtcTime,
    pipeline: &PipelineName,
    run: &RunId,
) -> Result<(Option<Given>, Settled), StoreError> {
    let mut settled = Settled { pointer: pointer(store, pipeline).await?.map(|it| it.document), aborted: None };
    let takes = |settled: &Settled| settled.pointer.as_ref()?.canary.clone().filter(|canary| canary.takes(run));
    if takes(&settled).is_some() {
        settled = settle(store, now, pipeline).await?;
    }
    let given = match takes(&settled) {
        Some(canary) => Some(Given { revision: canary.revision, canary: Some(canary.since) }),
        None => settled.pointer.as_ref().map(|pointer| Given { revision: pointer.revision, canary: None }),
    };
    Ok((given, settled))
}

/// Marks a run that is given to a canary, before its record is there. Marking it again changes nothing.
///
/// # Errors
/// When the store fails.
pub async fn mark(store: &impl ObjectStore, now: UtcTime, record: &RunRecord) -> Result<(), StoreError> {
    let Some(since) = record.canary else { return Ok(()) };
    let key = keys::canary_open(&record.pipeline, &trial(&record.revision, since), &record.run);
    store.put_if_absent(&key, &documents::encode(&key, &OpenRun { schema: RUN_SCHEMA, since: now })?).await?;
    Ok(())
}

/// The pipelines that have runs of canaries whose ends are not counted.
///
/// # Errors
/// When the store fails.
pub async fn uncounted(store: &impl ObjectStore) -> Result<BTreeSet<PipelineName>, StoreError> {
    let marks = store.list(keys::CANARY_OPEN_PREFIX).await?;
    let name = |mark: &String| PipelineName::new(mark.strip_prefix(keys::CANARY_OPEN_PREFIX)?.split('/').next()?).ok();
    Ok(marks.iter().filter_map(name).collect())
}

/// Counts the runs of a pipeline's canary that have ended since, and aborts it if they say so.
///
/// # Errors
/// When the store fails.
pub async fn settle(store: &impl ObjectStore, now: UtcTime, pipeline: &PipelineName) -> Result<Settled, StoreError> {
    let Some(there) = pointer(store, pipeline).await? else { return Ok(Settled::default()) };
    let mut settled = Settled { pointer: Some(there.document.clone()), aborted: None };
    let canary = there.document.canary;
    let prefix = keys::canary_open_prefix(pipeline);
    let mut counted = Vec::new();
    let mut has_bad = false;
    for mark in store.list(&prefix).await? {
        let named = mark.strip_prefix(&prefix).and_then(|name| name.split_once('/'));
        let named = named.and_then(|(trial, run)| Some((trial, RunId::new(run).ok()?)));
        let Some((trial, run)) = named.filter(|(trial, _)| canary.as_ref().is_some_and(|it| it.trial() == *trial))
        else {
            // A trial that is over is counted no more.
            store.delete(&mark).await?;
            continue;
        };
        let key = keys::result(pipeline, &run);
        let result: Option<Versioned<RunResult>> = documents::read(store, &key, RUN_SCHEMA).await?;
        match result {
            Some(result) => {
                has_bad |= is_bad(result.document.status);
                if let Some(status) = counted_as(result.document.status) {
                    let key = format!("{}{run}", keys::canary_ended_prefix(pipeline, trial, status));
                    store.put_if_absent(&key, b"{}").await?;
                }
                counted.push(mark);
            }
            None => remove_if_stray(store, now, &mark, pipeline, &run).await?,
        }
    }
    if let Some(canary) = canary.filter(|_| has_bad)
        && let Some(reason) = abort_reason(&tally(store, pipeline, &canary).await?, canary.tolerated)
    {
        settled = abort(store, now, pipeline, &canary, reason).await?;
    }
    // The marks go last: whoever dies before that leaves them to the next who counts.
    for mark in counted {
        store.delete(&mark).await?;
    }
    Ok(settled)
}

/// Takes a canary off, and writes down why. Nothing happens when it is not on trial any more.
///
/// # Errors
/// When the store fails.
pub async fn abort(
    store: &impl ObjectStore,
    now: UtcTime,
    pipeline: &PipelineName,
    canary: &Canary,
    reason: String,
) -> Result<Settled, StoreError> {
    let key = keys::live(pipeline);
    let ended = AbortedCanary { revision: canary.revision, since: canary.since, at: now, reason };
    loop {
        let Some(there) = pointer(store, pipeline).await? else { return Ok(Settled::default()) };
        if there.document.canary.as_ref().is_none_or(|found| found.trial() != canary.trial()) {
            return Ok(Settled { pointer: Some(there.document), aborted: None });
        }
        let pointer = LivePointer { canary: None, aborted: Some(ended.clone()), ..there.document };
        match store.put_if_match(&key, &documents::encode(&key, &pointer)?, &there.etag).await? {
            Swap::Swapped(_) => {
                let end = CanaryEnd { schema: STATE_SCHEMA, aborted: ended.clone(), live: pointer.revision };
                let key = keys::canary_end(pipeline, &canary.trial());
                store.put_if_absent(&key, &documents::encode(&key, &end)?).await?;
                return Ok(Settled { pointer: Some(pointer), aborted: Some(ended) });
            }
            Swap::Changed => {}
        }
    }
}

/// How the runs of a canary came out, as far as they are counted.
///
/// # Errors
/// When the store fails.
pub async fn tally(store: &impl ObjectStore, pipeline: &PipelineName, canary: &Canary) -> Result<Tally, StoreError> {
    let prefix = |status: RunStatus| keys::canary_ended_prefix(pipeline, &canary.trial(), status.as_str());
    let rejected = prefix(RunStatus::Rejected);
    let first = store.list(&rejected).await?.into_iter().next();
    Ok(Tally {
        succeeded: store.list(&prefix(RunStatus::Succeeded)).await?.len(),
        failed: store.list(&prefix(RunStatus::Failed)).await?.len(),
        rejected: first.and_then(|key| RunId::new(key.strip_prefix(&rejected)?).ok()),
    })
}

const fn is_bad(status: RunStatus) -> bool {
    match status {
        RunStatus::Rejected | RunStatus::Failed => true,
        RunStatus::Succeeded | RunStatus::Cancelled => false,
    }
}

async fn pointer(
    store: &impl ObjectStore,
    pipeline: &PipelineName,
) -> Result<Option<Versioned<LivePointer>>, StoreError> {
    documents::read(store, &keys::live(pipeline), STATE_SCHEMA).await
}

/// Removes the mark of a run that never came to be.
async fn remove_if_stray(
    store: &impl ObjectStore,
    now: UtcTime,
    mark: &str,
    pipeline: &PipelineName,
    run: &RunId,
) -> Result<(), StoreError> {
    if store.exists(&keys::run(pipeline, run)).await? {
        return Ok(());
    }
    let marked: Option<Versioned<OpenRun>> = documents::read(store, mark, RUN_SCHEMA).await?;
    if marked.is_some_and(|it| now.millis().saturating_sub(it.document.since.millis()) > STRAY_MILLIS) {
        store.delete(mark).await?;
    }
    Ok(())
}
