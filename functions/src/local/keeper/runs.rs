//! Open runs that nobody else drives, driven to their end, a few at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use liminal_schemas::keys;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::run::RunRecord;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::KeepOptions;
use super::KeeperEvent;
use super::folder::FolderSource;
use crate::causes::in_full;
use crate::documents;
use crate::executor::Executor;
use crate::executor::Stop;
use crate::local::LocalEnvironment;
use crate::local::drive::Drive;
use crate::local::drive::DriveError;
use crate::local::drive::DriveOptions;
use crate::local::drive::Driven;
use crate::local::drive::StartsNothing;
use crate::local::drive::drive;
use crate::local::drive::is_driven;
use crate::local::platform::LocalPlatform;
use crate::local::queue::WatchedQueue;
use crate::ports::ObjectStore;
use crate::runner::Events;
use crate::starter::Report;
use crate::starter::Starter;
use crate::starter::StarterError;

/// How long a run is left alone that could not be driven to its end.
const STUCK_PAUSE: Duration = Duration::from_secs(60);

/// A run that was driven, and how that came out.
type Outcome = (PipelineName, RunId, Result<Driven, DriveError>);

/// The runs that are driven here.
pub(super) struct Runs<'a, S: ObjectStore, Q: WatchedQueue, E: Executor> {
    environment: &'a LocalEnvironment<S, Q>,
    executor: Arc<E>,
    jobs: u32,
    most: usize,
    tasks: JoinSet<Outcome>,
    /// Runs that are driven, or left alone until a moment.
    known: BTreeMap<RunId, Option<Instant>>,
    stop: watch::Receiver<Stop>,
    events: mpsc::UnboundedSender<KeeperEvent>,
}

impl<'a, S: ObjectStore, Q: WatchedQueue, E: Executor> Runs<'a, S, Q, E> {
    pub(super) fn new(environment: &'a LocalEnvironment<S, Q>, executor: Arc<E>, options: &KeepOptions) -> Self {
        Self {
            environment,
            executor,
            jobs: options.jobs,
            most: options.runs,
            tasks: JoinSet::new(),
            known: BTreeMap::new(),
            stop: options.stop.clone(),
            events: options.events.clone(),
        }
    }

    /// Drives the open runs that nobody drives, the oldest first, as far as there is room. Tells what was started since others
    /// have ended.
    pub(super) async fn drive_open(
        &mut self,
        starter: &Starter<LocalPlatform<S, Q, StartsNothing>, FolderSource>,
    ) -> Result<Report, StarterError> {
        let now = Instant::now();
        self.known.retain(|_, until| until.is_none_or(|until| until > now));
        let (mut open, report) = starter.open_runs().await?;
        open.sort_by(|(_, a), (_, b)| a.cmp(b));
        for (pipeline, run) in open {
            if self.tasks.len() >= self.most {
                break;
            }
            if self.known.contains_key(&run) || is_driven(&self.environment.locks, &run).ok().flatten().is_some() {
                continue;
            }
            let key = keys::run(&pipeline, &run);
            let record: Option<documents::Versioned<RunRecord>> =
                documents::read(&*self.environment.store, &key, RUN_SCHEMA).await.unwrap_or_default();
            // Whoever starts it has not come so far, or its record makes no sense.
            let Some(record) = record else { continue };
            self.tell(KeeperEvent::Begins {
                pipeline: pipeline.clone(),
                run: run.clone(),
                by: record.document.started_by,
            });
            self.known.insert(run.clone(), None);
            let (environment, executor) = (self.environment.clone(), Arc::clone(&self.executor));
            let options = DriveOptions { jobs: self.jobs, stop: self.stop.clone(), events: Events::silent() };
            self.tasks.spawn(async move {
                let what = Drive::Resume { pipeline: pipeline.clone(), run: run.clone() };
                let driven = drive(&environment, executor, what, options).await;
                (pipeline, run, driven)
            });
        }
        Ok(report)
    }

    /// Waits until a run is driven no longer; for ever when none is.
    pub(super) async fn ended(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(outcome)) => self.note(outcome),
            Some(Err(error)) => self.tell(KeeperEvent::Note(format!("a run could not be driven: {error}"))),
            None => std::future::pending().await,
        }
    }

    /// Waits until no run is driven any more, after all were told to stop.
    pub(super) async fn wind_up(&mut self) {
        while !self.tasks.is_empty() {
            self.ended().await;
        }
    }

    fn note(&mut self, (pipeline, run, driven): Outcome) {
        self.known.remove(&run);
        match driven {
            Ok(Driven::Finished(result)) => self.tell(KeeperEvent::Ended { pipeline, run, status: result.status }),
            Ok(Driven::Interrupted) => self.tell(KeeperEvent::Left { pipeline, run }),
            // Somebody else was quicker.
            Err(DriveError::Lock(_)) => {}
            Err(error) => {
                self.known.insert(run.clone(), Some(Instant::now() + STUCK_PAUSE));
                self.tell(KeeperEvent::Stuck { pipeline, run, problem: in_full(&error) });
            }
        }
    }

    fn tell(&self, event: KeeperEvent) {
        let _ = self.events.send(event);
    }
}
