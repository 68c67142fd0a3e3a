//! The starter: what starts runs without anybody calling, and keeps lost ones going.
//!
//! One function per environment reads one queue, to which buckets, schedules and ECS send. Everything in it may come twice
//! and in any order: the id of a run is made from what started it, its record is create-only, and healing a run is harmless
//! however often it is done.
//!
//! Nothing reads dead-letter queues. What a step's queue gives up on, the sweeper brings to an end from the records alone
//! ([`crate::runner::Runner::heal`]); so these queues are for people: to see what went wrong, and to send it
//! again (`liminal redrive --undelivered`).

mod canary;
mod ends;
mod error;
pub mod event;
mod kept;
mod overlap;
pub mod pin;
mod run_id;
mod source;
mod start;
mod sweep;
mod task_stop;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use liminal_schemas::digest::Digest;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::name::RunId;
use liminal_schemas::release::Release;
use liminal_schemas::run::RunResult;
use liminal_schemas::time::UtcTime;

pub use self::error::StarterError;
use self::event::Event;
pub use self::kept::Awaited;
pub use self::kept::KeptSchedule;
pub use self::source::ForeignObject;
pub use self::source::ObjectSource;
pub use self::source::SourceError;
use crate::ports::Platform;
use crate::runner::Runner;

/// Where a starter is at home.
#[derive(Clone, Debug)]
pub struct Home {
    /// The project.
    pub project: ProjectName,
    /// The environment.
    pub environment: EnvironmentName,
    /// The bucket that triggers mean when they name none.
    pub bucket: String,
    /// What the keys of the environment's own objects in that bucket begin with. They start nothing.
    pub own_prefix: String,
    /// The queue that the starter reads: it sends itself what does not fit into one go.
    pub queue: String,
}

/// What came of a message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The runs that were started, or were there already.
    pub started: Vec<(PipelineName, RunId)>,
    /// Those of them that ended as soon as they started, since the cache had all that they make.
    pub ended: Vec<RunResult>,
    /// What else is worth a line in a log.
    pub notes: Vec<String>,
}

/// Starts runs, and keeps them going.
pub struct Starter<P: Platform, O: ObjectSource> {
    runner: Runner<P>,
    source: O,
    home: Home,
    /// Releases never change, so that each is read once.
    releases: Mutex<BTreeMap<Digest, Arc<Release>>>,
}

impl<P: Platform, O: ObjectSource> Starter<P, O> {
    /// A starter over a runner that carries out no attempts.
    pub fn new(runner: Runner<P>, source: O, home: Home) -> Self {
        Self { runner, source, home, releases: Mutex::default() }
    }

    /// Does what a message of the trigger queue asks for. `sent_at` is when the queue took it, the same however often it is
    /// delivered; by `deadline` the work is to be done.
    ///
    /// # Errors
    /// When something could not be started or looked up. The message is then to be left in the queue: it can be handled
    /// again, and when that never helps, it ends in the dead-letter queue, from where it can be sent again.
    pub async fn handle(&self, body: &str, sent_at: UtcTime, deadline: UtcTime) -> Result<Report, StarterError> {
        let mut report = Report::default();
        match event::parse(body) {
            Event::Objects { created, dropped } => {
                report.notes.extend(dropped);
                self.start_for_objects(&created, &mut report).await?;
            }
            Event::Schedule { pipeline, trigger, time } => {
                self.start_for_schedule(&pipeline, &trigger, time.unwrap_or(sent_at), &mut report).await?;
            }
            Event::Sweep(part) => self.sweep(part, deadline, &mut report).await?,
            Event::TaskStopped(stopped) => self.end_stopped(&stopped, &mut report).await?,
            Event::Nothing => {}
            Event::Unknown(problem) => report.notes.push(format!("a message was dropped: {problem}")),
        }
        Ok(report)
    }
}
