//! The definition as it is written: what `liminal.yml` says after files are merged, before anything is looked up.

use std::collections::BTreeMap;

use crate::delivery::Delivery;
use crate::finding::Spanned;
use crate::map::BATCH_INPUT;
use crate::map::ITEM_INPUT;
use crate::map::ObjectFilter;
use crate::map::Tolerance;
use crate::name::EnvironmentName;
use crate::name::FieldName;
use crate::name::PipelineName;
use crate::name::ProjectName;
use crate::name::StepName;
use crate::platform::PlatformSpec;
use crate::policy::Policy;
use crate::release::ParamSpec;
use crate::release::SecretRef;
use crate::run_policy::Overlap;
use crate::step::CachePolicy;
use crate::step::Compute;
use crate::step::FailureClass;
use crate::step::Phase;
use crate::template::Template;
use crate::trigger::TriggerSource;
use crate::value::Value;

/// A map whose keys remember where they were written.
pub type SpannedMap<K, V> = BTreeMap<K, Entry<V>>;

/// A value in a [`SpannedMap`], with the place of its key.
#[derive(Clone, Debug)]
pub struct Entry<V> {
    /// Where the key was written.
    pub key: crate::finding::Span,
    /// The value.
    pub value: V,
}

/// A whole project definition, with one environment's overrides already laid over it.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The project's name.
    pub project: Spanned<ProjectName>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// What it is, for people.
    pub description: Option<String>,
    /// The environment that was chosen.
    pub environment: EnvironmentName,
    /// The names of all environments.
    pub environments: Vec<EnvironmentName>,
    /// What carries the chosen one out.
    pub platform: PlatformSpec,
    /// How changes come to it.
    pub delivery: Delivery,
    /// How many retired releases are kept for rollback.
    pub keep: usize,
    /// Rules over what a plan would do.
    pub policies: SpannedMap<FieldName, Policy>,
    /// Python settings of all steps.
    pub python: PythonSettings,
    /// Parameters of all pipelines.
    pub params: SpannedMap<FieldName, ParamSpec>,
    /// Secrets, by reference.
    pub secrets: SpannedMap<FieldName, SecretRef>,
    /// Environment variables of all steps.
    pub env: SpannedMap<String, Spanned<Template>>,
    /// Settings of steps that do not say otherwise.
    pub defaults: StepSettings,
    /// The pipelines.
    pub pipelines: SpannedMap<PipelineName, PipelineDefinition>,
}

/// Python settings: each part that is set goes before that of the level above.
#[derive(Clone, Debug, Default)]
pub struct PythonSettings {
    /// `3.11` or `>=3.10`.
    pub version: Option<Spanned<String>>,
    /// The requirements file, by path below the project folder.
    pub requirements: Option<Spanned<String>>,
    /// The folder that Python imports from, by path below the project folder.
    pub root: Option<Spanned<String>>,
    /// Files and folders that go into every package.
    pub code: Option<Vec<Spanned<String>>>,
}

/// Step settings that may stand under `defaults:` as well as in a step.
#[derive(Clone, Debug, Default)]
pub struct StepSettings {
    /// What happens when an attempt fails.
    pub retries: Option<RetriesDefinition>,
    /// How long an attempt may take, in seconds.
    pub timeout_seconds: Option<u64>,
    /// What an attempt may use.
    pub resources: ResourcesDefinition,
    /// Which AWS service carries attempts out.
    pub compute: Option<Spanned<Compute>>,
    /// Whether results are taken from earlier runs.
    pub cache: Option<CachePolicy>,
    /// Environment variables.
    pub env: SpannedMap<String, Spanned<Template>>,
}

/// `retries:` as written.
#[derive(Clone, Debug, Default)]
pub struct RetriesDefinition {
    /// Further attempts.
    pub max: Option<u32>,
    /// The first pause, in seconds.
    pub backoff_seconds: Option<f64>,
    /// The random share of each pause, from 0 to 1.
    pub jitter: Option<f64>,
    /// The classes of failure that are retried.
    pub on: Option<Vec<FailureClass>>,
}

/// `resources:` as written.
#[derive(Clone, Debug, Default)]
pub struct ResourcesDefinition {
    /// Memory, in MiB.
    pub memory_mib: Option<u64>,
    /// Job slots.
    pub cpu: Option<u32>,
    /// Work folder, in MiB.
    pub disk_mib: Option<u64>,
}

/// A pipeline as written.
#[derive(Clone, Debug)]
pub struct PipelineDefinition {
    /// What it is, for people.
    pub description: Option<String>,
    /// Who answers for it, where that is not the project's owner.
    pub owner: Option<String>,
    /// Its own parameters, and other defaults for the project's.
    pub params: SpannedMap<FieldName, ParamSpec>,
    /// Environment variables of its steps.
    pub env: SpannedMap<String, Spanned<Template>>,
    /// Python settings of its steps.
    pub python: PythonSettings,
    /// Settings of its steps that do not say otherwise.
    pub defaults: StepSettings,
    /// What it is given, where it is a step of another: a reference to what it takes otherwise, or `file` or `directory`.
    pub inputs: SpannedMap<FieldName, Spanned<String>>,
    /// References to outputs of its steps that others know as its own, where it is a step of another.
    pub outputs: SpannedMap<FieldName, Spanned<String>>,
    /// What starts runs of it.
    pub triggers: Vec<TriggerDefinition>,
    /// How long a run may take, in seconds.
    pub deadline_seconds: Option<u64>,
    /// What happens when a run is to start while as many as may be are open.
    pub overlap: Overlap,
    /// How many runs may be open at once.
    pub max_concurrent_runs: Option<u32>,
    /// Its steps.
    pub steps: SpannedMap<StepName, StepDefinition>,
    /// Its steps under `finally:`.
    pub finally: SpannedMap<StepName, StepDefinition>,
}

/// A trigger as written.
#[derive(Clone, Debug)]
pub struct TriggerDefinition {
    /// What it waits for, and the place of the schedule, or of the object's prefix.
    pub on: Spanned<TriggerSource>,
    /// The parameters that its runs set.
    pub params: SpannedMap<FieldName, Spanned<Value>>,
}

/// A step as written.
#[derive(Clone, Debug)]
pub struct StepDefinition {
    /// What part of the path it is.
    pub phase: Option<Phase>,
    /// What it is, for people.
    pub description: Option<String>,
    /// What it does.
    pub action: ActionDefinition,
    /// The parameters of the pipeline that it is: values, or references to parameters.
    pub params: SpannedMap<FieldName, Spanned<Value>>,
    /// Extra files and folders of its package.
    pub code: Vec<Spanned<String>>,
    /// References to what it needs, as written: `fetch.raw`, `params.seed`, `models.churn@champion`, `./data/rates.csv`.
    pub inputs: SpannedMap<FieldName, Spanned<String>>,
    /// Paths of what it leaves.
    pub outputs: SpannedMap<FieldName, Spanned<String>>,
    /// The path of its metrics file.
    pub metrics: Option<Spanned<String>>,
    /// Paths of its plots.
    pub plots: SpannedMap<FieldName, Spanned<String>>,
    /// What it is done for each of, and the place of that key.
    pub map: Option<Spanned<MapDefinition>>,
    /// Steps that must be settled before.
    pub after: Vec<Spanned<StepName>>,
    /// The condition under which it runs.
    pub when: Option<Spanned<String>>,
    /// Settings that `defaults:` may also give.
    pub settings: StepSettings,
    /// The container image that it runs in.
    pub image: Option<Spanned<String>>,
    /// Python settings of this step.
    pub python: PythonSettings,
}

/// What a step does, as written.
#[derive(Clone, Debug)]
pub enum ActionDefinition {
    /// `run:`, already split into arguments.
    Run(Spanned<Vec<Spanned<Template>>>),
    /// `call:`, as `module:function`.
    Call(Spanned<CallDefinition>),
    /// `gate:`.
    Gate(Vec<Spanned<String>>),
    /// `register:`.
    Register(Box<RegisterDefinition>),
    /// `pipeline:`.
    Pipeline(Spanned<PipelineName>),
}

/// `map:` as written.
#[derive(Clone, Debug)]
pub struct MapDefinition {
    /// Where items come from.
    pub over: MapOver,
    /// How many items one attempt is given.
    pub batch: Option<u32>,
    /// How many items are worked on at once.
    pub max_concurrency: Option<u32>,
    /// How many items may fail.
    pub tolerated: Tolerance,
}

impl MapDefinition {
    /// The name of the input that holds what one attempt is given.
    pub fn input(&self) -> &'static str {
        if self.batch.is_some_and(|batch| batch > 1) { BATCH_INPUT } else { ITEM_INPUT }
    }
}

/// Where the items of a map come from, as written.
#[derive(Clone, Debug)]
pub enum MapOver {
    /// A list.
    Values(Spanned<Vec<Value>>),
    /// A reference to a list or a directory.
    Reference(Spanned<String>),
    /// A reference to a file with rows.
    Rows(Spanned<String>),
    /// Objects of a bucket.
    Objects(Spanned<ObjectFilter>),
}

/// `call:` taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallDefinition {
    /// The module, as in `import a.b`.
    pub module: String,
    /// The function in it.
    pub function: String,
}

/// `register:` as written.
#[derive(Clone, Debug)]
pub struct RegisterDefinition {
    /// The model.
    pub model: Spanned<crate::name::ModelName>,
    /// The output that becomes the model version: `evaluate.model`.
    pub artifact: Spanned<String>,
    /// Names that move to the new version.
    pub aliases: Vec<Spanned<FieldName>>,
}
