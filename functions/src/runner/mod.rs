//! The runner: reads records, asks the protocol, carries out the answer. The same on every platform.
//!
//! All that it writes is create-only or compare-and-swap, and all that it sends may be sent twice. A crash at any point
//! leaves the message that was being handled in the queue, and handling it again changes nothing that is settled.

mod attempt;
mod caching;
mod context;
mod ending;
mod error;
mod event;
mod gate;
mod handed;
mod heal;
mod items;
mod open;
mod prepare;
mod register;
mod settle;
mod standing;
mod takeover;
#[cfg(test)]
mod tests;
mod work;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use liminal_schemas::keys;
use liminal_schemas::message::StepMessage;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::release::RELEASE_SCHEMA;
use liminal_schemas::release::Release;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunResult;
use liminal_schemas::unit::Unit;
use serde::Deserialize;
use tokio::sync::watch;

use self::context::RunContext;
pub use self::error::RunnerError;
pub use self::event::Events;
pub use self::event::RunEvent;
pub use self::handed::AttemptName;
pub use self::handed::Carried;
pub use self::heal::Healed;
pub use self::open::open_runs;
use self::work::Work;
use crate::documents;
use crate::executor::Stop;
use crate::ports::Clock;
use crate::ports::ObjectStore;
use crate::ports::Platform;
use crate::ports::Put;
use crate::protocol::advance::Next;
use crate::protocol::planted::Bug;
use crate::protocol::planted::is_planted;

/// How many runs are kept in memory at once. What is forgotten is read again.
const MAX_KNOWN_RUNS: usize = 256;

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// All that it asked for is done: it is to be deleted.
    Done,
    /// It is to be received again after a while.
    PutBack(Duration),
}

/// Carries runs forward.
pub struct Runner<P: Platform> {
    platform: P,
    events: Events,
    runs: Mutex<BTreeMap<(PipelineName, RunId), Arc<RunContext>>>,
}

impl<P: Platform> Runner<P> {
    /// A runner on a platform.
    pub fn new(platform: P, events: Events) -> Self {
        Self { platform, events, runs: Mutex::default() }
    }

    /// What the runner works with.
    pub fn platform(&self) -> &P {
        &self.platform
    }

    /// Starts a run: writes its record and sends its first messages. Starting the same run again changes nothing.
    ///
    /// # Errors
    /// When another run of that id is there, its release does not stand, or a port fails. After [`RunnerError::Replaced`] the
    /// mark of the run is left, for whoever tries again.
    pub async fn start(&self, record: RunRecord) -> Result<(), RunnerError> {
        let key = keys::run(&record.pipeline, &record.run);
        let bytes = documents::encode(&key, &record)?;
        let marked = self.mark_open(&record.pipeline, &record.run).await?;
        if !self.stands(&record).await? && !self.platform.store().exists(&key).await? {
            return Err(RunnerError::Replaced { pipeline: record.pipeline, revision: record.revision });
        }
        match self.platform.store().put_if_absent(&key, &bytes).await? {
            Put::Created(_) if marked => {}
            // The mark is old, so that a sweeper may just have removed it.
            Put::Created(_) => drop(self.mark_open(&record.pipeline, &record.run).await?),
            Put::Exists => {
                let there: Option<documents::Versioned<RunRecord>> =
                    documents::read(self.platform.store(), &key, RUN_SCHEMA).await?;
                if there.is_none_or(|there| there.document != record) {
                    return Err(RunnerError::RunExists { pipeline: record.pipeline, run: record.run });
                }
            }
        }
        let (pipeline, run) = (record.pipeline.clone(), record.run.clone());
        self.sweep(&pipeline, &run).await
    }

    /// Starts a run whose id nobody uses again: of one that was not started, nothing is left.
    ///
    /// # Errors
    /// As of [`start`](Self::start).
    pub async fn start_new(&self, record: RunRecord) -> Result<(), RunnerError> {
        let (pipeline, run) = (record.pipeline.clone(), record.run.clone());
        let started = self.start(record).await;
        if let Err(RunnerError::Replaced { .. }) = &started {
            self.remove_stray_mark(&pipeline, &run).await?;
        }
        started
    }

    /// Looks at every step of a run and does what is to be done: after a crash, this stands in for lost messages.
    ///
    /// # Errors
    /// When the run is not there, or a port fails.
    pub async fn sweep(&self, pipeline: &PipelineName, run: &RunId) -> Result<(), RunnerError> {
        match self.context_unless_gone(pipeline, run).await? {
            Some(context) => self.settle_frontier(&context).await,
            None => Ok(()),
        }
    }

    /// How a run ended, if it did.
    ///
    /// # Errors
    /// When the record can not be read.
    pub async fn result(&self, pipeline: &PipelineName, run: &RunId) -> Result<Option<RunResult>, RunnerError> {
        let context = self.known(pipeline, run);
        if let Some(result) = context.as_ref().and_then(|context| context.result()) {
            return Ok(Some(result));
        }
        let key = keys::result(pipeline, run);
        let result: Option<documents::Versioned<RunResult>> =
            documents::read(self.platform.store(), &key, RUN_SCHEMA).await?;
        let result = result.map(|result| result.document);
        if let (Some(context), Some(result)) = (context, &result) {
            context.remember_result(result.clone());
        }
        Ok(result)
    }

    /// How many of the run's slots a step takes; 1 when that is not known yet.
    pub fn slots(&self, message: &StepMessage) -> u32 {
        let context = self.known(&message.pipeline, &message.run);
        context.and_then(|context| context.spec(&message.step).map(|spec| spec.resources.cpu)).unwrap_or(1)
    }

    /// The steps of a run that bound how many of their items run at once, and by how many.
    ///
    /// # Errors
    /// When the run is not there, or a port fails.
    pub async fn bounded_steps(
        &self,
        pipeline: &PipelineName,
        run: &RunId,
    ) -> Result<Vec<(StepName, u32)>, RunnerError> {
        let Some(context) = self.context_unless_gone(pipeline, run).await? else { return Ok(Vec::new()) };
        let steps = context.release.steps.iter();
        Ok(steps.filter_map(|(name, spec)| Some((name.clone(), spec.map.as_ref()?.max_concurrency?))).collect())
    }

    /// Does what a message asks for. `stop` reaches the attempt that it may start.
    ///
    /// # Errors
    /// When a port fails, or a record that ends a step or starts a run makes no sense. The message is then to be left.
    pub async fn handle(&self, body: &str, stop: watch::Receiver<Stop>) -> Result<Handled, RunnerError> {
        let message = match StepMessage::parse(body) {
            Ok(message) => message,
            Err(error) => return self.handle_poison(body, &error.to_string()).await,
        };
        let context = match self.context_unless_gone(&message.pipeline, &message.run).await {
            Ok(Some(context)) => context,
            Ok(None) => return Ok(Handled::Done),
            Err(RunnerError::NoRun { pipeline, run }) => {
                self.warn(None, format!("a message for run {run} of {pipeline}, which does not exist, was dropped"));
                return Ok(Handled::Done);
            }
            Err(error) => return Err(error),
        };
        if let Some(item) = message.item {
            return self.handle_item(&context, &message, item, stop).await;
        }
        let step = message.step;
        let Some(spec) = context.spec(&step) else {
            self.warn(None, format!("a message for step {step}, which the release does not have, was dropped"));
            return Ok(Handled::Done);
        };
        if let Some(commit) = self.commit_of(&context, &step).await? {
            if is_planted(Bug::NothingFollowsASettledStep) {
                return Ok(Handled::Done);
            }
            self.leave_again(&context, &commit).await?;
            self.settle_onwards(&context, vec![step]).await?;
            return Ok(Handled::Done);
        }
        // The queue could not hold it back for as long as was asked. Putting it back, other than sending it again, lets no
        // chain of messages grow that looks like an endless loop.
        let now = self.platform.clock().now();
        if let Some(until) = message.not_before.filter(|until| *until > now) {
            return Ok(Handled::PutBack(attempt::span(now, until)));
        }
        self.load_parents(&context, &step).await?;
        match context.next(&step, spec) {
            Next::Settled => {}
            // The last parent to be settled sends another message.
            Next::Wait(_) => return Ok(Handled::Done),
            Next::Skip(reason) => self.skip(&context, &Unit::step(step.clone()), reason).await?,
            Next::Start => {
                let handled = match &spec.map {
                    Some(map) => {
                        self.expand(&context, &step, spec, map).await?;
                        Handled::Done
                    }
                    None => self.start_step(&context, &Work::step(&context, &step, spec), stop).await?,
                };
                if handled != Handled::Done || context.commit(&step).is_none() {
                    return Ok(handled);
                }
            }
        }
        self.settle_onwards(&context, vec![step]).await?;
        Ok(Handled::Done)
    }

    /// A message that makes no sense fails the step that it names, if it names one, so that the run ends.
    async fn handle_poison(&self, body: &str, problem: &str) -> Result<Handled, RunnerError> {
        #[derive(Deserialize)]
        struct Named {
            pipeline: PipelineName,
            run: RunId,
            step: StepName,
            item: Option<u32>,
        }
        let named: Option<Named> = serde_json::from_str(body).ok();
        let Some(Named { pipeline, run, step, item }) = named else {
            self.warn(None, format!("a message was dropped: {problem}"));
            return Ok(Handled::Done);
        };
        let context = match self.context(&pipeline, &run).await {
            Ok(context) if context.spec(&step).is_some() => context,
            Ok(_) | Err(RunnerError::NoRun { .. }) => {
                self.warn(None, format!("a message was dropped: {problem}"));
                return Ok(Handled::Done);
            }
            Err(error) => return Err(error),
        };
        let known = context.spec(&step).and_then(|spec| Some((spec, spec.map.as_ref()?)));
        if let (Some(item), Some((spec, map))) = (item, known) {
            let unit = Unit::item(step, item);
            let is_item = self.map_record(&context, &unit.step).await?.is_some_and(|record| item < record.items);
            if is_item && self.item_commit(&context, &unit).await?.is_none() {
                self.fail_poisoned(&context, &unit, problem.to_owned()).await?;
                self.after_settled_item(&context, spec, map, &unit).await?;
            }
            return Ok(Handled::Done);
        }
        if self.commit_of(&context, &step).await?.is_none() {
            self.fail_poisoned(&context, &Unit::step(step.clone()), problem.to_owned()).await?;
        }
        self.settle_onwards(&context, vec![step]).await?;
        Ok(Handled::Done)
    }

    /// Forgets a run that has ended.
    fn forget(&self, pipeline: &PipelineName, run: &RunId) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.remove(&(pipeline.clone(), run.clone()));
    }

    fn known(&self, pipeline: &PipelineName, run: &RunId) -> Option<Arc<RunContext>> {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.get(&(pipeline.clone(), run.clone())).cloned()
    }

    /// The run, read once.
    pub(crate) async fn context(&self, pipeline: &PipelineName, run: &RunId) -> Result<Arc<RunContext>, RunnerError> {
        if let Some(context) = self.known(pipeline, run) {
            return Ok(context);
        }
        let store = self.platform.store();
        let record: Option<documents::Versioned<RunRecord>> =
            documents::read(store, &keys::run(pipeline, run), RUN_SCHEMA).await?;
        let Some(record) = record.map(|record| record.document) else {
            return Err(RunnerError::NoRun { pipeline: pipeline.clone(), run: run.clone() });
        };
        let revision = record.revision;
        let release: Option<documents::Versioned<Release>> =
            documents::read(store, &keys::release(pipeline, &revision), RELEASE_SCHEMA).await?;
        let Some(release) = release.map(|release| release.document) else {
            return Err(RunnerError::NoRelease { run: run.clone(), revision });
        };
        if release.revision() != revision {
            return Err(RunnerError::AlteredRelease { revision });
        }
        let context = Arc::new(RunContext::new(record, release)?);
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if runs.len() >= MAX_KNOWN_RUNS {
            runs.clear();
        }
        Ok(Arc::clone(runs.entry((pipeline.clone(), run.clone())).or_insert(context)))
    }

    pub(crate) fn warn(&self, step: Option<&StepName>, message: String) {
        self.events.send(RunEvent::Warning { step: step.cloned(), message });
    }
}
