//! Functions that an emulator carries out, fed by its queues.

use std::time::Duration;

use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::run::RunStatus;

use crate::pipeline::call;
use crate::pipeline::field;
use crate::pipeline::leaves;
use crate::pipeline::release;
use crate::pipeline::sh;
use crate::pipeline::takes;
use crate::world::World;
use crate::world::message;

const TRAIN: &str = r#"
import os


def train(raw, model):
    assert not [name for name in os.environ if name.startswith("AWS_")], os.environ
    print("trained by", os.environ["LIMINAL_STEP"])
    model.write_text(raw.read_text().upper())
    return {"rows": 2}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_from_function_to_function_and_duplicates_change_nothing() {
    let world = World::new().await;
    let files = [("train.py", TRAIN)];
    let package = world.put_package(&files).await;
    let fetch = leaves(sh("echo fetching; printf 'a,b' > {{ outputs.raw }}"), "raw", "raw.csv");
    let train = takes(call("train", "train", package), "raw", "fetch", "raw");
    let train = leaves(leaves(train, "model", "model.txt"), "metrics", "metrics.json");
    let release = release([("fetch", fetch), ("train", train)]);
    world.publish(&release, Duration::from_secs(420)).await;
    world.function(&release, "fetch", "provided.al2023", &[]);
    world.function(&release, "train", "python3.11", &files);
    let record = world.start(&release).await;
    let result = world.ended(&record).await;
    assert_eq!(result.status, RunStatus::Succeeded, "{}", world.emulator.log());

    let commit = world.commit(&record, "train").await.expect("a commit");
    assert_eq!(commit.outputs[&field("model")].digest, Digest::of_bytes(b"A,B"));
    assert_eq!(commit.metrics["rows"], 2.0);
    let object = world.object(&keys::artifact(&Digest::of_bytes(b"A,B"))).await;
    assert_eq!(object.as_deref(), Some(&b"A,B"[..]));
    assert_eq!(world.log(&record, "fetch", 1).await, "fetching\n");
    assert_eq!(world.log(&record, "train", 1).await, "trained by train\n");

    for step in ["fetch", "train"] {
        let queue = world.queue(&release, step);
        for _ in 0..3 {
            world.send(&queue, &message(&record, step)).await;
        }
        world.drained(&queue).await;
        assert_eq!(world.attempts(&record, step).await, ["1.json", "1.log"]);
        assert_eq!(world.commit(&record, step).await.expect("a commit").status, CommitStatus::Succeeded);
    }
    assert_eq!(world.commit(&record, "train").await, Some(commit));
}
