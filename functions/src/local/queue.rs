//! The queue of a process that drives runs: in its memory, since whoever drives a run derives its messages from the object
//! store when it begins, and nobody else handles them while its lock is held.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use liminal_schemas::time::UtcTime;
use tokio::sync::Notify;

use crate::clock::SystemClock;
use crate::ports::Clock;
use crate::ports::Delivery;
use crate::ports::Queue;
use crate::ports::QueueError;
use crate::ports::Receipt;

/// Messages in memory: they end with the process.
#[derive(Debug, Default)]
pub struct MemoryQueue<C = SystemClock> {
    messages: Mutex<Messages>,
    clock: C,
    sent: Notify,
}

/// What the driver of a run on this machine asks of its queue beyond the port.
pub trait WatchedQueue: Queue {
    /// Drops all messages of a queue: for the sole driver of a run, which derives them again from the object store.
    fn purge(&self, queue: &str);

    /// When the next message of a queue is due, if any is there. It may be due already.
    fn next_due(&self, queue: &str) -> Option<UtcTime>;

    /// Ends when this process sends or puts back a message, or did so since the last time.
    fn sent(&self) -> impl Future<Output = ()> + Send;
}

#[derive(Debug, Default)]
struct Messages {
    /// The messages of each queue in the order in which they are due, and of those due together in the order in which they
    /// were sent.
    queues: HashMap<String, BTreeMap<Place, Message>>,
    /// Where the messages are that somebody holds.
    held: HashMap<u64, (String, Place)>,
    sent: u64,
}

/// When a message is due, and its number.
type Place = (UtcTime, u64);

#[derive(Debug)]
struct Message {
    body: String,
    receives: u32,
}

impl Messages {
    fn push(&mut self, queue: &str, body: &str, due: UtcTime) {
        self.sent += 1;
        let message = Message { body: body.to_owned(), receives: 0 };
        match self.queues.get_mut(queue) {
            Some(messages) => drop(messages.insert((due, self.sent), message)),
            None => drop(self.queues.insert(queue.to_owned(), BTreeMap::from([((due, self.sent), message)]))),
        }
    }

    fn receive(&mut self, queue: &str, now: UtcTime, until: UtcTime) -> Option<Delivery> {
        let messages = self.queues.get_mut(queue)?;
        let first = messages.first_entry().filter(|first| first.key().0 <= now)?;
        let ((_, number), mut message) = first.remove_entry();
        message.receives += 1;
        let receipt = Receipt::new(format!("{number}.{}", message.receives));
        let delivery = Delivery { body: message.body.clone(), receipt, receives: message.receives };
        messages.insert((until, number), message);
        self.held.insert(number, (queue.to_owned(), (until, number)));
        Some(delivery)
    }

    /// Takes out the message that a receipt is of, unless the receipt is void.
    fn take(&mut self, receipt: &Receipt) -> Option<(String, u64, Message)> {
        let (number, receives) = parts(receipt)?;
        let (queue, place) = self.held.get(&number)?;
        let messages = self.queues.get_mut(queue)?;
        if messages.get(place)?.receives != receives {
            return None;
        }
        let message = messages.remove(place)?;
        let (queue, _) = self.held.remove(&number)?;
        Some((queue, number, message))
    }
}

impl<C: Clock> MemoryQueue<C> {
    /// A queue that goes by a clock.
    pub fn new(clock: C) -> Self {
        Self { messages: Mutex::default(), clock, sent: Notify::new() }
    }

    /// Nothing panics half way through a change, so a poisoned lock holds nothing broken.
    fn messages(&self) -> MutexGuard<'_, Messages> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn due(&self, delay: Duration) -> UtcTime {
        self.clock.now().plus_millis(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX))
    }
}

impl<C: Clock> Queue for MemoryQueue<C> {
    fn max_delay(&self) -> Option<Duration> {
        None
    }

    async fn send(&self, queue: &str, body: &str, delay: Duration) -> Result<(), QueueError> {
        let due = self.due(delay);
        self.messages().push(queue, body, due);
        self.sent.notify_one();
        Ok(())
    }

    async fn receive(&self, queue: &str, visibility: Duration) -> Result<Option<Delivery>, QueueError> {
        let (now, until) = (self.clock.now(), self.due(visibility));
        Ok(self.messages().receive(queue, now, until))
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError> {
        let until = self.due(visibility);
        let mut messages = self.messages();
        if let Some((queue, number, message)) = messages.take(receipt) {
            messages.held.insert(number, (queue.clone(), (until, number)));
            messages.queues.entry(queue).or_default().insert((until, number), message);
        }
        drop(messages);
        self.sent.notify_one();
        Ok(())
    }

    async fn delete(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.messages().take(receipt);
        Ok(())
    }
}

impl<C: Clock> WatchedQueue for MemoryQueue<C> {
    fn purge(&self, queue: &str) {
        let mut messages = self.messages();
        messages.queues.remove(queue);
        messages.held.retain(|_, (of, _)| of != queue);
    }

    fn next_due(&self, queue: &str) -> Option<UtcTime> {
        let messages = self.messages();
        let first = messages.queues.get(queue).and_then(BTreeMap::first_key_value);
        first.map(|((due, _), _)| *due)
    }

    async fn sent(&self) {
        self.sent.notified().await;
    }
}

/// A receipt names the message and how often it had been received, so that it is void after the next time.
fn parts(receipt: &Receipt) -> Option<(u64, u32)> {
    let (number, receives) = receipt.as_str().split_once('.')?;
    Some((number.parse().ok()?, receives.parse().ok()?))
}
