//! The `aws` platform, put together.

use std::sync::Arc;

use liminal_schemas::aws::names;
use liminal_schemas::keys;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::step::StepSpec;

use super::buckets::S3Buckets;
use super::clock::StoreClock;
use super::environment::Served;
use super::queue::SqsQueue;
use super::store::S3Store;
use crate::clock::SystemNonces;
use crate::executor::Executor;
use crate::ports::Nonces as _;
use crate::ports::Platform;

/// What a runner works with on AWS.
#[derive(Debug)]
pub struct AwsPlatform<E> {
    project: ProjectName,
    environment: EnvironmentName,
    store: S3Store,
    queue: Arc<SqsQueue>,
    executor: E,
    buckets: S3Buckets,
    worker: String,
}

impl<E> AwsPlatform<E> {
    /// The platform of an environment, for one worker. Its name is drawn now: a process that was frozen and copied must not
    /// share it.
    pub fn new(served: &Served, store: S3Store, queue: Arc<SqsQueue>, executor: E) -> Self {
        let worker = format!("aws-{}", SystemNonces.nonce());
        let (project, environment) = (served.project.clone(), served.environment.clone());
        let buckets = store.buckets();
        Self { project, environment, store, queue, executor, buckets, worker }
    }
}

impl<E: Executor> Platform for AwsPlatform<E> {
    type Store = S3Store;
    type Queue = SqsQueue;
    type Executor = E;
    type Clock = StoreClock;
    type Nonces = SystemNonces;
    type Buckets = S3Buckets;

    fn store(&self) -> &S3Store {
        &self.store
    }
    fn queue(&self) -> &SqsQueue {
        &self.queue
    }
    fn executor(&self) -> &E {
        &self.executor
    }
    fn clock(&self) -> &StoreClock {
        self.store.clock()
    }
    fn nonces(&self) -> &SystemNonces {
        &SystemNonces
    }
    fn buckets(&self) -> &S3Buckets {
        &self.buckets
    }

    fn state_key(&self) -> String {
        keys::state(&self.environment)
    }

    fn queue_for(&self, pipeline: &PipelineName, _: &RunId, step: &StepName, spec: &StepSpec) -> String {
        names::step_queue(&self.project, &self.environment, pipeline, step, &spec.digest())
    }

    fn worker(&self) -> &str {
        &self.worker
    }

    /// Nobody knows of other functions and tasks whether they still run, so their leases are waited for.
    fn is_dead(&self, _: &str) -> bool {
        false
    }
}
