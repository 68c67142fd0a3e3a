//! A process in a simulated world.

use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::step::StepSpec;

use super::executor::SimulatedExecutor;
use super::queue::SimulatedQueue;
use super::store::SimulatedStore;
use super::world::SimulatedClock;
use super::world::World;
use crate::executor::Executor;
use crate::ports::NoBuckets;
use crate::ports::Nonces;
use crate::ports::Platform;

/// All ports of a world, for one process.
pub struct SimulatedPlatform<E: Executor = SimulatedExecutor> {
    store: SimulatedStore,
    queue: SimulatedQueue,
    executor: E,
    clock: SimulatedClock,
    nonces: SimulatedNonces,
    world: World,
    process: String,
    knows_the_dead: bool,
}

impl SimulatedPlatform {
    /// The queue that all messages go to.
    pub const QUEUE: &'static str = "steps";

    /// The key of the environment's state.
    pub const STATE: &'static str = "state/simulated.json";

    /// A process of that name. `knows_the_dead` says whether it can tell which others have died, as the sole driver of a
    /// run on one machine can, or has to wait for their leases to end.
    pub fn new(world: &World, process: &str, knows_the_dead: bool) -> Self {
        Self::with_executor(world, process, knows_the_dead, SimulatedExecutor::new(world.clone()))
    }
}

impl<E: Executor> SimulatedPlatform<E> {
    /// The same, with another executor.
    pub fn with_executor(world: &World, process: &str, knows_the_dead: bool, executor: E) -> Self {
        Self {
            store: SimulatedStore::new(world.clone(), process),
            queue: SimulatedQueue::new(world.clone(), process),
            executor,
            clock: SimulatedClock::skewed(world.clone()),
            nonces: SimulatedNonces(world.clone()),
            world: world.clone(),
            process: process.to_owned(),
            knows_the_dead,
        }
    }
}

impl<E: Executor> Platform for SimulatedPlatform<E> {
    type Store = SimulatedStore;
    type Queue = SimulatedQueue;
    type Executor = E;
    type Clock = SimulatedClock;
    type Buckets = NoBuckets;
    type Nonces = SimulatedNonces;

    fn store(&self) -> &SimulatedStore {
        &self.store
    }
    fn queue(&self) -> &SimulatedQueue {
        &self.queue
    }
    fn executor(&self) -> &E {
        &self.executor
    }
    fn buckets(&self) -> &NoBuckets {
        &NoBuckets
    }
    fn clock(&self) -> &SimulatedClock {
        &self.clock
    }
    fn nonces(&self) -> &SimulatedNonces {
        &self.nonces
    }

    fn state_key(&self) -> String {
        SimulatedPlatform::STATE.to_owned()
    }

    fn queue_for(&self, _: &PipelineName, _: &RunId, _: &StepName, _: &StepSpec) -> String {
        SimulatedPlatform::QUEUE.to_owned()
    }

    fn worker(&self) -> &str {
        &self.process
    }

    fn is_dead(&self, worker: &str) -> bool {
        self.knows_the_dead && self.world.is_dead(worker)
    }
}

/// Random values from the world's luck.
pub struct SimulatedNonces(World);

impl Nonces for SimulatedNonces {
    fn nonce(&self) -> String {
        format!("{:016x}", self.0.state().next())
    }

    fn fraction(&self) -> f64 {
        self.0.state().fraction()
    }
}
