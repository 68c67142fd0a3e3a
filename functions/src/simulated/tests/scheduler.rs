//! Processes that start, work and die, one poll at a time.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Context;
use std::task::Waker;
use std::time::Duration;

use liminal_schemas::keys;
use liminal_schemas::release::Release;
use liminal_schemas::run::RunRecord;
use tokio::sync::watch;

use crate::executor::Stop;
use crate::ports::Clock;
use crate::ports::Platform;
use crate::ports::Queue;
use crate::runner::Events;
use crate::runner::Handled;
use crate::runner::Runner;
use crate::simulated::SimulatedPlatform;
use crate::simulated::World;
use crate::simulated::pipeline;

/// More polls than any run of a small pipeline takes: beyond it, the run hangs. Each item of a map has as many more.
const MAX_POLLS: u32 = 200_000;
const MAX_POLLS_OF_ITEM: u32 = 2_000;

/// Shorter than many attempts, so that messages come again while they are being handled.
const VISIBILITY: Duration = Duration::from_secs(45);

/// How long workers go on after the run has ended, for messages that come late.
const AFTERLIFE: Duration = Duration::from_secs(13 * 60 * 60);

/// What brings a run forward again after a process has died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recovery {
    /// The next process looks at every step, and knows who is dead: as when the sole driver of a run is replaced.
    BySweeping,
    /// Nothing but the messages that were not acknowledged, once leases have ended: as among many workers.
    ByMessages,
}

/// Runs a pipeline with several processes, replacing those that die, until it has ended and no message is left to come.
pub(super) fn carry_out(world: &World, release: &Release, record: &RunRecord, processes: usize, recovery: Recovery) {
    seed_release(world, release);
    let mut born = 0;
    let started = Rc::new(Cell::new(false));
    let mut new_task = || {
        born += 1;
        Task::new(world, record, recovery, format!("process-{born}"), &started)
    };
    let mut tasks: Vec<Task> = (0..processes).map(|_| new_task()).collect();
    let most = MAX_POLLS + MAX_POLLS_OF_ITEM * u32::try_from(pipeline::items(release)).expect("not too many");
    for _ in 0..most {
        let before = world.activity();
        let mut changed = false;
        let start = usize::try_from(world.draw(u64::try_from(tasks.len()).expect("few"))).expect("few");
        for offset in 0..tasks.len() {
            let index = (start + offset) % tasks.len();
            if tasks[index].ended {
                continue;
            }
            let poll = tasks[index].future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            tasks[index].ended = poll.is_ready();
            changed |= tasks[index].ended;
            if world.is_dead(&tasks[index].name) {
                tasks[index] = new_task();
                changed = true;
            }
        }
        if tasks.iter().all(|task| task.ended) {
            return;
        }
        if !changed && world.activity() == before && !world.pass_time() {
            panic!("nobody does anything, and nobody waits");
        }
    }
    let ended = world.state().objects.contains_key(&keys::result(&record.pipeline, &record.run));
    panic!(
        "nothing has come to an end after {most} polls: {} messages are left, the run has {}, and it is {}",
        world.messages(),
        if ended { "ended" } else { "not ended" },
        world.now(),
    );
}

fn seed_release(world: &World, release: &Release) {
    let key = keys::release(&release.pipeline, &release.revision());
    let bytes = serde_json::to_vec(release).expect("a release serialises");
    world.state().objects.insert(key, (bytes, 0));
}

struct Task {
    name: String,
    ended: bool,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

impl Task {
    fn new(world: &World, record: &RunRecord, recovery: Recovery, name: String, started: &Rc<Cell<bool>>) -> Self {
        let platform = SimulatedPlatform::new(world, &name, recovery == Recovery::BySweeping);
        let runner = Runner::new(platform, Events::silent());
        let starts = recovery == Recovery::BySweeping || !started.get();
        let future = Box::pin(work(world.clone(), runner, record.clone(), starts.then(|| Rc::clone(started))));
        Self { name, ended: false, future }
    }
}

/// Starts the run, if that is this process's part, then handles messages until long after the run has ended.
async fn work(world: World, runner: Runner<SimulatedPlatform>, record: RunRecord, starts: Option<Rc<Cell<bool>>>) {
    let clock = runner.platform().clock();
    if let Some(started) = starts {
        while runner.start(record.clone()).await.is_err() {
            clock.sleep(Duration::from_secs(1)).await;
        }
        started.set(true);
    }
    let queue = runner.platform().queue();
    let (_stop, stopped) = watch::channel(Stop::No);
    let mut quiet_since = None;
    loop {
        match queue.receive(SimulatedPlatform::QUEUE, VISIBILITY).await {
            Ok(Some(delivery)) => {
                let acknowledged = match runner.handle(&delivery.body, stopped.clone()).await {
                    Ok(Handled::Done) => queue.delete(&delivery.receipt).await,
                    Ok(Handled::PutBack(pause)) => queue.extend(&delivery.receipt, pause).await,
                    // The message comes again.
                    Err(_) => Ok(()),
                };
                // A failed acknowledgement changes as much as a lost one.
                drop(acknowledged);
            }
            Ok(None) | Err(_) => clock.sleep(Duration::from_secs(1 + world.draw(20))).await,
        }
        let ended = world.state().objects.contains_key(&keys::result(&record.pipeline, &record.run));
        if !ended {
            continue;
        }
        let now = world.now();
        let since = *quiet_since.get_or_insert(now);
        if world.messages() == 0 || now.seconds_since(since) > AFTERLIFE.as_secs_f64() {
            return;
        }
    }
}
