//! Messages in memory: delivered in any order, and more than once.

use std::future::pending;
use std::time::Duration;

use liminal_schemas::time::UtcTime;

use super::fault::Fate;
use super::mailbox::Message;
use super::world::State;
use super::world::World;
use crate::ports::Delivery;
use crate::ports::Queue;
use crate::ports::QueueError;
use crate::ports::Receipt;

/// How much later than the first a duplicate may come, in seconds: the longest visibility timeout of SQS is 12 hours.
const LATEST_SECONDS: u64 = 12 * 60 * 60;

/// The world's messages, as one process sees them.
#[derive(Clone)]
pub struct SimulatedQueue {
    world: World,
    process: String,
}

impl SimulatedQueue {
    /// The queue, for a process of that name.
    pub fn new(world: World, process: impl Into<String>) -> Self {
        Self { world, process: process.into() }
    }

    async fn perform<T>(
        &self,
        action: &'static str,
        operation: impl FnOnce(&mut State) -> T + Send,
    ) -> Result<T, QueueError> {
        self.world.give_way().await;
        let failed = |problem: &str| QueueError::Unavailable {
            queue: "simulated".to_owned(),
            action,
            source: problem.to_owned().into(),
        };
        match self.world.fate() {
            Fate::Done => Ok(operation(&mut self.world.state())),
            Fate::Refused => Err(failed("the request was refused")),
            Fate::LostResponse => {
                operation(&mut self.world.state());
                Err(failed("the response was lost"))
            }
            Fate::CrashBefore => self.crash().await,
            Fate::CrashAfter => {
                operation(&mut self.world.state());
                self.crash().await
            }
        }
    }

    async fn crash<T>(&self) -> T {
        self.world.bury(&self.process);
        pending().await
    }
}

impl Queue for SimulatedQueue {
    fn max_delay(&self) -> Option<Duration> {
        self.world.state().max_delay
    }

    async fn send(&self, queue: &str, body: &str, delay: Duration) -> Result<(), QueueError> {
        self.perform("send a message", |state| {
            let delay = state.max_delay.map_or(delay, |longest| delay.min(longest));
            let mut delays = vec![delay];
            let (twice, late) = (state.faults().duplicates, state.faults().late_duplicates);
            if state.happens(twice) {
                state.count("duplicate");
                delays.push(delay);
            }
            if state.happens(late) {
                state.count("duplicate hours later");
                delays.push(Duration::from_secs(state.draw(LATEST_SECONDS)));
            }
            for delay in delays {
                state.sent += 1;
                let message = Message { queue: queue.to_owned(), body: body.to_owned(), receives: 0 };
                let (id, visible_at) = (state.sent, after(state, delay));
                state.messages.add(id, visible_at, message);
            }
        })
        .await
    }

    async fn receive(&self, queue: &str, visibility: Duration) -> Result<Option<Delivery>, QueueError> {
        self.perform("receive a message", |state| {
            let due = state.messages.due(queue, state.now());
            let chosen = usize::try_from(state.draw(u64::try_from(due.len()).unwrap_or(1))).unwrap_or(0);
            let id = *due.get(chosen)?;
            let until = after(state, visibility);
            state.messages.put_off(id, until, true);
            let message = state.messages.get(id)?;
            let receipt = Receipt::new(format!("{id}.{}", message.receives));
            Some(Delivery { body: message.body.clone(), receipt, receives: message.receives })
        })
        .await
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError> {
        self.perform("put a message back", |state| {
            if let Some(id) = held(state, receipt) {
                let until = after(state, visibility);
                state.messages.put_off(id, until, false);
            }
        })
        .await
    }

    async fn delete(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.perform("delete a message", |state| {
            if let Some(id) = held(state, receipt) {
                state.messages.remove(id);
            }
        })
        .await
    }
}

/// The message that a receipt holds; none when the receipt is void.
fn held(state: &State, receipt: &Receipt) -> Option<u64> {
    let (id, receives) = receipt.as_str().split_once('.')?;
    let id = id.parse().ok()?;
    let is_held = state.messages.get(id)?.receives.to_string() == receives;
    is_held.then_some(id)
}

fn after(state: &State, delay: Duration) -> UtcTime {
    state.now().plus_millis(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX))
}
