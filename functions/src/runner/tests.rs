use std::sync::Arc;

use liminal_schemas::keys;
use liminal_schemas::run::Commit;
use liminal_schemas::run::RunRecord;
use tokio::sync::mpsc;
use tokio::sync::watch;

use crate::executor::Stop;
use crate::ports::ObjectStore;
use crate::ports::Platform;
use crate::runner::Events;
use crate::runner::Handled;
use crate::runner::RunEvent;
use crate::runner::Runner;
use crate::simulated::SimulatedPlatform;
use crate::simulated::World;
use crate::simulated::pipeline::release;
use crate::simulated::pipeline::run_record;
use crate::simulated::pipeline::step;
use crate::simulated::pipeline::step_name;
use crate::simulated::pipeline::with_inputs;

/// A run of two steps that was started in a calm world, and what happens to its messages.
struct Started {
    runner: Arc<Runner<SimulatedPlatform>>,
    record: RunRecord,
    events: mpsc::UnboundedReceiver<RunEvent>,
}

impl Started {
    async fn new() -> Self {
        let world = World::calm(1);
        let (sender, events) = mpsc::unbounded_channel();
        let runner = Arc::new(Runner::new(SimulatedPlatform::new(&world, "process", true), Events::to(sender)));
        let release = release([("fetch", step("fetch")), ("next", with_inputs(step("next"), &["fetch"]))]);
        let key = keys::release(&release.pipeline, &release.revision());
        let bytes = serde_json::to_vec(&release).expect("serialises");
        runner.platform().store().put_if_absent(&key, &bytes).await.expect("written");
        let record = run_record(&release, "20261124-000000-test");
        runner.start(record.clone()).await.expect("started");
        Self { runner, record, events }
    }

    async fn handle(&self, body: &str) -> Handled {
        self.runner.handle(body, watch::channel(Stop::No).1).await.expect("handled")
    }

    fn warning(&mut self) -> String {
        match self.events.try_recv().expect("an event") {
            RunEvent::Warning { message, .. } => message,
            other => panic!("a warning, not {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_message_that_makes_no_sense_is_dropped_with_a_warning() {
    let mut started = Started::new().await;
    assert_eq!(started.handle("{\"schema\":1,\"run\":").await, Handled::Done);
    insta::assert_snapshot!(started.warning(), @"a message was dropped: the message makes no sense");
    assert_eq!(started.handle(&"x".repeat(10_000)).await, Handled::Done);
    insta::assert_snapshot!(started.warning(), @"a message was dropped: the message has 10000 bytes, more than 4096");
    let other_run = r#"{"schema":1,"pipeline":"pipeline","run":"20260101-000000-gone","step":"fetch"}"#;
    assert_eq!(started.handle(other_run).await, Handled::Done);
    insta::assert_snapshot!(started.warning(), @"a message for run 20260101-000000-gone of pipeline, which does not exist, was dropped");
    let other_step = r#"{"schema":1,"pipeline":"pipeline","run":"20261124-000000-test","step":"ghost"}"#;
    assert_eq!(started.handle(other_step).await, Handled::Done);
    insta::assert_snapshot!(started.warning(), @"a message for step ghost, which the release does not have, was dropped");
}

#[tokio::test]
async fn a_message_of_an_unknown_schema_fails_the_step_that_it_names_so_that_the_run_ends() {
    let started = Started::new().await;
    let body = r#"{"schema":2,"pipeline":"pipeline","run":"20261124-000000-test","step":"fetch","item":7}"#;
    assert_eq!(started.handle(body).await, Handled::Done);
    let key = keys::commit(&started.record.pipeline, &started.record.run, &step_name("fetch"));
    let object = started.runner.platform().store().get(&key).await.expect("read").expect("there");
    let commit: Commit = serde_json::from_slice(&object.bytes).expect("a commit");
    insta::assert_snapshot!(commit.failure.expect("failed").message, @"the message has schema 2, and this liminal knows only 1");
    let result = started.runner.result(&started.record.pipeline, &started.record.run).await.expect("read");
    insta::assert_debug_snapshot!(result.expect("ended").steps, @r#"
{
    StepName(
        "fetch",
    ): Failed,
    StepName(
        "next",
    ): Skipped,
}
"#);
}

#[tokio::test]
async fn a_message_for_a_step_whose_parents_are_open_is_dropped() {
    let started = Started::new().await;
    let body = r#"{"schema":1,"pipeline":"pipeline","run":"20261124-000000-test","step":"next"}"#;
    assert_eq!(started.handle(body).await, Handled::Done);
    let prefix = keys::step_prefix(&started.record.pipeline, &started.record.run, &step_name("next"));
    assert!(started.runner.platform().store().list(&prefix).await.expect("listed").is_empty());
}
