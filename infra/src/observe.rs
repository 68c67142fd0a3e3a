//! Looking at what is there, before a plan is made. Documents are read only where the planner asks for them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::name::PipelineName;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::release::Release;
use liminal_schemas::run::OpenRun;
use liminal_schemas::run::RunRecord;
use liminal_schemas::state::ResourceKind;
use liminal_schemas::step::StepSpec;
use liminal_schemas::time::UtcTime;

use crate::apply::live_pointer;
use crate::plan::Desired;
use crate::plan::Observed;
use crate::plan::Recorded;
use crate::plan::documents_needed;
use crate::plan::own_resources;
use crate::plan::packages_of;
use crate::plan::pipelines_that_lose_releases;
use crate::plan::resources_of;
use crate::ports::Objects;
use crate::ports::PortError;
use crate::ports::Resources;
use crate::state::LoadedState;

const RELEASES_PREFIX: &str = "releases/";

/// Looks at what is there for a plan that applies a definition.
///
/// # Errors
/// When the store or a resource can not be asked.
pub async fn observe(
    objects: &impl Objects,
    resources: &impl Resources,
    desired: &Desired,
    state: Option<&LoadedState>,
) -> Result<Observed, PortError> {
    let pointers = pointers(objects).await?;
    observe_beyond(pointers, objects, resources, desired, state).await
}

/// The same, where the live pointers and the listing of releases were looked at before.
///
/// # Errors
/// When the store or a resource can not be asked.
pub async fn observe_beyond(
    mut observed: Observed,
    objects: &impl Objects,
    resources: &impl Resources,
    desired: &Desired,
    state: Option<&LoadedState>,
) -> Result<Observed, PortError> {
    let mut asked = desired.resources();
    asked.extend(own_resources(state));
    observed.resources = resources.present(&asked).await?;
    if desired.is_cloud() || is_in_cloud(state) {
        observed.open_steps = steps_of_open_runs(objects).await?;
    }
    let losing = pipelines_that_lose_releases(desired, state, &observed);
    observed.pinned = pinned_revisions(objects, &losing).await?;
    let documents = documents_needed(desired, state, &observed);
    read_documents(objects, &documents, &mut observed).await?;
    Ok(observed)
}

/// Looks at what is there for a rollback of some pipelines, or to destroy everything: all releases that are live, kept
/// or needed by a run, and the resources of these. What starts runs in the cloud follows all that is live, whatever is
/// rolled back, so that there the live releases of all pipelines are read.
///
/// # Errors
/// When the store or a resource can not be asked.
pub async fn observe_deployed(
    objects: &impl Objects,
    resources: &impl Resources,
    state: Option<&LoadedState>,
    pipelines: Option<&BTreeSet<PipelineName>>,
) -> Result<Observed, PortError> {
    let mut observed = pointers(objects).await?;
    let concerned = |pipeline: &PipelineName| pipelines.is_none_or(|pipelines| pipelines.contains(pipeline));
    let with_releases: BTreeSet<PipelineName> =
        observed.releases.keys().filter(|pipeline| concerned(pipeline)).cloned().collect();
    observed.pinned = pinned_revisions(objects, &with_releases).await?;
    let mut documents: BTreeSet<(PipelineName, Digest)> = BTreeSet::new();
    for (pipeline, revisions) in &observed.releases {
        if concerned(pipeline) {
            documents.extend(revisions.iter().map(|revision| (pipeline.clone(), *revision)));
        }
    }
    if is_in_cloud(state) {
        documents.extend(observed.live.iter().map(|(pipeline, revision)| (pipeline.clone(), *revision)));
        observed.open_steps = steps_of_open_runs(objects).await?;
    }
    read_documents(objects, &documents, &mut observed).await?;
    let mut asked = own_resources(state);
    let of_packages = observed.known_packages.iter().flat_map(|(digest, spec)| resources_of(*digest, spec));
    asked.extend(of_packages.filter(|address| !is_in_cloud(state) || address.kind != ResourceKind::Python));
    observed.resources = resources.present(&asked).await?;
    Ok(observed)
}

/// The live pointers and the listing of releases, and nothing else.
///
/// # Errors
/// When the store fails.
pub async fn pointers(objects: &impl Objects) -> Result<Observed, PortError> {
    let mut observed = Observed::default();
    for key in objects.list(keys::LIVE_PREFIX).await? {
        let name = key.strip_prefix(keys::LIVE_PREFIX).and_then(|name| name.strip_suffix(".json"));
        let Some(pipeline) = name.and_then(|name| PipelineName::new(name).ok()) else { continue };
        let Some(pointer) = objects.get(&key).await?.and_then(|object| live_pointer(&object.bytes)) else { continue };
        observed.canaries.extend(pointer.canary.map(|canary| (pipeline.clone(), canary)));
        observed.aborted.extend(pointer.aborted.map(|aborted| (pipeline.clone(), aborted)));
        observed.live.insert(pipeline, pointer.revision);
    }
    for key in objects.list(RELEASES_PREFIX).await? {
        let Some((pipeline, file)) = key.strip_prefix(RELEASES_PREFIX).and_then(|key| key.split_once('/')) else {
            continue;
        };
        let revision = file.strip_suffix(".json").and_then(|digest| digest.parse().ok());
        if let (Ok(pipeline), Some(revision)) = (PipelineName::new(pipeline), revision) {
            observed.releases.entry(pipeline).or_default().insert(revision);
        }
    }
    Ok(observed)
}

/// Reads releases and the packages that they name. One that is gone or damaged is left out: the planner says what that
/// means.
async fn read_documents(
    objects: &impl Objects,
    releases: &BTreeSet<(PipelineName, Digest)>,
    observed: &mut Observed,
) -> Result<(), PortError> {
    for (pipeline, revision) in releases {
        if observed.known_releases.contains_key(revision) {
            continue;
        }
        let Some(release) = read_release(objects, pipeline, revision).await? else { continue };
        for digest in packages_of(&release) {
            if !observed.known_packages.contains_key(&digest) {
                observed.known_packages.extend(read_package(objects, &digest).await?.map(|spec| (digest, spec)));
            }
        }
        observed.known_releases.insert(*revision, release);
    }
    Ok(())
}

/// Reads a release and the packages that it names, as far as they are there; none when the release is gone, or damaged.
///
/// # Errors
/// When the store fails.
pub async fn read_release_and_packages(
    objects: &impl Objects,
    pipeline: &PipelineName,
    revision: &Digest,
) -> Result<Option<(Release, BTreeMap<Digest, PackageSpec>)>, PortError> {
    let Some(release) = read_release(objects, pipeline, revision).await? else { return Ok(None) };
    let mut packages = BTreeMap::new();
    for digest in packages_of(&release) {
        packages.extend(read_package(objects, &digest).await?.map(|spec| (digest, spec)));
    }
    Ok(Some((release, packages)))
}

/// Reads a release; none when it is gone, or damaged.
///
/// # Errors
/// When the store fails.
pub async fn read_release(
    objects: &impl Objects,
    pipeline: &PipelineName,
    revision: &Digest,
) -> Result<Option<Release>, PortError> {
    let object = objects.get(&keys::release(pipeline, revision)).await?;
    let release = object.and_then(|object| serde_json::from_slice::<Release>(&object.bytes).ok());
    Ok(release.filter(|release| release.revision() == *revision))
}

/// Reads the document of a package; none when it is gone, or damaged.
///
/// # Errors
/// When the store fails.
pub async fn read_package(objects: &impl Objects, digest: &Digest) -> Result<Option<PackageSpec>, PortError> {
    let object = objects.get(&keys::package_spec(digest)).await?;
    let spec = object.and_then(|object| serde_json::from_slice::<PackageSpec>(&object.bytes).ok());
    Ok(spec.filter(|spec| spec.digest() == *digest))
}

/// The revisions that runs of some pipelines are pinned to, those that have ended included: status, lineage and `why` of a
/// run refer to its release for as long as its records are there.
///
/// # Errors
/// When the store fails.
pub async fn pinned_revisions(
    objects: &impl Objects,
    pipelines: &BTreeSet<PipelineName>,
) -> Result<BTreeSet<Digest>, PortError> {
    let mut pinned = BTreeSet::new();
    for pipeline in pipelines {
        for key in objects.list(&keys::pipeline_runs_prefix(pipeline)).await? {
            if !key.ends_with("/run.json") {
                continue;
            }
            let Some(object) = objects.get(&key).await? else { continue };
            let record = serde_json::from_slice::<RunRecord>(&object.bytes).ok();
            pinned.extend(record.map(|record| record.revision));
        }
    }
    Ok(pinned)
}

/// The pipelines of which somebody is about to start a run: it is marked as open and has no record yet, so that nobody knows
/// which release it will be pinned to.
///
/// Marks are read before records. A run whose mark came too late to be seen finds that its release does not stand
/// (`functions/src/runner/standing.rs`), and is not started.
///
/// # Errors
/// When the store fails.
pub async fn pipelines_that_start(objects: &impl Objects, now: UtcTime) -> Result<BTreeSet<PipelineName>, PortError> {
    let mut starting = BTreeSet::new();
    for mark in objects.list(keys::OPEN_PREFIX).await? {
        let Some((pipeline, run)) = keys::run_of_mark(&mark) else { continue };
        if objects.exists(&keys::run(&pipeline, &run)).await? {
            continue;
        }
        let Some(object) = objects.get(&mark).await? else { continue };
        if serde_json::from_slice::<OpenRun>(&object.bytes).is_ok_and(|open| open.is_starting(now)) {
            starting.insert(pipeline);
        }
    }
    Ok(starting)
}

fn is_in_cloud(state: Option<&LoadedState>) -> bool {
    !Recorded::of(state.map(|loaded| &loaded.state)).is_empty()
}

/// The digests of all steps of runs that have not ended. A mark without a run, or whose release can not be read, names
/// none.
///
/// # Errors
/// When the store fails.
pub async fn steps_of_open_runs(objects: &impl Objects) -> Result<BTreeSet<Digest>, PortError> {
    let mut releases: BTreeSet<(PipelineName, Digest)> = BTreeSet::new();
    for key in objects.list(keys::OPEN_PREFIX).await? {
        let Some((pipeline, run)) = keys::run_of_mark(&key) else { continue };
        if objects.exists(&keys::result(&pipeline, &run)).await? {
            continue;
        }
        let Some(object) = objects.get(&keys::run(&pipeline, &run)).await? else { continue };
        let record = serde_json::from_slice::<RunRecord>(&object.bytes).ok();
        releases.extend(record.map(|record| (pipeline, record.revision)));
    }
    let mut steps = BTreeSet::new();
    for (pipeline, revision) in releases {
        let release = read_release(objects, &pipeline, &revision).await?;
        steps.extend(release.iter().flat_map(|release| release.steps.values().map(StepSpec::digest)));
    }
    Ok(steps)
}
