//! The cache key: all that can change a step's outputs, and nothing else.
//!
//! Memory, retries, timeouts, `when:`, `after:` and the version of liminal are no part of it. The parts stay apart, so that
//! `liminal why` can name the first one that differs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::digest::Digest;
use crate::map::MapSource;
use crate::name::FieldName;
use crate::name::StepName;
use crate::release::SecretRef;
use crate::run::Scheduled;
use crate::step::Action;
use crate::step::InputSource;
use crate::step::OutputSpec;
use crate::step::StepSpec;
use crate::template::Reference;
use crate::template::Template;
use crate::value::Value;

/// Changes when equal parts would come to mean different results.
pub const CACHE_KEY_SCHEMA: u32 = 1;

/// The parts of a cache key, in the order in which they are compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CacheKeyParts {
    /// See [`CACHE_KEY_SCHEMA`].
    pub schema: u32,
    /// What the step does.
    pub action: Action,
    /// Its code and dependencies.
    pub package: Option<Digest>,
    /// Its environment variables, as templates.
    pub env: BTreeMap<String, Template>,
    /// What it must leave.
    pub outputs: BTreeMap<FieldName, OutputSpec>,
    /// The parameters it uses.
    pub params: BTreeMap<FieldName, Value>,
    /// Where its inputs of other kinds come from: project files and parameters.
    pub bindings: BTreeMap<FieldName, InputSource>,
    /// The content of its inputs.
    pub inputs: BTreeMap<FieldName, Digest>,
    /// The metrics that a gate reads, by step.
    pub metrics: BTreeMap<StepName, Digest>,
    /// What it is done for each of, and how many at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<MapKey>,
    /// The secrets it uses, by reference: a new value under the same reference is no new key.
    pub secrets: BTreeMap<FieldName, SecretRef>,
    /// What it uses of the time that the run is for: `scheduled_time`, `partition`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub run: BTreeMap<String, String>,
}

/// The part of `map:` that can change what a step leaves: not how many items run at once, nor how many may fail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MapKey {
    /// Where the items come from.
    pub over: MapSource,
    /// How many one attempt is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
}

/// What a key is made of besides the step itself.
#[derive(Clone, Debug, Default)]
pub struct KeyContext<'a> {
    /// The run's parameters.
    pub params: BTreeMap<FieldName, Value>,
    /// Content of the inputs that are outputs of other steps, or models.
    pub inputs: BTreeMap<FieldName, Digest>,
    /// Metrics files of the steps whose metrics are read.
    pub metrics: BTreeMap<StepName, Digest>,
    /// The release's secrets.
    pub secrets: Option<&'a BTreeMap<FieldName, SecretRef>>,
    /// The time that the run is for; none where that is not known yet.
    pub scheduled: Option<Scheduled>,
}

impl CacheKeyParts {
    /// Takes from a step and its context what can change its outputs.
    pub fn new(step: &StepSpec, context: KeyContext<'_>) -> Self {
        let used = step.params_used();
        let params = context.params.into_iter().filter(|(name, _)| used.contains(name)).collect();
        let bindings = step.inputs.iter().filter(|(_, source)| match source {
            InputSource::Param { .. } | InputSource::File { .. } => true,
            InputSource::Output { .. } | InputSource::Model { .. } | InputSource::Trigger => false,
        });
        let secrets = step.templates().flat_map(Template::references).filter_map(|reference| match reference {
            Reference::Secret(name) => Some((name.clone(), context.secrets?.get(name)?.clone())),
            Reference::Input(_)
            | Reference::Output(_)
            | Reference::Param(_)
            | Reference::RunId
            | Reference::ScheduledTime
            | Reference::Partition
            | Reference::StepName => None,
        });
        let scheduled = context.scheduled;
        let run = step.templates().flat_map(Template::references).filter_map(|reference| match reference {
            Reference::ScheduledTime => Some(("scheduled_time".to_owned(), scheduled.as_ref()?.time.to_string())),
            Reference::Partition => Some(("partition".to_owned(), scheduled.as_ref()?.partition.clone())),
            Reference::Input(_)
            | Reference::Output(_)
            | Reference::Param(_)
            | Reference::Secret(_)
            | Reference::RunId
            | Reference::StepName => None,
        });
        Self {
            schema: CACHE_KEY_SCHEMA,
            action: step.action.clone(),
            package: step.package,
            env: step.env.clone(),
            outputs: step.outputs.clone(),
            params,
            bindings: bindings.map(|(name, source)| (name.clone(), source.clone())).collect(),
            inputs: context.inputs,
            metrics: context.metrics,
            map: step.map.as_ref().map(|map| MapKey { over: map.over.clone(), batch: map.batch }),
            secrets: secrets.collect(),
            run: run.collect(),
        }
    }

    /// The key.
    pub fn key(&self) -> Digest {
        Digest::of_document(self)
    }
}
