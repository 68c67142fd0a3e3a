//! The function of one step: brings runs forward by one message of the step's queue at a time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use liminal_schemas::message::StepMessage;
use serde_json::Value;
use tokio::sync::watch;

use super::artifacts::S3Artifacts;
use super::batch::Answer;
use super::batch::Batch;
use super::batch::Record;
use super::clients::Clients;
use super::console;
use super::environment::Served;
use super::environment::Variables;
use super::executor::AwsExecutor;
use super::executor::MARGIN;
use super::executor::Machine;
use super::function::Function;
use super::function::FunctionError;
use super::function::Handling;
use super::function::Invocation;
use super::platform::AwsPlatform;
use super::queue::SqsQueue;
use super::queue::receipt;
use super::scratch::Scratch;
use super::secrets::Secrets;
use super::store::S3Store;
use crate::causes::in_full;
use crate::executor::Stop;
use crate::ports::Platform;
use crate::ports::Queue;
use crate::ports::QueueError;
use crate::runner::Handled;
use crate::runner::Runner;
use crate::runner::RunnerError;

/// How often it is asked whether a run is to stop, while one of its steps runs.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// From this receipt on a message that has to wait is sent anew instead of put back: each receipt counts towards the
/// queue's limit (at least 5), and waiting is no fault of the message.
const SENT_ANEW_FROM: u32 = 3;

/// The pause before a message is received again that could not be handled; doubled with each receipt.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);

/// Where a function may write files, on Lambda.
pub const SCRATCH_ROOT: &str = "/tmp";

/// The function of a step.
#[derive(Debug)]
pub struct StepFunction {
    served: Served,
    store: S3Store,
    queue: Arc<SqsQueue>,
    executor: AwsExecutor,
}

impl StepFunction {
    /// The function that the variables of its process describe.
    ///
    /// # Errors
    /// When one is missing, or the file system refuses.
    pub fn new(clients: &Clients, variables: &Variables) -> Result<Self, FunctionError> {
        let served = Served::from_variables(variables)?;
        let store = S3Store::new(clients, served.place.clone());
        let artifacts = S3Artifacts::new(clients, served.place.clone());
        let machine = Machine {
            code: PathBuf::from(variables.required("LAMBDA_TASK_ROOT")?),
            scratch: Scratch::claim(std::path::Path::new(SCRATCH_ROOT))?,
            python: variables.get("LIMINAL_PYTHON").map(PathBuf::from),
            search_path: variables.get("PATH").map(str::to_owned),
            variables: variables.clone(),
            warm: true,
        };
        let secrets = Secrets::new(clients, variables.clone());
        let executor = AwsExecutor::new(store.clone(), artifacts, secrets, machine)?;
        Ok(Self { served, store, queue: Arc::new(SqsQueue::new(clients)), executor })
    }
}

impl Function for StepFunction {
    fn handle(&self, event: Value, invocation: Invocation) -> Handling<'_> {
        Box::pin(async move {
            let batch: Batch = serde_json::from_value(event).map_err(FunctionError::Event)?;
            // A runner for each event: what it remembers of runs is not needed any longer, and its name is new.
            let executor = self.executor.until(invocation.deadline);
            let platform = AwsPlatform::new(&self.served, self.store.clone(), self.queue.clone(), executor);
            let runner = Arc::new(Runner::new(platform, console::events()));
            let answer = handle_batch(&runner, &batch, &invocation).await;
            serde_json::to_value(answer).map_err(FunctionError::Event)
        })
    }
}

/// Handles the messages of a batch one after the other.
pub async fn handle_batch<P: Platform>(runner: &Arc<Runner<P>>, batch: &Batch, invocation: &Invocation) -> Answer {
    let mut answer = Answer::default();
    for (index, record) in batch.records.iter().enumerate() {
        // One that is begun this late would not come to its end.
        let kept = if index > 0 && invocation.left() <= MARGIN {
            true
        } else {
            match handle_record(runner, record).await {
                Ok(Handled::Done) => false,
                Ok(Handled::PutBack(pause)) => put_back(runner, record, pause).await,
                Err(error) => {
                    console::say(&format!("the message {} is left for later: {}", record.message_id, in_full(&error)));
                    let pause = FIRST_PAUSE.saturating_mul(1 << record.receives().min(8)).min(LONGEST_PAUSE);
                    hide(runner, record, pause).await;
                    true
                }
            }
        };
        if kept {
            answer.keep(record);
        }
    }
    answer
}

async fn handle_record<P: Platform>(runner: &Arc<Runner<P>>, record: &Record) -> Result<Handled, RunnerError> {
    let (stop, stopped) = watch::channel(Stop::No);
    let Ok(message) = StepMessage::parse(&record.body) else {
        return runner.handle(&record.body, stopped).await;
    };
    let handled = {
        let asking = ask(runner, &message, &stop);
        let handling = runner.handle(&record.body, stopped);
        tokio::pin!(asking, handling);
        tokio::select! {
            handled = &mut handling => handled?,
            () = &mut asking => handling.await?,
        }
    };
    if handled != Handled::Done && *stop.borrow() != Stop::No {
        runner.end_step_if_due(&message.pipeline, &message.run, &message.step).await?;
        return Ok(Handled::Done);
    }
    Ok(handled)
}

/// Asks again and again whether the run is to stop, until it is.
async fn ask<P: Platform>(runner: &Runner<P>, message: &StepMessage, stop: &watch::Sender<Stop>) {
    loop {
        tokio::time::sleep(ASK_EVERY).await;
        // A question that is not answered is asked again.
        if matches!(runner.is_to_stop(&message.pipeline, &message.run, &message.step).await, Ok(true)) {
            stop.send_replace(Stop::Gracefully);
            return;
        }
    }
}

/// Lets a message be received again after a pause. Says whether it is this one; otherwise it was sent anew.
async fn put_back<P: Platform>(runner: &Runner<P>, record: &Record, pause: Duration) -> bool {
    if record.receives() >= SENT_ANEW_FROM {
        match runner.platform().queue().send(record.queue(), &record.body, pause).await {
            Ok(()) => return false,
            Err(error) => tell(record, &error),
        }
    }
    hide(runner, record, pause).await;
    true
}

async fn hide<P: Platform>(runner: &Runner<P>, record: &Record, pause: Duration) {
    let receipt = receipt(record.queue(), &record.receipt_handle);
    if let Err(error) = runner.platform().queue().extend(&receipt, pause).await {
        // It comes back when the queue's own time is over.
        tell(record, &error);
    }
}

fn tell(record: &Record, error: &QueueError) {
    console::say(&format!("the message {} comes back at another time: {}", record.message_id, in_full(error)));
}
