use std::future::Future;
use std::pin::pin;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;
use std::time::Duration;

use liminal_schemas::keys;
use liminal_schemas::message::StepMessage;
use tokio::sync::watch;

use crate::executor::Stop;
use crate::ports::Platform;
use crate::runner::Events;
use crate::runner::Handled;
use crate::runner::Runner;
use crate::simulated::Faults;
use crate::simulated::SimulatedPlatform;
use crate::simulated::World;
use crate::simulated::pipeline::release;
use crate::simulated::pipeline::run_record;
use crate::simulated::pipeline::step;
use crate::simulated::pipeline::step_name;

/// Far shorter than the pause before the platform is tried again.
const LIMIT: Duration = Duration::from_millis(100);

/// What a future comes to, while the world's time passes.
fn complete<T>(world: &World, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
        world.pass_time();
    }
}

#[test]
fn a_retry_waits_as_long_as_it_should_in_a_queue_that_holds_back_for_less() {
    let world = World::new(1, Faults { failed_attempts: 1.0, at_most: 1, ..Faults::default() });
    world.limit_delays(LIMIT);
    let release = release([("fetch", step("fetch"))]);
    let record = run_record(&release, "20261124-000000-test");
    let key = keys::release(&release.pipeline, &release.revision());
    world.state().objects.insert(key, (serde_json::to_vec(&release).expect("serialises"), 0));
    let runner = Runner::new(SimulatedPlatform::new(&world, "process", true), Events::silent());
    let handle = |body: &str| complete(&world, runner.handle(body, watch::channel(Stop::No).1)).expect("handled");
    let next_message = || world.state().messages.remove_newest().expect("a message");
    let attempts = || {
        let prefix = keys::attempts_prefix(&record.pipeline, &record.run, &step_name("fetch"));
        let is_attempt = |key: &&String| key.starts_with(&prefix) && !key.ends_with(".failed.json");
        world.created().iter().filter(is_attempt).count()
    };

    complete(&world, runner.start(record.clone())).expect("started");
    assert_eq!(handle(&next_message().body), Handled::Done);
    let retry = next_message();
    let not_before = StepMessage::parse(&retry.body).expect("a message").not_before.expect("it is to wait for longer");
    assert_eq!(retry.visible_at, world.now().plus_millis(100), "the queue holds it back for as long as it can");
    assert!(not_before > retry.visible_at);

    let rest = Duration::from_millis(u64::try_from(not_before.millis() - world.now().millis()).expect("later"));
    assert_eq!(handle(&retry.body), Handled::PutBack(rest));
    assert_eq!(attempts(), 1, "it was too early");
    complete(&world, crate::ports::Clock::sleep(runner.platform().clock(), rest));
    assert_eq!(handle(&retry.body), Handled::Done);
    assert_eq!(attempts(), 2);
}
