//! The executor port: carries out one attempt of one step. The runner decides, the executor does.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use liminal_schemas::digest::Digest;
use liminal_schemas::map::ListedObject;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::name::RunId;
use liminal_schemas::release::SecretRef;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::Failure;
use liminal_schemas::run::RunStatus;
use liminal_schemas::run::Scheduled;
use liminal_schemas::step::StepSpec;
use liminal_schemas::unit::Unit;
use liminal_schemas::value::Value;
use tokio::sync::watch;

/// All that an attempt needs to know.
#[derive(Clone, Debug)]
pub struct AttemptJob {
    /// The project.
    pub project: ProjectName,
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The run.
    pub run: RunId,
    /// The step, or the item.
    pub unit: Unit,
    /// What the item is, for people, where there is one.
    pub item: Option<String>,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// The resolved step: its action is `run:` or `call:`.
    pub spec: Arc<StepSpec>,
    /// The package that holds its code, if it has one.
    pub package: Option<Digest>,
    /// The run's parameters.
    pub params: Arc<BTreeMap<FieldName, Value>>,
    /// Content of the inputs that are outputs of other steps, or models.
    pub inputs: BTreeMap<FieldName, Artifact>,
    /// Inputs that are objects of buckets, and are brought from there.
    pub objects: BTreeMap<FieldName, GivenObjects>,
    /// Where the release's secrets are found.
    pub secrets: Arc<BTreeMap<FieldName, SecretRef>>,
    /// How the other steps came out: for steps under `finally:` alone.
    pub run_status: Option<RunStatus>,
    /// The time that the run is for.
    pub scheduled: Scheduled,
    /// How long the attempt may take.
    pub timeout: Duration,
    /// Whether the attempt is to stop.
    pub stop: watch::Receiver<Stop>,
}

/// Objects of buckets that an attempt is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GivenObjects {
    /// One, as a file.
    One(ListedObject),
    /// Several, as the files of a directory, by their names there.
    Several(BTreeMap<String, ListedObject>),
}

impl GivenObjects {
    /// What they are known by, without reading them.
    pub fn content(&self) -> Digest {
        match self {
            Self::One(object) => object.content(),
            Self::Several(objects) => {
                let each: BTreeMap<&String, Digest> =
                    objects.iter().map(|(name, object)| (name, object.content())).collect();
                Digest::of_document(&each)
            }
        }
    }
}

/// Whether, and how, an attempt is to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stop {
    /// It goes on.
    #[default]
    No,
    /// It is asked to end (SIGTERM), and killed when it has not after a grace period.
    Gracefully,
    /// It is killed at once.
    Now,
}

/// How an attempt came out.
#[derive(Clone, Debug, PartialEq)]
pub enum AttemptOutcome {
    /// It left all that it declared.
    Succeeded {
        /// What it left.
        outputs: BTreeMap<FieldName, Artifact>,
        /// The numbers in its metrics file; empty where it declares none.
        metrics: BTreeMap<String, f64>,
    },
    /// It failed.
    Failed(Failure),
    /// It was stopped from outside before it ended, which says nothing about the step.
    Stopped,
    /// Something else carries it out from here on and will write its end down: a Fargate task.
    Handed,
}

/// Carries out attempts.
pub trait Executor: Send + Sync + 'static {
    /// Carries out one attempt, to its end. Dropping the future kills what it started.
    fn execute(&self, job: AttemptJob) -> impl Future<Output = AttemptOutcome> + Send;

    /// How long it may take from the opening of an attempt until the step itself begins, where that is more than a moment:
    /// others leave the attempt alone for that much longer.
    fn start_up(&self) -> Duration {
        Duration::ZERO
    }

    /// Hears that a run has ended, whose attempts all went by this executor.
    fn run_ended(&self, _: &RunId) {}
}
