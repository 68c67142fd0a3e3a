//! The function behind the trigger queue: it starts runs, and keeps lost ones going.

use std::sync::Arc;

use liminal_schemas::aws::names;
use liminal_schemas::time::UtcTime;
use serde_json::Value;

use super::batch::Answer;
use super::batch::Batch;
use super::batch::Record;
use super::clients::Clients;
use super::console;
use super::environment::Served;
use super::environment::Variables;
use super::foreign::S3Source;
use super::function::Function;
use super::function::FunctionError;
use super::function::Handling;
use super::function::Invocation;
use super::platform::AwsPlatform;
use super::queue::SqsQueue;
use super::scratch::Scratch;
use super::step_function::SCRATCH_ROOT;
use super::store::S3Store;
use crate::causes::in_full;
use crate::clock::SystemClock;
use crate::executor::AttemptJob;
use crate::executor::AttemptOutcome;
use crate::executor::Executor;
use crate::ports::Clock as _;
use crate::runner::Runner;
use crate::starter::Home;
use crate::starter::Report;
use crate::starter::Starter;

/// An executor for those who only start and settle.
#[derive(Clone, Copy, Debug)]
pub struct StartsNothing;

impl Executor for StartsNothing {
    async fn execute(&self, _: AttemptJob) -> AttemptOutcome {
        AttemptOutcome::Stopped
    }
}

/// The function behind the trigger queue.
pub struct StartFunction {
    starter: Starter<AwsPlatform<StartsNothing>, S3Source>,
    _scratch: Scratch,
}

impl StartFunction {
    /// The function that the variables of its process describe.
    ///
    /// # Errors
    /// When one is missing, or the file system refuses.
    pub fn new(clients: &Clients, variables: &Variables) -> Result<Self, FunctionError> {
        let served = Served::from_variables(variables)?;
        let scratch = Scratch::claim(std::path::Path::new(SCRATCH_ROOT))?;
        let store = S3Store::new(clients, served.place.clone());
        let platform = AwsPlatform::new(&served, store, Arc::new(SqsQueue::new(clients)), StartsNothing);
        let source = S3Source::new(clients, served.place.clone(), scratch.folder().to_owned());
        let home = Home {
            bucket: served.place.bucket().to_owned(),
            own_prefix: served.place.prefix().to_owned(),
            queue: names::trigger_queue(&served.project, &served.environment),
            project: served.project,
            environment: served.environment,
        };
        let starter = Starter::new(Runner::new(platform, console::events()), source, home);
        Ok(Self { starter, _scratch: scratch })
    }

    /// Handles the messages of a batch one after the other. One that is not handled stays in the queue: it comes again, and
    /// ends in the dead-letter queue when it never can be handled.
    async fn handle_batch(&self, batch: &Batch, deadline: UtcTime) -> Answer {
        let mut answer = Answer::default();
        for record in &batch.records {
            match self.handle_record(record, deadline).await {
                Ok(report) => tell(&report),
                Err(error) => {
                    let id = &record.message_id;
                    console::say(&format!("the message {id} is left for later: {}", in_full(&error)));
                    answer.keep(record);
                }
            }
        }
        answer
    }

    async fn handle_record(&self, record: &Record, deadline: UtcTime) -> Result<Report, crate::starter::StarterError> {
        let sent_at = record.sent_at().unwrap_or_else(|| SystemClock.now());
        self.starter.handle(&record.body, sent_at, deadline).await
    }
}

impl Function for StartFunction {
    fn handle(&self, event: Value, invocation: Invocation) -> Handling<'_> {
        Box::pin(async move {
            let batch: Batch = serde_json::from_value(event).map_err(FunctionError::Event)?;
            let left = i64::try_from(invocation.left().as_millis()).unwrap_or(i64::MAX);
            let answer = self.handle_batch(&batch, SystemClock.now().plus_millis(left)).await;
            serde_json::to_value(answer).map_err(FunctionError::Event)
        })
    }
}

fn tell(report: &Report) {
    for (pipeline, run) in &report.started {
        console::say(&format!("run {run} of {pipeline} is started"));
    }
    for note in &report.notes {
        console::say(note);
    }
}
