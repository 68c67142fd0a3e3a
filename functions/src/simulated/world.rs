//! The simulated world: its objects, messages, time and luck.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use liminal_schemas::time::UtcTime;

use super::fault::Fate;
use super::fault::Faults;
use super::mailbox::Mailbox;
use crate::ports::Clock;

/// A world, shared by all processes in it.
#[derive(Clone)]
pub struct World(Arc<Mutex<State>>);

pub(super) struct State {
    luck: u64,
    now: UtcTime,
    faults: Faults,
    faults_left: u32,
    operations: u64,
    pub(super) objects: BTreeMap<String, (Vec<u8>, u64)>,
    pub(super) versions: u64,
    pub(super) messages: Mailbox,
    pub(super) sent: u64,
    /// The keys of objects, in the order in which they were created.
    pub(super) created: Vec<String>,
    wake_ups: BTreeSet<i64>,
    steps: u64,
    dead: BTreeSet<String>,
    pub(super) max_delay: Option<Duration>,
    happened: BTreeMap<&'static str, u64>,
}

impl World {
    /// A world with its luck and its faults.
    pub fn new(seed: u64, faults: Faults) -> Self {
        Self(Arc::new(Mutex::new(State {
            luck: seed,
            now: UtcTime::from_millis(1_800_000_000_000),
            faults,
            faults_left: faults.at_most,
            operations: 0,
            objects: BTreeMap::new(),
            versions: 0,
            messages: Mailbox::default(),
            happened: BTreeMap::new(),
            sent: 0,
            created: Vec::new(),
            wake_ups: BTreeSet::new(),
            steps: 0,
            dead: BTreeSet::new(),
            max_delay: None,
        })))
    }

    /// From now on no message is held back for longer, as with queues that have a limit.
    pub fn limit_delays(&self, longest: Duration) {
        self.state().max_delay = Some(longest);
    }

    /// A world in which nothing goes wrong.
    pub fn calm(seed: u64) -> Self {
        Self::new(seed, Faults::default())
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The world's time.
    pub fn now(&self) -> UtcTime {
        self.state().now
    }

    /// Lets time pass up to the next moment that somebody waits for. False when nobody waits.
    pub fn pass_time(&self) -> bool {
        let mut state = self.state();
        let now = state.now.millis();
        let next = state.wake_ups.range(now + 1..).next().copied();
        state.wake_ups = state.wake_ups.split_off(&(now + 1));
        match next {
            Some(next) => {
                state.now = UtcTime::from_millis(next);
                true
            }
            None => false,
        }
    }

    /// Grows whenever anything happens.
    pub fn activity(&self) -> u64 {
        self.state().steps
    }

    /// How many operations there have been.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// How many faults of each kind there have been.
    pub fn happened(&self) -> BTreeMap<&'static str, u64> {
        self.state().happened.clone()
    }

    /// The keys of objects, in the order in which they were created.
    pub fn created(&self) -> Vec<String> {
        self.state().created.clone()
    }

    /// Puts an object there, whatever was there before.
    pub fn put(&self, key: &str, bytes: &[u8]) {
        let mut state = self.state();
        state.versions += 1;
        let version = state.versions;
        state.objects.insert(key.to_owned(), (bytes.to_vec(), version));
    }

    /// All objects.
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.state().objects.iter().map(|(key, (bytes, _))| (key.clone(), bytes.clone())).collect()
    }

    /// Loses all messages. Tells how many there were.
    pub fn lose_messages(&self) -> usize {
        std::mem::take(&mut self.state().messages).len()
    }

    /// How many messages there are.
    pub fn messages(&self) -> usize {
        self.state().messages.len()
    }

    /// A whole number from 0 up to, not including, `below`.
    pub fn draw(&self, below: u64) -> u64 {
        self.state().draw(below)
    }

    /// Whether the process of that name has died.
    pub fn is_dead(&self, process: &str) -> bool {
        self.state().dead.contains(process)
    }

    pub(super) fn bury(&self, process: &str) {
        self.state().dead.insert(process.to_owned());
    }

    /// Gives way to others once.
    pub(super) async fn give_way(&self) {
        self.state().steps += 1;
        GiveWay(false).await;
    }

    pub(super) fn fate(&self) -> Fate {
        self.state().fate()
    }
}

impl State {
    pub(super) fn now(&self) -> UtcTime {
        self.now
    }

    pub(super) const fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Whether something that happens with this likelihood does.
    pub(super) fn happens(&mut self, likelihood: f64) -> bool {
        likelihood > 0.0 && self.fraction() < likelihood
    }

    /// The same, for what counts as a fault. `kind` is what it is counted under.
    pub(super) fn goes_wrong(&mut self, kind: &'static str, likelihood: f64) -> bool {
        if self.faults_left == 0 || !self.happens(likelihood) {
            return false;
        }
        self.faults_left -= 1;
        self.count(kind);
        true
    }

    /// Counts something that went wrong.
    pub(super) fn count(&mut self, kind: &'static str) {
        *self.happened.entry(kind).or_default() += 1;
    }

    fn fate(&mut self) -> Fate {
        let number = self.operations;
        self.operations += 1;
        if let Some(crash_at) = self.faults.crash_at
            && crash_at / 2 == number
        {
            self.count("crash");
            return if crash_at % 2 == 0 { Fate::CrashBefore } else { Fate::CrashAfter };
        }
        if self.goes_wrong("refused request", self.faults.refusals) {
            return Fate::Refused;
        }
        if self.goes_wrong("lost response", self.faults.lost_responses) {
            return Fate::LostResponse;
        }
        if self.goes_wrong("crash", self.faults.crashes) {
            return if self.draw(2) == 0 { Fate::CrashBefore } else { Fate::CrashAfter };
        }
        Fate::Done
    }

    pub(super) fn draw(&mut self, below: u64) -> u64 {
        self.next() % below.max(1)
    }

    pub(super) fn fraction(&mut self) -> f64 {
        let bits = u32::try_from(self.next() >> 32).unwrap_or(0);
        f64::from(bits) / (f64::from(u32::MAX) + 1.0)
    }

    /// SplitMix64: every seed, 0 included, gives a good sequence.
    pub(super) fn next(&mut self) -> u64 {
        self.luck = self.luck.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.luck;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

struct GiveWay(bool);

impl Future for GiveWay {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The world's clock, as one process reads it.
#[derive(Clone)]
pub struct SimulatedClock(World, i64);

impl SimulatedClock {
    /// A clock that is right.
    pub fn new(world: World) -> Self {
        Self(world, 0)
    }

    /// A clock that is off by as much as clocks are in this world, at most.
    pub fn skewed(world: World) -> Self {
        let most = u64::from(world.state().faults.skew_seconds);
        let off = match most {
            0 => 0,
            most => i64::try_from(world.draw(2 * most + 1)).unwrap_or(0) - i64::try_from(most).unwrap_or(0),
        };
        if off != 0 {
            world.state().count("skewed clock");
        }
        Self(world, off * 1000)
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> UtcTime {
        self.0.now().plus_millis(self.1)
    }

    async fn sleep(&self, duration: Duration) {
        let until = self.0.now().plus_millis(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX));
        self.0.state().wake_ups.insert(until.millis());
        std::future::poll_fn(|_| if self.0.now() < until { Poll::Pending } else { Poll::Ready(()) }).await;
        self.0.state().steps += 1;
    }
}
