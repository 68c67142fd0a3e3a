//! Keeps an environment of this machine going by itself: its schedules, the folders that stand for buckets, and its open
//! runs. What on AWS are schedules, notifications, the starter, the sweeper and the functions is one process here.
//!
//! It starts runs by the rules of the starter: their ids follow from what started them, so that an event that is seen twice,
//! as after a restart, is one run. It drives the runs that nobody drives, whoever started them, so that nothing stays open.

mod folder;
mod runs;
mod schedules;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use liminal_schemas::digest::Digest;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::name::RunId;
use liminal_schemas::run::RunStatus;
use liminal_schemas::time::UtcTime;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::time::Instant;

use self::folder::FolderSource;
use self::folder::Folders;
pub use self::folder::WatchedFolder;
use self::runs::Runs;
use self::schedules::Schedules;
use super::artifacts::LocalArtifacts;
use super::drive::StartsNothing;
use super::platform::LocalEnvironment;
use super::platform::LocalPlatform;
use super::queue::WatchedQueue;
use crate::causes::in_full;
use crate::clock::SystemClock;
use crate::executor::Executor;
use crate::executor::Stop;
use crate::ports::Clock;
use crate::ports::ObjectStore;
use crate::runner::Events;
use crate::runner::Runner;
use crate::starter::Awaited;
use crate::starter::Home;
use crate::starter::Report;
use crate::starter::Starter;
use crate::starter::StarterError;

/// How often schedules and folders are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often open runs are looked for that nobody drives, where nothing else asks for it.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// The pause before an event is handled again that could not be.
const RETRY_PAUSE: Duration = Duration::from_secs(20);

/// How often an event is handled before it is given up.
const MAX_TRIES: u32 = 10;

/// What is kept, and how.
#[derive(Debug)]
pub struct KeepOptions {
    /// The project.
    pub project: ProjectName,
    /// The folders that stand for buckets; the first is that of the environment itself.
    pub folders: Vec<WatchedFolder>,
    /// How many steps of one run may run at once.
    pub jobs: u32,
    /// How many runs are driven at once.
    pub runs: usize,
    /// Whether to end: steps that run are stopped, and their runs left for the next time.
    pub stop: watch::Receiver<Stop>,
    /// Where what happens is told.
    pub events: mpsc::UnboundedSender<KeeperEvent>,
}

/// Something happened.
#[derive(Clone, Debug, PartialEq)]
pub enum KeeperEvent {
    /// What is waited for is another than before.
    Awaits {
        /// How many pipelines are live.
        pipelines: usize,
        /// How many schedules they have.
        schedules: usize,
        /// How many triggers wait for objects.
        objects: usize,
        /// For ends of how many pipelines they wait.
        ends: usize,
    },
    /// A run is driven from now on.
    Begins {
        /// The pipeline.
        pipeline: PipelineName,
        /// The run.
        run: RunId,
        /// What started it, as far as known.
        by: Option<String>,
    },
    /// A run has ended.
    Ended {
        /// The pipeline.
        pipeline: PipelineName,
        /// The run.
        run: RunId,
        /// How.
        status: RunStatus,
    },
    /// A run is left for the next time.
    Left {
        /// The pipeline.
        pipeline: PipelineName,
        /// The run.
        run: RunId,
    },
    /// A run could not be driven to its end. It is tried again later.
    Stuck {
        /// The pipeline.
        pipeline: PipelineName,
        /// The run.
        run: RunId,
        /// Why.
        problem: String,
    },
    /// Something else that people may want to know.
    Note(String),
}

/// Keeps an environment going until it is told to stop.
///
/// # Errors
/// When it can not be looked up what is live. What goes wrong with one event or run is told, and ends nothing.
pub async fn keep<S, Q, E>(
    environment: &LocalEnvironment<S, Q>,
    artifacts: LocalArtifacts,
    executor: Arc<E>,
    options: KeepOptions,
) -> Result<(), StarterError>
where
    S: ObjectStore,
    Q: WatchedQueue,
    E: Executor,
{
    let home = Home {
        project: options.project.clone(),
        environment: environment.name.clone(),
        bucket: options.folders.first().map(|folder| folder.bucket.clone()).unwrap_or_default(),
        // No key of a watched file begins with a dot.
        own_prefix: ".".to_owned(),
        queue: String::new(),
    };
    let platform = LocalPlatform::new(environment.clone(), Arc::new(StartsNothing));
    let source = FolderSource { folders: options.folders.clone(), artifacts };
    let mut keeper = Keeper {
        starter: Starter::new(Runner::new(platform, Events::silent()), source, home),
        schedules: Schedules::default(),
        folders: Folders::new(options.folders.clone()),
        runs: Runs::new(environment, executor, &options),
        pending: Vec::new(),
        awaits: None,
        events: options.events.clone(),
    };
    keeper.keep(options.stop).await
}

struct Keeper<'a, S: ObjectStore, Q: WatchedQueue, E: Executor> {
    starter: Starter<LocalPlatform<S, Q, StartsNothing>, FolderSource>,
    schedules: Schedules,
    folders: Folders,
    runs: Runs<'a, S, Q, E>,
    /// Events that could not be handled yet.
    pending: Vec<Pending>,
    awaits: Option<(usize, Vec<Digest>, usize, BTreeSet<PipelineName>)>,
    events: mpsc::UnboundedSender<KeeperEvent>,
}

struct Pending {
    body: String,
    tries: u32,
    at: Instant,
}

impl<S, Q, E> Keeper<'_, S, Q, E>
where
    S: ObjectStore,
    Q: WatchedQueue,
    E: Executor,
{
    async fn keep(&mut self, mut stop: watch::Receiver<Stop>) -> Result<(), StarterError> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut sweep = Instant::now();
        while *stop.borrow_and_update() == Stop::No {
            let mut changed = self.look().await?;
            if sweep <= Instant::now() {
                (sweep, changed) = (Instant::now() + SWEEP_EVERY, true);
            }
            if changed {
                self.settle_canaries().await;
                self.start_waiting().await;
                let report = self.runs.drive_open(&self.starter).await?;
                if !report.started.is_empty() {
                    sweep = Instant::now();
                }
                self.tell_of(report);
            }
            tokio::select! {
                () = self.runs.ended() => sweep = Instant::now(),
                _ = look.tick() => {}
                _ = stop.changed() => {}
            }
        }
        self.runs.wind_up().await;
        // Nobody is left to start what waits, so that runs that end from now on close themselves.
        self.starter.note_listeners(&BTreeSet::new(), true).await
    }

    /// Handles what has happened since the last time. Whether anything has.
    async fn look(&mut self) -> Result<bool, StarterError> {
        let now = SystemClock.now();
        let awaited = self.starter.awaited().await?;
        if self.tell_what_is_awaited(&awaited) {
            self.starter.note_listeners(&awaited.ends, awaited.problems.is_empty()).await?;
        }
        let mut bodies: Vec<(String, u32)> =
            self.schedules.due(&awaited.schedules, now).iter().map(|message| (message.body(), 0)).collect();
        bodies.extend(self.folders.look().into_iter().map(|body| (body, 0)));
        let (due, later) = std::mem::take(&mut self.pending).into_iter().partition(|it| it.at <= Instant::now());
        self.pending = later;
        let due: Vec<Pending> = due;
        bodies.extend(due.into_iter().map(|pending| (pending.body, pending.tries)));
        let changed = !bodies.is_empty();
        for (body, tries) in bodies {
            self.handle(body, tries, now).await;
        }
        Ok(changed)
    }

    async fn handle(&mut self, body: String, tries: u32, now: UtcTime) {
        // Nothing that is sent from here takes long enough for a deadline to matter.
        match self.starter.handle(&body, now, UtcTime::from_millis(i64::MAX)).await {
            Ok(report) => self.tell_of(report),
            Err(error) => {
                let problem = in_full(&error);
                if tries + 1 < MAX_TRIES {
                    let seconds = RETRY_PAUSE.as_secs();
                    self.tell(KeeperEvent::Note(format!("{problem}; it is tried again in {seconds} s")));
                    self.pending.push(Pending { body, tries: tries + 1, at: Instant::now() + RETRY_PAUSE });
                } else {
                    self.tell(KeeperEvent::Note(format!("{problem}; it is given up after {MAX_TRIES} tries")));
                }
            }
        }
    }

    async fn settle_canaries(&self) {
        match self.starter.settle_canaries().await {
            Ok(report) => self.tell_of(report),
            Err(error) => self.tell(KeeperEvent::Note(in_full(&error))),
        }
    }

    async fn start_waiting(&self) {
        match self.starter.start_those_that_wait().await {
            Ok(report) => self.tell_of(report),
            Err(error) => self.tell(KeeperEvent::Note(in_full(&error))),
        }
    }

    fn tell_of(&self, report: Report) {
        for note in report.notes {
            self.tell(KeeperEvent::Note(note));
        }
        // These are never driven.
        for result in report.ended {
            let started = report.started.iter().find(|(_, run)| *run == result.run);
            if let Some((pipeline, run)) = started.cloned() {
                self.tell(KeeperEvent::Ended { pipeline, run, status: result.status });
            }
        }
    }

    /// Whether it is another thing than before.
    fn tell_what_is_awaited(&mut self, awaited: &Awaited) -> bool {
        let triggers = awaited.schedules.iter().map(|schedule| schedule.trigger).collect();
        let awaits = (awaited.pipelines, triggers, awaited.objects, awaited.ends.clone());
        if self.awaits.as_ref() == Some(&awaits) {
            return false;
        }
        self.awaits = Some(awaits);
        let schedules = awaited.schedules.len();
        self.tell(KeeperEvent::Awaits {
            pipelines: awaited.pipelines,
            schedules,
            objects: awaited.objects,
            ends: awaited.ends.len(),
        });
        for schedule in &awaited.schedules {
            if let Err(error) = &schedule.schedule {
                self.tell(KeeperEvent::Note(format!("a schedule of {} is not kept: {error}", schedule.pipeline)));
            }
        }
        for problem in &awaited.problems {
            self.tell(KeeperEvent::Note(problem.clone()));
        }
        true
    }

    fn tell(&self, event: KeeperEvent) {
        // Nobody listens any more when the command is about to end.
        let _ = self.events.send(event);
    }
}
