//! What goes wrong in a simulated world, and how often.

/// How likely each fault is, from 0 to 1, and how many there are at most.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// An operation fails without taking place.
    pub refusals: f64,
    /// An operation takes place, and says that it failed.
    pub lost_responses: f64,
    /// The process dies before or after an operation takes place.
    pub crashes: f64,
    /// An attempt fails for a reason of the platform.
    pub failed_attempts: f64,
    /// An attempt goes on after its lease has ended.
    pub overruns: f64,
    /// A message is delivered twice. These and reordering are what queues do every day, so they do not count.
    pub duplicates: f64,
    /// A message comes once more, up to 12 hours later. They do not count either.
    pub late_duplicates: f64,
    /// How far the clock of a process is off, in seconds at most, either way.
    pub skew_seconds: u32,
    /// How many faults there are in all, whatever their kind. What is left of the world's life is without any.
    pub at_most: u32,
    /// The moment at which a process dies, counted from 0: there is one before and one after each operation.
    pub crash_at: Option<u64>,
}

/// What becomes of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Done,
    Refused,
    LostResponse,
    CrashBefore,
    CrashAfter,
}
