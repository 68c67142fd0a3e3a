//! The messages of a world, in the order in which they are due.

use std::collections::BTreeMap;

use liminal_schemas::time::UtcTime;

/// How many of the messages that are due may come next: any of them, as queues do not keep an order.
const REORDERED: usize = 64;

/// A message.
pub(super) struct Message {
    pub(super) queue: String,
    pub(super) body: String,
    pub(super) receives: u32,
}

/// All messages.
#[derive(Default)]
pub(super) struct Mailbox {
    by_time: BTreeMap<(UtcTime, u64), Message>,
    times: BTreeMap<u64, UtcTime>,
}

impl Mailbox {
    /// Adds a message under a number that no other has.
    pub(super) fn add(&mut self, id: u64, visible_at: UtcTime, message: Message) {
        self.times.insert(id, visible_at);
        self.by_time.insert((visible_at, id), message);
    }

    /// The numbers of messages of a queue that may come next.
    pub(super) fn due(&self, queue: &str, now: UtcTime) -> Vec<u64> {
        let due = self.by_time.iter().take_while(|((visible_at, _), _)| *visible_at <= now);
        let of_queue = due.filter(|(_, message)| message.queue == queue);
        of_queue.map(|((_, id), _)| *id).take(REORDERED).collect()
    }

    /// A message.
    pub(super) fn get(&self, id: u64) -> Option<&Message> {
        self.by_time.get(&(*self.times.get(&id)?, id))
    }

    /// Puts a message off, and counts one receipt more where it was one.
    pub(super) fn put_off(&mut self, id: u64, until: UtcTime, received: bool) {
        if let Some(mut message) = self.remove(id) {
            message.receives += u32::from(received);
            self.add(id, until, message);
        }
    }

    /// Removes a message.
    pub(super) fn remove(&mut self, id: u64) -> Option<Message> {
        let time = self.times.remove(&id)?;
        self.by_time.remove(&(time, id))
    }

    /// Removes the message that was sent last.
    #[cfg(test)]
    pub(super) fn remove_newest(&mut self) -> Option<Sent> {
        let id = *self.times.keys().next_back()?;
        let visible_at = *self.times.get(&id)?;
        self.remove(id).map(|message| Sent { body: message.body, visible_at })
    }

    pub(super) fn len(&self) -> usize {
        self.times.len()
    }
}

/// A message as it was sent.
#[cfg(test)]
pub(super) struct Sent {
    pub(super) body: String,
    pub(super) visible_at: UtcTime,
}
