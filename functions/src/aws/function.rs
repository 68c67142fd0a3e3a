//! What a function does with an event, whatever brings the event to it.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::environment::VariableError;
use crate::clock::SystemClock;
use crate::ports::Clock as _;
use crate::runner::RunnerError;

/// The circumstances of an event.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// When the machine is taken away.
    pub deadline: Instant,
    /// What the platform calls this invocation, for its logs.
    pub request: String,
}

impl Invocation {
    /// An invocation that ends at a moment, in milliseconds since 1970.
    pub fn until(deadline_ms: u64, request: impl Into<String>) -> Self {
        let now = u64::try_from(SystemClock.now().millis()).unwrap_or(0);
        let left = Duration::from_millis(deadline_ms.saturating_sub(now));
        Self { deadline: Instant::now() + left, request: request.into() }
    }

    /// How much time is left.
    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// Why an event is not handled. The platform brings it again.
#[derive(Debug, thiserror::Error)]
pub enum FunctionError {
    /// It is none of the events that the function is for.
    #[error("the event makes no sense")]
    Event(#[source] serde_json::Error),
    /// The function is not set up as it should be.
    #[error(transparent)]
    Variable(#[from] VariableError),
    /// The run could not be brought forward.
    #[error(transparent)]
    Runner(#[from] RunnerError),
    /// The machine refused.
    #[error("the file system refused")]
    Io(#[from] std::io::Error),
}

/// An event being handled.
pub type Handling<'a> = Pin<Box<dyn Future<Output = Result<Value, FunctionError>> + Send + 'a>>;

/// What is done with events.
pub trait Function: Send + Sync {
    /// Handles one event, before the invocation's deadline.
    fn handle(&self, event: Value, invocation: Invocation) -> Handling<'_>;
}
