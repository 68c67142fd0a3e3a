//! The function that starts the tasks of one step: it takes the step's messages as the function of a step does, and hands
//! every attempt to a task.

use std::sync::Arc;

use serde_json::Value;

use super::batch::Batch;
use super::clients::Clients;
use super::console;
use super::environment::Served;
use super::environment::Variables;
use super::fargate::FargateExecutor;
use super::fargate::TaskSettings;
use super::function::Function;
use super::function::FunctionError;
use super::function::Handling;
use super::function::Invocation;
use super::platform::AwsPlatform;
use super::queue::SqsQueue;
use super::step_function::handle_batch;
use super::store::S3Store;
use crate::runner::Runner;

/// The function that starts tasks.
#[derive(Debug)]
pub struct DispatchFunction {
    served: Served,
    store: S3Store,
    queue: Arc<SqsQueue>,
    executor: FargateExecutor,
}

impl DispatchFunction {
    /// The function that the variables of its process describe.
    ///
    /// # Errors
    /// When one is missing.
    pub fn new(clients: &Clients, variables: &Variables) -> Result<Self, FunctionError> {
        let served = Served::from_variables(variables)?;
        let executor = FargateExecutor::new(clients, &served, TaskSettings::from_variables(variables)?);
        let store = S3Store::new(clients, served.place.clone());
        Ok(Self { served, store, queue: Arc::new(SqsQueue::new(clients)), executor })
    }
}

impl Function for DispatchFunction {
    fn handle(&self, event: Value, invocation: Invocation) -> Handling<'_> {
        Box::pin(async move {
            let batch: Batch = serde_json::from_value(event).map_err(FunctionError::Event)?;
            let platform =
                AwsPlatform::new(&self.served, self.store.clone(), self.queue.clone(), self.executor.clone());
            let runner = Arc::new(Runner::new(platform, console::events()));
            let answer = handle_batch(&runner, &batch, &invocation).await;
            serde_json::to_value(answer).map_err(FunctionError::Event)
        })
    }
}
