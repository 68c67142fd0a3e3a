//! A world with buckets, a starter and workers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::release::Release;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::RunResult;
use liminal_schemas::run::TriggerObject;
use liminal_schemas::state::LivePointer;
use liminal_schemas::step::ArtifactKind;
use liminal_schemas::trigger::Trigger;
use liminal_schemas::trigger::TriggerSource;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::executor::Executor;
use crate::executor::Stop;
use crate::ports::Clock;
use crate::ports::Platform;
use crate::ports::Queue;
use crate::runner::Events;
use crate::runner::Handled;
use crate::runner::Runner;
use crate::simulated::SimulatedClock;
use crate::simulated::SimulatedPlatform;
use crate::simulated::World;
use crate::simulated::polling::Background;
use crate::starter::ForeignObject;
use crate::starter::Home;
use crate::starter::ObjectSource;
use crate::starter::Report;
use crate::starter::SourceError;
use crate::starter::Starter;
use crate::starter::StarterError;

/// The queue that the starter reads.
pub(super) const TRIGGERS: &str = "triggers";

/// How long a message is hidden while it is handled: longer than any attempt of the simulation, lease included.
const VISIBILITY: Duration = Duration::from_secs(12 * 60);

/// Objects in buckets that are not liminal's, by bucket, key and version.
#[derive(Clone, Default)]
pub(super) struct Buckets(Arc<Mutex<BTreeMap<Where, Vec<u8>>>>);

type Where = (String, String, String);

impl Buckets {
    pub(super) fn put(&self, bucket: &str, key: &str, version: &str, content: &str) {
        let place = (bucket.to_owned(), key.to_owned(), version.to_owned());
        self.0.lock().expect("never poisoned").insert(place, content.as_bytes().to_vec());
    }
}

/// Brings objects of [`Buckets`] into a world.
pub(super) struct WorldSource {
    world: World,
    buckets: Buckets,
}

impl ObjectSource for WorldSource {
    async fn bring_in(&self, object: &ForeignObject) -> Result<Option<TriggerObject>, SourceError> {
        let version = object.version.clone().or(object.etag.clone()).unwrap_or_default();
        let place = (object.bucket.clone(), object.key.clone(), version.clone());
        let found = self.buckets.0.lock().expect("never poisoned").get(&place).cloned();
        let Some(bytes) = found else { return Ok(None) };
        let digest = Digest::of_bytes(&bytes);
        let artifact = Artifact { digest, kind: ArtifactKind::File, bytes: bytes.len() as u64 };
        self.world.put(&keys::artifact(&digest), &bytes);
        Ok(Some(TriggerObject { uri: object.uri(), version: Some(version), artifact }))
    }
}

/// A world that has a starter.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) world: World,
    pub(super) buckets: Buckets,
}

pub(super) type WorldStarter = Starter<SimulatedPlatform, WorldSource>;

impl Place {
    pub(super) fn new(world: World) -> Self {
        Self { world, buckets: Buckets::default() }
    }

    /// Makes a release live.
    pub(super) fn deploy(&self, release: &Release) {
        let revision = release.revision();
        self.world.put(&keys::release(&release.pipeline, &revision), &serde_json::to_vec(release).expect("serialises"));
        let pointer = LivePointer::new(revision, self.world.now());
        self.world.put(&keys::live(&release.pipeline), &serde_json::to_vec(&pointer).expect("serialises"));
    }

    pub(super) fn starter(&self, process: &str) -> WorldStarter {
        let runner = Runner::new(SimulatedPlatform::new(&self.world, process, false), Events::silent());
        let source = WorldSource { world: self.world.clone(), buckets: self.buckets.clone() };
        let home = Home {
            project: liminal_schemas::name::ProjectName::new("project").expect("valid"),
            environment: EnvironmentName::new("prod").expect("valid"),
            bucket: "home".to_owned(),
            own_prefix: "project/prod/".to_owned(),
            queue: TRIGGERS.to_owned(),
        };
        Starter::new(runner, source, home)
    }

    /// Has a message handled by a starter of its own.
    pub(super) async fn handle(&self, body: &str) -> Result<Report, StarterError> {
        let now = self.world.now();
        self.starter("starter").handle(body, now, now.plus_millis(60_000)).await
    }

    /// A worker that handles messages of steps for ever.
    pub(super) fn worker(&self, process: &str) -> Background {
        let platform = SimulatedPlatform::new(&self.world, process, false);
        Box::pin(work(Runner::new(platform, Events::silent())))
    }

    /// A starter that handles messages of the trigger queue for ever, and a schedule that has it sweep every minute.
    pub(super) fn sweeper(&self) -> Background {
        let place = self.clone();
        Box::pin(async move {
            let clock = SimulatedClock::new(place.world.clone());
            let starter = place.starter("sweeper");
            loop {
                clock.sleep(Duration::from_secs(60)).await;
                let mut body = Some(r#"{"liminal":"sweep"}"#.to_owned());
                while let Some(message) = body {
                    let now = place.world.now();
                    // A sweep that fails is made up for by the next.
                    drop(starter.handle(&message, now, now.plus_millis(60_000)).await);
                    let delivery = starter.runner.platform().queue().receive(TRIGGERS, VISIBILITY).await.ok().flatten();
                    body = None;
                    if let Some(delivery) = delivery {
                        drop(starter.runner.platform().queue().delete(&delivery.receipt).await);
                        body = Some(delivery.body);
                    }
                }
            }
        })
    }

    /// Waits until so many runs have ended.
    pub(super) async fn ended(&self, count: usize) {
        let clock = SimulatedClock::new(self.world.clone());
        while self.results().len() < count {
            clock.sleep(Duration::from_secs(5)).await;
        }
    }

    pub(super) fn results(&self) -> Vec<RunResult> {
        self.documents("runs/", "/result.json")
    }

    pub(super) fn documents<T: DeserializeOwned>(&self, prefix: &str, suffix: &str) -> Vec<T> {
        let objects = self.world.objects();
        let found = objects.iter().filter(|(key, _)| key.starts_with(prefix) && key.ends_with(suffix));
        found.map(|(_, bytes)| serde_json::from_slice(bytes).expect("a document")).collect()
    }
}

/// Handles messages of steps for ever.
pub(super) async fn work<E: Executor>(runner: Runner<SimulatedPlatform<E>>) {
    let (_stop, stopped) = watch::channel(Stop::No);
    let platform = runner.platform();
    loop {
        match platform.queue().receive(SimulatedPlatform::QUEUE, VISIBILITY).await {
            Ok(Some(delivery)) => {
                let acknowledged = match runner.handle(&delivery.body, stopped.clone()).await {
                    Ok(Handled::Done) => platform.queue().delete(&delivery.receipt).await,
                    Ok(Handled::PutBack(pause)) => platform.queue().extend(&delivery.receipt, pause).await,
                    Err(_) => Ok(()),
                };
                // A failed acknowledgement changes as much as a lost one.
                drop(acknowledged);
            }
            Ok(None) | Err(_) => platform.clock().sleep(Duration::from_secs(3)).await,
        }
    }
}

/// A pipeline that waits for objects below `in/`.
pub(super) fn waiting(mut release: Release) -> Release {
    let on = TriggerSource::Object { bucket: None, prefix: "in/".to_owned(), suffix: ".csv".to_owned() };
    release.triggers.push(Trigger { on, params: BTreeMap::new() });
    release
}

/// The notification of an object in the starter's own bucket.
pub(super) fn landed(key: &str, version: &str) -> String {
    landed_in("home", key, version)
}

pub(super) fn landed_in(bucket: &str, key: &str, version: &str) -> String {
    format!(
        r#"{{"Records":[{{"eventName":"ObjectCreated:Put","eventTime":"2026-11-24T23:02:39.512Z","s3":{{"bucket":{{"name":"{bucket}"}},
        "object":{{"key":"{key}","versionId":"{version}","eTag":"e","sequencer":"s"}}}}}}]}}"#
    )
}
