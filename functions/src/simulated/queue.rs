//! Messages in memory: delivered in any order, and more than once.

use std::future::pending;
use std::time::Duration;

use liminal_schemas::time::UtcTime;

use super::fault::Fate;
use super::world::Message;
use super::world::State;
use super::world::World;
use crate::ports::Delivery;
use crate::ports::Queue;
use crate::ports::QueueError;
use crate::ports::Receipt;

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
            let likelihood = state.faults().duplicates;
            let copies = if state.happens(likelihood) { 2 } else { 1 };
            let delay = state.max_delay.map_or(delay, |longest| delay.min(longest));
            for _ in 0..copies {
                state.sent += 1;
                let message = Message {
                    id: state.sent,
                    queue: queue.to_owned(),
                    body: body.to_owned(),
                    visible_at: after(state, delay),
                    receives: 0,
                };
                state.messages.push(message);
            }
        })
        .await
    }

    async fn receive(&self, queue: &str, visibility: Duration) -> Result<Option<Delivery>, QueueError> {
        self.perform("receive a message", |state| {
            let now = state.now();
            let due: Vec<usize> = state
                .messages
                .iter()
                .enumerate()
                .filter(|(_, message)| message.queue == queue && message.visible_at <= now)
                .map(|(index, _)| index)
                .collect();
            let chosen = usize::try_from(state.draw(u64::try_from(due.len()).unwrap_or(1))).unwrap_or(0);
            let until = after(state, visibility);
            let message = state.messages.get_mut(*due.get(chosen)?)?;
            message.receives += 1;
            message.visible_at = until;
            let receipt = Receipt::new(format!("{}.{}", message.id, message.receives));
            Some(Delivery { body: message.body.clone(), receipt, receives: message.receives })
        })
        .await
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError> {
        self.perform("put a message back", |state| {
            let until = after(state, visibility);
            for message in state.messages.iter_mut().filter(|message| is_held(message, receipt)) {
                message.visible_at = until;
            }
        })
        .await
    }

    async fn delete(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.perform("delete a message", |state| state.messages.retain(|message| !is_held(message, receipt))).await
    }
}

fn is_held(message: &Message, receipt: &Receipt) -> bool {
    receipt.as_str() == format!("{}.{}", message.id, message.receives)
}

fn after(state: &State, delay: Duration) -> UtcTime {
    state.now().plus_millis(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX))
}
