//! A step as a release lists it: fully resolved, nothing left to look up in the definition.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::digest::Digest;
use crate::map::MapSource;
use crate::map::MapSpec;
use crate::name::FieldName;
use crate::name::ModelName;
use crate::name::StepName;
use crate::template::Template;
use crate::value::Value;

/// The output name under which a step's `metrics:` file is known to others: `inputs: {scores: train.metrics}`.
pub const METRICS_OUTPUT: &str = "metrics";

/// The input name under which a `register:` step holds the artifact that becomes the model version.
pub const REGISTERED_INPUT: &str = "artifact";

/// A resolved step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepSpec {
    /// The label that says what part of the path this step is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// What the step does.
    pub action: Action,
    /// Where each input comes from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<FieldName, InputSource>,
    /// The files and directories that the step must leave, metrics and plots among them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<FieldName, OutputSpec>,
    /// Environment variables of the step.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Template>,
    /// Steps that must be settled before, though no data comes from them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub after: BTreeSet<StepName>,
    /// The condition (CEL) under which the step runs at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// What the step is done for each of, if it is done more than once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<MapSpec>,
    /// Steps whose metrics the condition or the gate reads: parents like those of `inputs`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub reads_metrics: BTreeSet<StepName>,
    /// Parameters that the condition or the gate reads.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub reads_params: BTreeSet<FieldName>,
    /// Whether the step stands under `finally:`: it starts when all other steps are settled, whatever came of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub finally: bool,
    /// The package (code and Python environment) that the step runs with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<Digest>,
    /// What happens when an attempt fails.
    pub retries: Retries,
    /// How long one attempt may take, in seconds.
    pub timeout_seconds: u64,
    /// What one attempt may use.
    pub resources: Resources,
    /// Whether results are taken from earlier runs.
    pub cache: CachePolicy,
    /// Which AWS service carries attempts out.
    #[serde(default, skip_serializing_if = "Compute::is_auto")]
    pub compute: Compute,
    /// The container image that attempts run in, where images are used at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What names in it stand for, where that is not what they say: in steps of sub-pipelines, and in those that read the
    /// metrics of one.
    #[serde(default, skip_serializing_if = "Names::is_empty")]
    pub names: Names,
    /// The conditions of the sub-pipelines that it is part of, the outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub within: Vec<Condition>,
}

/// What names in a step stand for, where that is not the parameter of the run or the step of that name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Names {
    /// Parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<FieldName, ParamBinding>,
    /// Steps whose metrics its expressions read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<StepName, StepName>,
}

impl Names {
    /// Whether all names stand for what they say.
    pub fn is_empty(&self) -> bool {
        self.params.is_empty() && self.metrics.is_empty()
    }

    /// The parameters of a run as the step knows them.
    pub fn params<'a>(&self, run: &'a BTreeMap<FieldName, Value>) -> Cow<'a, BTreeMap<FieldName, Value>> {
        if self.params.is_empty() {
            return Cow::Borrowed(run);
        }
        let mut params = run.clone();
        for (name, binding) in &self.params {
            match binding {
                ParamBinding::Value(value) => drop(params.insert(name.clone(), value.clone())),
                ParamBinding::Param(outer) => match run.get(outer) {
                    Some(value) => drop(params.insert(name.clone(), value.clone())),
                    None => drop(params.remove(name)),
                },
            }
        }
        Cow::Owned(params)
    }

    /// The parameter of the run that a name stands for, if it stands for one.
    pub fn run_param<'a>(&'a self, name: &'a FieldName) -> Option<&'a FieldName> {
        match self.params.get(name) {
            None => Some(name),
            Some(ParamBinding::Param(outer)) => Some(outer),
            Some(ParamBinding::Value(_)) => None,
        }
    }

    /// The step that a name in an expression stands for.
    pub fn step<'a>(&'a self, name: &'a StepName) -> &'a StepName {
        self.metrics.get(name).unwrap_or(name)
    }
}

/// What a parameter of a sub-pipeline stands for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ParamBinding {
    /// A value that the definition gives.
    Value(Value),
    /// A parameter of the run.
    Param(FieldName),
}

/// The condition of a sub-pipeline, as each of its steps has it: all are skipped when it is false.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Condition {
    /// The step that the sub-pipeline is.
    pub step: StepName,
    /// The expression (CEL).
    pub when: String,
    /// What names in it stand for.
    #[serde(default, skip_serializing_if = "Names::is_empty")]
    pub names: Names,
    /// Steps whose metrics it reads.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub reads_metrics: BTreeSet<StepName>,
    /// Parameters that it reads.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub reads_params: BTreeSet<FieldName>,
}

/// Which AWS service carries the attempts of a step out. No part of a cache key: it changes no result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compute {
    /// Lambda, unless the step goes beyond one of its limits.
    #[default]
    Auto,
    /// Lambda functions.
    Lambda,
    /// Fargate tasks.
    Fargate,
}

impl Compute {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Lambda, Self::Fargate];

    /// The word that definitions use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Lambda => "lambda",
            Self::Fargate => "fargate",
        }
    }

    /// Whether nothing was chosen.
    pub const fn is_auto(&self) -> bool {
        matches!(self, Self::Auto)
    }
}

/// One of the nine parts of the path from data to a model in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Phase {
    Fetch,
    Clean,
    Prepare,
    Train,
    Evaluate,
    Validate,
    Deploy,
    Inference,
    Consume,
}

impl Phase {
    /// All phases, in the order of the path.
    pub const ALL: [Self; 9] = [
        Self::Fetch,
        Self::Clean,
        Self::Prepare,
        Self::Train,
        Self::Evaluate,
        Self::Validate,
        Self::Deploy,
        Self::Inference,
        Self::Consume,
    ];

    /// The phase as it is written in a definition.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Clean => "clean",
            Self::Prepare => "prepare",
            Self::Train => "train",
            Self::Evaluate => "evaluate",
            Self::Validate => "validate",
            Self::Deploy => "deploy",
            Self::Inference => "inference",
            Self::Consume => "consume",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a step does: exactly one way to execute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Starts a program. Each template is one argument; no shell ever sees them.
    Run {
        /// The program and its arguments.
        argv: Vec<Template>,
    },
    /// Calls a Python function by name.
    Call {
        /// The module, as in `import a.b`.
        module: String,
        /// The function in it.
        function: String,
    },
    /// Checks boolean expressions (CEL) over metrics and parameters; one that is false rejects the run.
    Gate {
        /// The expressions, all of which must hold.
        checks: Vec<String>,
    },
    /// Registers the input named [`REGISTERED_INPUT`] as the next version of a model.
    Register {
        /// The model.
        model: ModelName,
        /// Names that move to the new version.
        aliases: BTreeSet<FieldName>,
    },
}

impl Action {
    /// The key under which the action is written in a definition.
    pub const fn keyword(&self) -> &'static str {
        match self {
            Self::Run { .. } => "run",
            Self::Call { .. } => "call",
            Self::Gate { .. } => "gate",
            Self::Register { .. } => "register",
        }
    }

    /// Whether the runner settles the step by itself, without starting a process.
    pub const fn is_inline(&self) -> bool {
        match self {
            Self::Run { .. } | Self::Call { .. } => false,
            Self::Gate { .. } | Self::Register { .. } => true,
        }
    }
}

/// Where an input comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InputSource {
    /// An output of another step: `fetch.raw`.
    Output {
        /// The step that makes it.
        step: StepName,
        /// Its output.
        output: FieldName,
    },
    /// A parameter: `params.seed`. The function gets the typed value.
    Param {
        /// The parameter.
        name: FieldName,
    },
    /// A model version: `models.churn`, `models.churn@3`, `models.churn@champion`. Pinned when the run starts.
    Model {
        /// The model.
        name: ModelName,
        /// Which version of it.
        version: ModelSelector,
    },
    /// The object that started the run: `trigger.object`. Brought in as an artifact when the run starts.
    Trigger,
    /// A file or directory of the project: `./data/rates.csv`. It travels in the step's package, under this path.
    File {
        /// The path below the project folder.
        path: String,
        /// Digest over the blob ids of what is there.
        content: Digest,
    },
}

impl fmt::Display for InputSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output { step, output } => write!(f, "{step}.{output}"),
            Self::Param { name } => write!(f, "params.{name}"),
            Self::Model { name, version } => match version {
                ModelSelector::Latest => write!(f, "models.{name}"),
                ModelSelector::Version(version) => write!(f, "models.{name}@{version}"),
                ModelSelector::Alias(alias) => write!(f, "models.{name}@{alias}"),
            },
            Self::Trigger => f.write_str("trigger.object"),
            Self::File { path, .. } => write!(f, "./{path}"),
        }
    }
}

/// Which version of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModelSelector {
    /// The newest.
    Latest,
    /// The one with this number.
    Version(u64),
    /// The one that this alias names.
    Alias(FieldName),
}

/// A declared output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutputSpec {
    /// The path below the attempt's output folder: relative, without `..`.
    pub path: String,
    /// A file, or a directory with all that is in it.
    pub kind: ArtifactKind,
    /// What it means.
    #[serde(default, skip_serializing_if = "OutputRole::is_data")]
    pub role: OutputRole,
}

/// A file or a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ArtifactKind {
    /// A single file.
    File,
    /// A directory, addressed by the digest of its listing.
    Directory,
}

/// What an output means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OutputRole {
    /// Data for other steps or people.
    #[default]
    Data,
    /// A flat JSON object of numbers, compared between runs and read by gates.
    Metrics,
    /// A picture for people.
    Plot,
}

impl OutputRole {
    fn is_data(&self) -> bool {
        matches!(self, Self::Data)
    }
}

/// What happens when an attempt fails.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Retries {
    /// How many further attempts follow the first; 0 for none.
    pub max: u32,
    /// The pause before the first retry, in seconds; it doubles with each further one.
    pub backoff_seconds: f64,
    /// How much of each pause is random, from 0 (none of it) to 1 (all of it).
    pub jitter: f64,
    /// The classes of failure that are retried. Infrastructure and throttling always are, within a budget of their own.
    pub on: BTreeSet<FailureClass>,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            max: 0,
            backoff_seconds: 1.0,
            jitter: 0.5,
            on: BTreeSet::from([FailureClass::User, FailureClass::Timeout]),
        }
    }
}

/// Whose fault a failure is, which decides whether and how it is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FailureClass {
    /// The step's own program failed: exit status, signal, exception, missing output.
    User,
    /// The attempt took longer than its timeout.
    Timeout,
    /// The platform failed: the machine died, the disk was full, an object could not be read.
    Infrastructure,
    /// The platform asked to slow down.
    Throttled,
    /// The message or a record makes no sense; trying again can not help.
    Poison,
    /// Somebody cancelled the run.
    Cancelled,
}

impl FailureClass {
    /// The class as it is written in a definition.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Timeout => "timeout",
            Self::Infrastructure => "infrastructure",
            Self::Throttled => "throttled",
            Self::Poison => "poison",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What one attempt may use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resources {
    /// Memory of all its processes together, in MiB; none for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// How many of the run's `--jobs` the step takes while it runs.
    pub cpu: u32,
    /// What it may write into its work folder, in MiB; none for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_mib: Option<u64>,
}

impl Default for Resources {
    fn default() -> Self {
        Self { memory_mib: None, cpu: 1, disk_mib: None }
    }
}

/// Whether results are taken from earlier runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CachePolicy {
    /// Whenever the cache key is the same.
    #[default]
    On,
    /// Never.
    Off,
    /// When the key is the same and the result is no older than so many seconds.
    MaxAge(u64),
}

/// The timeout of a step that names none, in seconds: what an AWS Lambda function can take, so that a step moves to the
/// cloud as it is.
pub const DEFAULT_TIMEOUT_SECONDS: u64 = 900;

impl StepSpec {
    /// The step's identity in a release: all of it.
    pub fn digest(&self) -> Digest {
        Digest::of_document(self)
    }

    /// The step as it is done for one item: what decided on the step as a whole is left out. The map is not even copied, since
    /// it may hold many values.
    #[must_use]
    pub fn of_item(&self) -> Self {
        Self {
            phase: self.phase,
            action: self.action.clone(),
            inputs: self.inputs.clone(),
            outputs: self.outputs.clone(),
            env: self.env.clone(),
            after: BTreeSet::new(),
            when: None,
            map: None,
            reads_metrics: self.reads_metrics.clone(),
            reads_params: self.reads_params.clone(),
            finally: self.finally,
            package: self.package,
            retries: self.retries.clone(),
            timeout_seconds: self.timeout_seconds,
            resources: self.resources.clone(),
            cache: self.cache,
            compute: self.compute,
            image: self.image.clone(),
            names: self.names.clone(),
            within: Vec::new(),
        }
    }

    /// The steps that must be settled before this one: makers of its inputs, those whose metrics it reads, and `after:`.
    pub fn parents(&self) -> BTreeSet<&StepName> {
        let mut parents = self.data_parents();
        parents.extend(&self.after);
        parents
    }

    /// The steps without whose results this one can not run.
    pub fn data_parents(&self) -> BTreeSet<&StepName> {
        let made = self.inputs.values().filter_map(|source| match source {
            InputSource::Output { step, .. } => Some(step),
            InputSource::Param { .. } | InputSource::Model { .. } | InputSource::Trigger | InputSource::File { .. } => {
                None
            }
        });
        let read = self.within.iter().flat_map(|condition| &condition.reads_metrics).chain(&self.reads_metrics);
        made.chain(read).chain(self.map.as_ref().and_then(MapSpec::maker)).collect()
    }

    /// The parameters of the run that can change what the step does, or whether it does it.
    pub fn run_params_used(&self) -> BTreeSet<&FieldName> {
        let own = self.params_used().into_iter().filter_map(|name| self.names.run_param(name));
        let conditions = self
            .within
            .iter()
            .flat_map(|condition| condition.reads_params.iter().filter_map(|name| condition.names.run_param(name)));
        own.chain(conditions).collect()
    }

    /// The parameters that can change what the step does, as the step names them.
    pub fn params_used(&self) -> BTreeSet<&FieldName> {
        let mut used: BTreeSet<&FieldName> = self.reads_params.iter().collect();
        used.extend(self.inputs.values().filter_map(|source| match source {
            InputSource::Param { name } => Some(name),
            InputSource::Output { .. }
            | InputSource::Model { .. }
            | InputSource::Trigger
            | InputSource::File { .. } => None,
        }));
        used.extend(self.templates().flat_map(Template::params));
        if let Some(MapSpec { over: MapSource::Param { name }, .. }) = &self.map {
            used.insert(name);
        }
        used
    }

    /// All templates of the step: arguments and environment.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        let argv: &[Template] = match &self.action {
            Action::Run { argv } => argv,
            Action::Call { .. } | Action::Gate { .. } | Action::Register { .. } => &[],
        };
        argv.iter().chain(self.env.values())
    }

    /// The declared metrics file, if there is one.
    pub fn metrics_output(&self) -> Option<&OutputSpec> {
        self.outputs.values().find(|output| output.role == OutputRole::Metrics)
    }
}
