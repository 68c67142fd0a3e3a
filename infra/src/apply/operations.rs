//! The operations of a plan, one by one. Each may be done twice: a second time it finds its work done.

use liminal_schemas::canary::AbortedCanary;
use liminal_schemas::canary::Canary;
use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::name::PipelineName;
use liminal_schemas::plan::Operation;
use liminal_schemas::plan::Plan;
use liminal_schemas::release::Release;
use liminal_schemas::state::LivePointer;

use super::Ports;
use crate::ports::Clock;
use crate::ports::Object;
use crate::ports::Objects;
use crate::ports::PortError;
use crate::ports::Resources;

/// Why an operation can not be done, whatever the ports say.
#[derive(Debug, thiserror::Error)]
enum OperationError {
    #[error("the plan holds no document for it; make a new plan")]
    NoDocument,
    #[error("its document is another one than its revision says; make a new plan")]
    OtherDocument,
    #[error("it is live at {}, not at {} as the plan expects; make a new plan", short(.found.as_ref()), short(.expected.as_ref()))]
    LiveMoved { found: Option<Digest>, expected: Option<Digest> },
    #[error("it is not live; make a new plan")]
    NotLive,
    #[error("somebody else moved it at the same time; make a new plan")]
    Raced,
}

fn short(revision: Option<&Digest>) -> String {
    revision.map_or_else(|| "nothing".to_owned(), Digest::short)
}

/// What an operation does, to complete "failed to …".
pub(super) fn describe(operation: &Operation) -> String {
    match operation {
        Operation::CreateResource { address } => format!("create {} {}", address.kind.as_str(), address.digest.short()),
        Operation::WriteRelease { pipeline, revision } => format!("write release {} of {pipeline}", revision.short()),
        Operation::MoveLive { pipeline, to, .. } => format!("make release {} of {pipeline} live", to.short()),
        Operation::StartCanary { pipeline, revision, .. } => {
            format!("put release {} of {pipeline} on trial", revision.short())
        }
        Operation::EndCanary { pipeline, revision, .. } => {
            format!("take release {} of {pipeline} off trial", revision.short())
        }
        Operation::RemoveLive { pipeline, .. } => format!("take {pipeline} out of use"),
        Operation::DeleteRelease { pipeline, revision } => format!("delete release {} of {pipeline}", revision.short()),
        Operation::DeleteResource { address } => format!("delete {} {}", address.kind.as_str(), address.digest.short()),
    }
}

/// Does one operation.
pub(super) async fn perform<O: Objects, R: Resources, C: Clock>(
    operation: &Operation,
    plan: &Plan,
    ports: &Ports<'_, O, R, C>,
) -> Result<(), PortError> {
    match operation {
        Operation::CreateResource { address } => ports.resources.create(address).await,
        Operation::WriteRelease { pipeline, revision } => write_release(plan, ports.objects, pipeline, revision).await,
        Operation::MoveLive { pipeline, from, to } => move_live(ports, pipeline, *from, *to).await,
        Operation::StartCanary { pipeline, live, revision, share, tolerated } => {
            let canary = Canary { revision: *revision, share: *share, tolerated: *tolerated, since: ports.clock.now() };
            start_canary(ports.objects, pipeline, *live, canary).await
        }
        Operation::EndCanary { pipeline, revision, aborted } => {
            end_canary(ports, pipeline, *revision, aborted.as_deref()).await
        }
        Operation::RemoveLive { pipeline, from } => remove_live(ports.objects, pipeline, *from).await,
        Operation::DeleteRelease { pipeline, revision } => {
            ports.objects.delete(&keys::release(pipeline, revision)).await
        }
        Operation::DeleteResource { address } => ports.resources.delete(address).await,
    }
}

async fn write_release(
    plan: &Plan,
    objects: &impl Objects,
    pipeline: &PipelineName,
    revision: &Digest,
) -> Result<(), PortError> {
    let release = plan.documents.releases.get(revision).ok_or(OperationError::NoDocument)?;
    if release.revision() != *revision {
        return Err(OperationError::OtherDocument.into());
    }
    let key = keys::release(pipeline, revision);
    let bytes = serde_json::to_vec(release)?;
    if objects.put_if_absent(&key, bytes.clone()).await?.is_some() {
        return Ok(());
    }
    // What is there should be the same release. A damaged one is replaced.
    match objects.get(&key).await? {
        Some(object) if !is_release(&object, revision) => {
            let replaced = objects.put_if_match(&key, &object.etag, bytes).await?;
            replaced.map(|_| ()).ok_or_else(|| OperationError::Raced.into())
        }
        Some(_) => Ok(()),
        None => Err(OperationError::Raced.into()),
    }
}

fn is_release(object: &Object, revision: &Digest) -> bool {
    serde_json::from_slice::<Release>(&object.bytes).is_ok_and(|release| release.revision() == *revision)
}

/// What a live pointer says; none for one that can not be read, which is replaced like one that is absent.
pub(crate) fn live_pointer(bytes: &[u8]) -> Option<LivePointer> {
    serde_json::from_slice(bytes).ok()
}

fn live_revision(bytes: &[u8]) -> Option<Digest> {
    live_pointer(bytes).map(|pointer| pointer.revision)
}

async fn move_live<O: Objects, R, C: Clock>(
    ports: &Ports<'_, O, R, C>,
    pipeline: &PipelineName,
    from: Option<Digest>,
    to: Digest,
) -> Result<(), PortError> {
    let key = keys::live(pipeline);
    let current = ports.objects.get(&key).await?;
    let there = current.as_ref().and_then(|object| live_pointer(&object.bytes));
    let found = there.as_ref().map(|pointer| pointer.revision);
    if found == Some(to) && there.as_ref().is_some_and(|pointer| pointer.canary.is_none()) {
        return Ok(());
    }
    if found != from && found != Some(to) {
        return Err(OperationError::LiveMoved { found, expected: from }.into());
    }
    // Whatever is on trial comes off with the release that it was tried beside. What did badly is remembered until it is live.
    let aborted = there.and_then(|pointer| pointer.aborted).filter(|aborted| aborted.revision != to);
    let pointer = LivePointer { aborted, ..LivePointer::new(to, ports.clock.now()) };
    let bytes = serde_json::to_vec(&pointer)?;
    let moved = match current {
        Some(object) => ports.objects.put_if_match(&key, &object.etag, bytes).await?,
        None => ports.objects.put_if_absent(&key, bytes).await?,
    };
    moved.map(|_| ()).ok_or_else(|| OperationError::Raced.into())
}

async fn start_canary(
    objects: &impl Objects,
    pipeline: &PipelineName,
    live: Digest,
    canary: Canary,
) -> Result<(), PortError> {
    let (key, object, there) = read_pointer(objects, pipeline).await?;
    if there.revision != live {
        return Err(OperationError::LiveMoved { found: Some(there.revision), expected: Some(live) }.into());
    }
    // The same release with another share is the same trial still: what its runs came to counts on.
    let since = there.canary.filter(|known| known.revision == canary.revision).map_or(canary.since, |it| it.since);
    let canary = Canary { since, ..canary };
    let aborted = there.aborted.filter(|aborted| aborted.revision != canary.revision);
    swap(objects, &key, &object, &LivePointer { canary: Some(canary), aborted, ..there }).await
}

async fn end_canary<O: Objects, R, C: Clock>(
    ports: &Ports<'_, O, R, C>,
    pipeline: &PipelineName,
    revision: Digest,
    reason: Option<&str>,
) -> Result<(), PortError> {
    let (key, object, there) = read_pointer(ports.objects, pipeline).await?;
    let Some(canary) = there.canary.as_ref().filter(|canary| canary.revision == revision) else { return Ok(()) };
    let (since, at) = (canary.since, ports.clock.now());
    let ended = reason.map(|reason| AbortedCanary { revision, since, at, reason: reason.to_owned() });
    let aborted = ended.or_else(|| there.aborted.clone());
    swap(ports.objects, &key, &object, &LivePointer { canary: None, aborted, ..there }).await
}

async fn read_pointer(
    objects: &impl Objects,
    pipeline: &PipelineName,
) -> Result<(String, Object, LivePointer), PortError> {
    let key = keys::live(pipeline);
    let object = objects.get(&key).await?.ok_or(OperationError::NotLive)?;
    let pointer = live_pointer(&object.bytes).ok_or(OperationError::NotLive)?;
    Ok((key, object, pointer))
}

async fn swap(objects: &impl Objects, key: &str, there: &Object, pointer: &LivePointer) -> Result<(), PortError> {
    let swapped = objects.put_if_match(key, &there.etag, serde_json::to_vec(pointer)?).await?;
    swapped.map(|_| ()).ok_or_else(|| OperationError::Raced.into())
}

async fn remove_live(objects: &impl Objects, pipeline: &PipelineName, from: Digest) -> Result<(), PortError> {
    let key = keys::live(pipeline);
    let Some(current) = objects.get(&key).await? else { return Ok(()) };
    match live_revision(&current.bytes) {
        Some(found) if found != from => {
            Err(OperationError::LiveMoved { found: Some(found), expected: Some(from) }.into())
        }
        Some(_) | None => objects.delete(&key).await,
    }
}
