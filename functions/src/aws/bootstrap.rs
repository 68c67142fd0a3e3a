//! The runner as a Lambda runtime of its own: events come from the Runtime API.

use lambda_runtime::Error;
use lambda_runtime::LambdaEvent;
use lambda_runtime::Runtime;
use lambda_runtime::service_fn;
use serde_json::Value;

use super::function::Function;
use super::function::Invocation;

/// Answers events for as long as the machine is there.
///
/// # Errors
/// When the Runtime API fails.
pub async fn run(function: &dyn Function) -> Result<(), Error> {
    let handler = |event: LambdaEvent<Value>| {
        let invocation = Invocation::until(event.context.deadline, event.context.request_id);
        async move { function.handle(event.payload, invocation).await.map_err(Error::from) }
    };
    Runtime::new(service_fn(handler)).run().await
}
