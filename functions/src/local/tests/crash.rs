//! The driver in a process of its own, which dies at every moment in turn.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use liminal_schemas::keys;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::run::Commit;
use tokio::sync::watch;

use super::place::Executes;
use super::place::training;
use crate::clock::SystemClock;
use crate::executor::Stop;
use crate::local::LocalEnvironment;
use crate::local::crash::Crash;
use crate::local::crash::Crashing;
use crate::local::drive::Drive;
use crate::local::drive::DriveOptions;
use crate::local::drive::Driven;
use crate::local::drive::drive;
use crate::local::queue::MemoryQueue;
use crate::local::store::DirectoryStore;
use crate::ports::ObjectStore;
use crate::runner::Events;
use crate::simulated::pipeline::run_record;

const FOLDER: &str = "LIMINAL_TEST_FOLDER";
const MOMENT: &str = "LIMINAL_TEST_MOMENT";

#[expect(clippy::disallowed_methods, reason = "a test that starts itself tells the child by its environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Drives the run to its end, or dies. Does nothing unless the other test starts it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(folder) = variable(FOLDER) else { return };
    let crash = Crash::new(variable(MOMENT).map(|moment| moment.parse().expect("a number")));
    let folder = Path::new(&folder);
    let directory = Arc::new(DirectoryStore::open(folder.join("objects")).expect("a store"));
    let release = training();
    let release_key = keys::release(&release.pipeline, &release.revision());
    let bytes = serde_json::to_vec(&release).expect("serialises");
    directory.put_if_absent(&release_key, &bytes).await.expect("written");
    let environment = LocalEnvironment {
        name: EnvironmentName::new("local").expect("valid"),
        store: Arc::new(Crashing::new(DirectoryStore::open(folder.join("objects")).expect("a store"), crash.clone())),
        queue: Arc::new(Crashing::new(MemoryQueue::new(SystemClock), crash)),
        locks: folder.join("locks"),
        buckets: Default::default(),
    };
    let record = run_record(&release, "20261124-000000-test");
    let run_key = keys::run(&record.pipeline, &record.run);
    let what = if directory.exists(&run_key).await.expect("looked") {
        Drive::Resume { pipeline: record.pipeline, run: record.run }
    } else {
        Drive::Start(Box::new(record))
    };
    let (_stop, stopped) = watch::channel(Stop::No);
    let options = DriveOptions { jobs: 2, stop: stopped, events: Events::silent() };
    let driven = drive(&environment, Arc::new(Executes::new(directory)), what, options).await.expect("driven");
    assert!(matches!(driven, Driven::Finished(_)));
}

fn start(folder: &Path, moment: Option<u64>) -> bool {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", "local::tests::crash::child"]).env(FOLDER, folder);
    if let Some(moment) = moment {
        command.env(MOMENT, moment.to_string());
    }
    command.output().expect("started").status.success()
}

/// How each step ended, without times, nonces and the number of the attempt.
async fn ends(folder: &Path) -> String {
    let store = DirectoryStore::open(folder.join("objects")).expect("a store");
    let mut ends = Vec::new();
    for key in store.list("runs/").await.expect("listed") {
        if !key.ends_with("/commit.json") {
            continue;
        }
        let object = store.get(&key).await.expect("read").expect("there");
        let commit: Commit = serde_json::from_slice(&object.bytes).expect("a commit");
        let outputs: Vec<String> = commit.outputs.values().map(|artifact| artifact.digest.short()).collect();
        ends.push(format!("{} {} {} {:?}", commit.step, commit.status, outputs.join(" "), commit.model));
    }
    let versions = store.list("models/model/versions/").await.expect("listed").len();
    format!("{}\nmodel versions: {versions}", ends.join("\n"))
}

#[tokio::test]
async fn a_driver_that_is_killed_at_any_moment_is_resumed_to_the_same_end() {
    let calm = tempfile::tempdir().expect("a folder");
    assert!(start(calm.path(), None));
    let expected = ends(calm.path()).await;
    let mut moment = 0;
    loop {
        let folder = tempfile::tempdir().expect("a folder");
        let survived = start(folder.path(), Some(moment));
        if !survived {
            assert!(start(folder.path(), None), "the run is resumed after moment {moment}");
        }
        assert_eq!(ends(folder.path()).await, expected, "after moment {moment}");
        if survived {
            break;
        }
        moment += 1;
    }
    assert!(moment > 60, "only {moment} moments were gone through");
}
