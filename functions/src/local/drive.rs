//! Drives a run to its end on this machine: takes its messages and handles as many at a time as there are slots.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use liminal_schemas::keys;
use liminal_schemas::message::StepMessage;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunResult;
use liminal_schemas::time::UtcTime;
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::lock::DriverInfo;
use super::lock::DriverLock;
use super::lock::LockError;
use super::lock::driver_of;
use super::platform::LocalEnvironment;
use super::platform::LocalPlatform;
use super::platform::bounded_queue_of;
use super::platform::queue_of;
use super::queue::WatchedQueue;
use super::slots::Slots;
use crate::clock::SystemClock;
use crate::executor::AttemptJob;
use crate::executor::AttemptOutcome;
use crate::executor::Executor;
use crate::executor::Stop;
use crate::ports::Clock;
use crate::ports::Delivery;
use crate::ports::ObjectStore;
use crate::ports::Platform;
use crate::ports::QueueError;
use crate::ports::Receipt;
use crate::ports::StoreError;
use crate::runner::Events;
use crate::runner::Handled;
use crate::runner::Runner;
use crate::runner::RunnerError;

/// How long a message that is being handled is hidden. The run's lock already keeps other processes out, so this only
/// has to be longer than any attempt may take.
const VISIBILITY: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How often the driver looks for a request to cancel the run.
const CANCEL_POLL: Duration = Duration::from_millis(200);

/// Which run is driven.
#[derive(Clone, Debug)]
pub enum Drive {
    /// A new one.
    Start(Box<RunRecord>),
    /// One that was started before.
    Resume {
        /// The pipeline.
        pipeline: PipelineName,
        /// The run.
        run: RunId,
    },
}

/// How a run is driven.
#[derive(Clone, Debug)]
pub struct DriveOptions {
    /// How many slots there are. A step takes as many as its `resources.cpu`, but never more than all.
    pub jobs: u32,
    /// Whether the driver is to stop, leaving the run for somebody to resume.
    pub stop: watch::Receiver<Stop>,
    /// Where progress goes.
    pub events: Events,
}

/// How driving a run came out.
#[derive(Clone, Debug, PartialEq)]
pub enum Driven {
    /// The run ended.
    Finished(RunResult),
    /// The driver was stopped. The run can be resumed.
    Interrupted,
}

/// Why a run could not be driven to its end. It can be resumed once the cause is gone.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// Another process drives it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The runner could not go on.
    #[error(transparent)]
    Runner(#[from] RunnerError),
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Handling a message ended in a panic.
    #[error("a step could not be handled")]
    Panicked(#[source] JoinError),
    /// Nothing is under way and nothing is due, though the run has not ended.
    #[error("run {0} does not go on: no step is under way and none is ready")]
    Stuck(RunId),
}

/// Drives a run to its end, unless it is stopped before.
///
/// # Errors
/// When another process drives the run, or something other than a step fails.
pub async fn drive<S, Q, E>(
    environment: &LocalEnvironment<S, Q>,
    executor: Arc<E>,
    drive: Drive,
    options: DriveOptions,
) -> Result<Driven, DriveError>
where
    S: ObjectStore,
    Q: WatchedQueue,
    E: Executor,
{
    let (pipeline, run) = match &drive {
        Drive::Start(record) => (record.pipeline.clone(), record.run.clone()),
        Drive::Resume { pipeline, run } => (pipeline.clone(), run.clone()),
    };
    let _lock = DriverLock::take(&environment.locks, &run, SystemClock.now())?;
    let platform = LocalPlatform::new(environment.clone(), executor);
    let runner = Arc::new(Runner::new(platform, options.events));
    let mut lanes = vec![Lane { queue: queue_of(&run), bound: None, running: 0 }];
    environment.queue.purge(&queue_of(&run));
    if let Drive::Resume { .. } = &drive {
        lanes.extend(bounded_lanes(&runner, &pipeline, &run).await?);
        for lane in &lanes {
            environment.queue.purge(&lane.queue);
        }
    }
    match drive {
        Drive::Start(record) => {
            runner.start_new(*record).await?;
            lanes.extend(bounded_lanes(&runner, &pipeline, &run).await?);
        }
        Drive::Resume { .. } => {
            if let Some(result) = runner.result(&pipeline, &run).await? {
                return Ok(Driven::Finished(result));
            }
            if !runner.end_if_due(&pipeline, &run).await? {
                runner.sweep(&pipeline, &run).await?;
            }
        }
    }
    let deadline = runner.deadline(&pipeline, &run).await?;
    let (stop_attempts, _) = watch::channel(Stop::No);
    let mut driver = Driver {
        environment,
        runner,
        pipeline,
        run,
        lanes,
        slots: Slots::new(options.jobs),
        tasks: JoinSet::new(),
        waiting: None,
        stop_attempts,
        ending: None,
        deadline,
        ended_early: false,
    };
    driver.drive(options.stop).await
}

/// Ends a run that nobody drives as cancelled. None when it has steps under `finally:` that are to run first: driving it on
/// does so.
///
/// # Errors
/// When somebody drives it after all, or a port fails.
pub async fn cancel_idle<S, Q>(
    environment: &LocalEnvironment<S, Q>,
    pipeline: &PipelineName,
    run: &RunId,
) -> Result<Option<RunResult>, DriveError>
where
    S: ObjectStore,
    Q: WatchedQueue,
{
    let _lock = DriverLock::take(&environment.locks, run, SystemClock.now())?;
    environment.queue.purge(&queue_of(run));
    let platform = LocalPlatform::new(environment.clone(), Arc::new(StartsNothing));
    let runner = Runner::new(platform, Events::silent());
    runner.end_if_due(pipeline, run).await?;
    Ok(runner.result(pipeline, run).await?)
}

/// An executor for those who only start and settle.
#[derive(Clone, Copy, Debug)]
pub(super) struct StartsNothing;

impl Executor for StartsNothing {
    async fn execute(&self, _: AttemptJob) -> AttemptOutcome {
        AttemptOutcome::Stopped
    }
}

/// Who drives a run at this moment, if anybody does.
///
/// # Errors
/// When the lock can not be looked at.
pub fn is_driven(locks: &Path, run: &RunId) -> Result<Option<DriverInfo>, LockError> {
    driver_of(locks, run)
}

/// Why the driver takes no further messages.
enum Ending {
    Interrupted,
    /// The run is cancelled, or past its deadline: what is left of it is to be settled.
    Early,
    Failed(DriveError),
}

struct Driver<'a, S: ObjectStore, Q: WatchedQueue, E: Executor> {
    environment: &'a LocalEnvironment<S, Q>,
    runner: Arc<Runner<LocalPlatform<S, Q, E>>>,
    pipeline: PipelineName,
    run: RunId,
    lanes: Vec<Lane>,
    slots: Slots,
    tasks: JoinSet<Task>,
    /// A message that was received, from which lane, but needs more slots than are free.
    waiting: Option<(usize, Delivery, u32)>,
    stop_attempts: watch::Sender<Stop>,
    ending: Option<Ending>,
    /// When the run is to end, done or not.
    deadline: Option<UtcTime>,
    /// Whether the run was cut short, so that only its steps under `finally:` are left.
    ended_early: bool,
}

/// A queue of the run, and how many of its messages may be handled at once.
struct Lane {
    queue: String,
    bound: Option<u32>,
    running: u32,
}

impl Lane {
    fn is_free(&self) -> bool {
        self.bound.is_none_or(|bound| self.running < bound)
    }
}

/// The queues of steps that bound how many of their items run at once.
async fn bounded_lanes<P: Platform>(
    runner: &Runner<P>,
    pipeline: &PipelineName,
    run: &RunId,
) -> Result<Vec<Lane>, DriveError> {
    let steps = runner.bounded_steps(pipeline, run).await?.into_iter();
    let lane = |(step, bound)| Lane { queue: bounded_queue_of(run, &step), bound: Some(bound), running: 0 };
    Ok(steps.map(lane).collect())
}

/// A message that has been handled.
struct Task {
    lane: usize,
    receipt: Receipt,
    slots: u32,
    handled: Result<Handled, RunnerError>,
}

impl<S, Q, E> Driver<'_, S, Q, E>
where
    S: ObjectStore,
    Q: WatchedQueue,
    E: Executor,
{
    async fn drive(&mut self, mut stop: watch::Receiver<Stop>) -> Result<Driven, DriveError> {
        let cancel_key = keys::cancel(&self.pipeline, &self.run);
        let mut cancel_poll = tokio::time::interval(CANCEL_POLL);
        let mut swept_idle = false;
        let mut somebody_may_stop = true;
        loop {
            self.follow(*stop.borrow_and_update());
            if self.ending.is_none() {
                if let Some(result) = self.runner.result(&self.pipeline, &self.run).await? {
                    self.tasks.shutdown().await;
                    self.purge();
                    self.runner.platform().executor().run_ended(&self.run);
                    return Ok(Driven::Finished(result));
                }
                if let Err(error) = self.fill().await {
                    self.end(Ending::Failed(error), Stop::Gracefully);
                }
            }
            if self.tasks.is_empty() {
                match self.ending.take() {
                    Some(Ending::Early) => {
                        self.end_early().await?;
                        continue;
                    }
                    Some(Ending::Interrupted) => return self.interrupted().await,
                    Some(Ending::Failed(error)) => return Err(error),
                    None if self.waiting.is_some() => continue,
                    None => {}
                }
            }
            let full = self.slots.are_taken() || self.waiting.is_some() || self.ending.is_some();
            let due = if full { None } else { self.next_due() };
            if due.is_none() && self.tasks.is_empty() {
                // No message is left, though the run has not ended: whatever was lost is derived again, once.
                if swept_idle {
                    return Err(DriveError::Stuck(self.run.clone()));
                }
                swept_idle = true;
                self.runner.sweep(&self.pipeline, &self.run).await?;
                continue;
            }
            let environment = self.environment;
            tokio::select! {
                Some(joined) = self.tasks.join_next() => self.acknowledge(joined).await,
                () = environment.queue.sent(), if !full => {}
                () = until(due), if !full => {}
                changed = stop.changed(), if somebody_may_stop => somebody_may_stop = changed.is_ok(),
                _ = cancel_poll.tick(), if self.ending.is_none() && !self.ended_early => {
                    if environment.store.exists(&cancel_key).await? {
                        self.end(Ending::Early, Stop::Gracefully);
                    }
                }
                () = until(self.deadline), if self.ending.is_none() && !self.ended_early => {
                    self.end(Ending::Early, Stop::Gracefully);
                }
            }
        }
    }

    /// Does what somebody outside asks for.
    fn follow(&mut self, stop: Stop) {
        match stop {
            Stop::No => {}
            Stop::Gracefully | Stop::Now => self.end(Ending::Interrupted, stop),
        }
    }

    /// Takes no further messages, and stops the attempts that are under way. The first reason stays.
    fn end(&mut self, ending: Ending, stop: Stop) {
        self.ending.get_or_insert(ending);
        self.stop_attempts.send_if_modified(|now| {
            let harder = *now == Stop::No || stop == Stop::Now;
            let changed = harder && *now != stop;
            if changed {
                *now = stop;
            }
            changed
        });
    }

    /// How a run that was interrupted stands.
    async fn interrupted(&self) -> Result<Driven, DriveError> {
        Ok(match self.runner.result(&self.pipeline, &self.run).await? {
            Some(result) => Driven::Finished(result),
            None => Driven::Interrupted,
        })
    }

    /// Cuts the run short. What is under `finally:` is started anew, whatever messages were left.
    async fn end_early(&mut self) -> Result<(), DriveError> {
        self.ended_early = true;
        self.waiting = None;
        self.stop_attempts.send_replace(Stop::No);
        self.purge();
        self.runner.end_if_due(&self.pipeline, &self.run).await?;
        Ok(())
    }

    /// Takes a message from the first lane that is free and has one.
    async fn receive(&self) -> Result<Option<(usize, Delivery)>, DriveError> {
        for (index, lane) in self.lanes.iter().enumerate().filter(|(_, lane)| lane.is_free()) {
            if let Some(delivery) = self.environment.queue.receive(&lane.queue, VISIBILITY).await? {
                return Ok(Some((index, delivery)));
            }
        }
        Ok(None)
    }

    /// When the next message is due that can be handled.
    fn next_due(&self) -> Option<UtcTime> {
        let free = self.lanes.iter().filter(|lane| lane.is_free());
        free.filter_map(|lane| self.environment.queue.next_due(&lane.queue)).min()
    }

    fn purge(&self) {
        self.lanes.iter().for_each(|lane| self.environment.queue.purge(&lane.queue));
    }

    /// Takes messages as long as there are some and slots for them.
    async fn fill(&mut self) -> Result<(), DriveError> {
        while !self.slots.are_taken() {
            let (lane, delivery, slots) = match self.waiting.take() {
                Some(waiting) => waiting,
                None => match self.receive().await? {
                    Some((lane, delivery)) => {
                        let message = StepMessage::parse(&delivery.body).ok();
                        (lane, delivery, message.map_or(1, |message| self.runner.slots(&message)))
                    }
                    None => return Ok(()),
                },
            };
            let Some(taken) = self.slots.take(slots) else {
                // Others are left where they are, so that a step that needs many slots is not put off for ever.
                self.waiting = Some((lane, delivery, slots));
                return Ok(());
            };
            if let Some(lane) = self.lanes.get_mut(lane) {
                lane.running += 1;
            }
            let (runner, stop) = (Arc::clone(&self.runner), self.stop_attempts.subscribe());
            self.tasks.spawn(async move {
                let handled = runner.handle(&delivery.body, stop).await;
                Task { lane, receipt: delivery.receipt, slots: taken, handled }
            });
        }
        Ok(())
    }

    /// Deletes a message that has been handled, or puts it back.
    async fn acknowledge(&mut self, joined: Result<Task, JoinError>) {
        let task = match joined {
            Ok(task) => task,
            Err(error) => return self.end(Ending::Failed(DriveError::Panicked(error)), Stop::Gracefully),
        };
        self.slots.free(task.slots);
        if let Some(lane) = self.lanes.get_mut(task.lane) {
            lane.running -= 1;
        }
        let queue = &self.environment.queue;
        let acknowledged = match task.handled {
            Ok(Handled::Done) => queue.delete(&task.receipt).await.map_err(DriveError::from),
            Ok(Handled::PutBack(pause)) => queue.extend(&task.receipt, pause).await.map_err(DriveError::from),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = acknowledged {
            self.end(Ending::Failed(error), Stop::Gracefully);
        }
    }
}

/// Waits until a message is due; for ever when none is there.
async fn until(due: Option<UtcTime>) {
    match due {
        Some(due) => {
            let millis = due.millis().saturating_sub(SystemClock.now().millis());
            tokio::time::sleep_until(Instant::now() + Duration::from_millis(u64::try_from(millis).unwrap_or(0))).await;
        }
        None => std::future::pending().await,
    }
}
