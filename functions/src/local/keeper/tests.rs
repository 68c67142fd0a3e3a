//! The keeper over real files, with an executor that starts nothing.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use liminal_schemas::keys;
use liminal_schemas::release::Release;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunStatus;
use liminal_schemas::run_policy::Overlap;
use liminal_schemas::state::LivePointer;
use liminal_schemas::step::InputSource;
use liminal_schemas::time::UtcTime;
use liminal_schemas::trigger::Trigger;
use liminal_schemas::trigger::TriggerSource;
use tokio::sync::mpsc;

use super::KeepOptions;
use super::KeeperEvent;
use super::WatchedFolder;
use super::keep;
use crate::executor::Stop;
use crate::local::artifacts::LocalArtifacts;
use crate::local::tests::place::Place;
use crate::ports::ObjectStore;
use crate::simulated::pipeline::field;
use crate::simulated::pipeline::release;
use crate::simulated::pipeline::step;

/// Waits for objects below `in/`, and takes them.
fn counting() -> Release {
    let mut count = step("slow-count");
    count.inputs.insert(field("rows"), InputSource::Trigger);
    let mut release = release([("slow-count", count)]);
    let on = TriggerSource::Object { bucket: None, prefix: "in/".to_owned(), suffix: ".csv".to_owned() };
    release.triggers.push(Trigger { on, params: BTreeMap::new() });
    release
}

struct Kept {
    place: Place,
    folder: tempfile::TempDir,
}

impl Kept {
    async fn new(release: Release) -> Self {
        let place = Place::new(release).await;
        let pointer = LivePointer::new(place.release.revision(), UtcTime::from_millis(0));
        let key = keys::live(&place.release.pipeline);
        let bytes = serde_json::to_vec(&pointer).expect("serialises");
        place.environment.store.put_if_absent(&key, &bytes).await.expect("written");
        Self { place, folder: tempfile::tempdir().expect("a folder") }
    }

    fn land(&self, key: &str, content: &str) {
        let path = self.folder.path().join(key);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, content).expect("written");
    }

    /// Keeps the environment until so many runs have ended, and gives what was told.
    async fn until_ended(&self, count: usize) -> Vec<KeeperEvent> {
        let (sender, mut events) = mpsc::unbounded_channel();
        let options = KeepOptions {
            project: self.place.release.project.clone(),
            folders: vec![WatchedFolder { bucket: "local".to_owned(), folder: self.folder.path().to_owned() }],
            jobs: 2,
            runs: 2,
            stop: self.place.stop.subscribe(),
            events: sender,
        };
        let artifacts = LocalArtifacts::new(self.place.environment.store.root().to_owned());
        let keeping = keep(&self.place.environment, artifacts, Arc::clone(&self.place.executor), options);
        let mut told = Vec::new();
        let listening = async {
            let mut ended = 0;
            while let Some(event) = events.recv().await {
                ended += usize::from(matches!(event, KeeperEvent::Ended { .. }));
                told.push(event);
                if ended == count {
                    self.place.stop.send_replace(Stop::Gracefully);
                }
            }
        };
        let both = async { tokio::join!(keeping, listening) };
        let (kept, ()) = tokio::time::timeout(Duration::from_secs(60), both).await.expect("it ends");
        kept.expect("kept");
        self.place.stop.send_replace(Stop::No);
        told
    }

    async fn records(&self) -> Vec<RunRecord> {
        let mut records = Vec::new();
        for key in self.place.environment.store.list(keys::RUNS_PREFIX).await.expect("listed") {
            if key.ends_with("/run.json") {
                records.push(self.place.read(&key).await);
            }
        }
        records
    }
}

fn ended(events: &[KeeperEvent]) -> Vec<RunStatus> {
    let status = |event: &KeeperEvent| match event {
        KeeperEvent::Ended { status, .. } => Some(*status),
        _ => None,
    };
    events.iter().filter_map(status).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_lands_is_one_run_however_often_the_keeper_is_started() {
    let kept = Kept::new(counting()).await;
    kept.land("in/a.csv", "1\n2\n");
    kept.land("in/b.txt", "nobody waits for it");
    assert_eq!(ended(&kept.until_ended(1).await), [RunStatus::Succeeded]);
    let record = kept.records().await.remove(0);
    let path = kept.folder.path().join("in/a.csv").display().to_string();
    assert_eq!(record.started_by, Some(format!("object {path}")));
    assert_eq!(record.object.expect("it has it").uri, path);
    kept.land("in/c.csv", "3\n");
    assert_eq!(ended(&kept.until_ended(1).await), [RunStatus::Succeeded], "the file of the first time starts nothing");
    assert_eq!(kept.records().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_that_wait_and_runs_that_were_left_open_come_to_their_end() {
    let mut release = counting();
    (release.runs.overlap, release.runs.max_concurrent_runs) = (Overlap::Queue, Some(1));
    let kept = Kept::new(release).await;
    for number in 0..3 {
        kept.land(&format!("in/{number}.csv"), &number.to_string());
    }
    // A run that somebody started and left.
    let left = kept.place.record();
    let runner = crate::runner::Runner::new(
        crate::local::platform::LocalPlatform::new(kept.place.environment.clone(), Arc::clone(&kept.place.executor)),
        crate::runner::Events::silent(),
    );
    let object = liminal_schemas::run::TriggerObject {
        uri: "rows.csv".to_owned(),
        version: None,
        artifact: LocalArtifacts::new(kept.place.environment.store.root().to_owned())
            .bring_in(&kept.folder.path().join("in/0.csv"))
            .expect("brought in"),
    };
    runner.start(RunRecord { object: Some(object), ..left }).await.expect("started");
    let events = kept.until_ended(4).await;
    assert_eq!(ended(&events), [RunStatus::Succeeded; 4]);
    assert_eq!(kept.records().await.len(), 4);
    let store = &kept.place.environment.store;
    assert!(store.list(keys::WAITING_PREFIX).await.expect("listed").is_empty());
    assert!(store.list(keys::OPEN_PREFIX).await.expect("listed").is_empty());
    let most = kept.place.executor.most.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(most, 1, "no two runs overlap");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keeper_that_is_stopped_leaves_its_runs_for_the_next_one() {
    let mut release = release([("endless", step("endless"))]);
    let on = TriggerSource::Schedule { expression: "rate(1 minute)".to_owned(), timezone: "UTC".to_owned() };
    release.triggers.push(Trigger { on, params: BTreeMap::new() });
    let kept = Kept::new(release).await;
    let record = kept.place.record();
    let runner = crate::runner::Runner::new(
        crate::local::platform::LocalPlatform::new(kept.place.environment.clone(), Arc::clone(&kept.place.executor)),
        crate::runner::Events::silent(),
    );
    runner.start(record.clone()).await.expect("started");
    let stopping = async {
        while kept.place.executor.started().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        kept.place.stop.send_replace(Stop::Gracefully);
    };
    let (events, ()) = tokio::join!(kept.until_ended(usize::MAX), stopping);
    let awaits = KeeperEvent::Awaits { pipelines: 1, schedules: 1, objects: 0, ends: 0 };
    let (pipeline, run) = (record.pipeline.clone(), record.run.clone());
    assert_eq!(events.first(), Some(&awaits));
    assert!(events.contains(&KeeperEvent::Left { pipeline, run }), "{events:?}");
    assert!(kept.place.environment.store.exists(&keys::open_run(&record.pipeline, &record.run)).await.expect("looked"));
}
