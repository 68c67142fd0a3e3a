//! The definition as people write it, shorthands and all. These types exist for their JSON Schema, which editors use to
//! complete and check `liminal.yml`; their comments are what an editor shows. The decoder reads the tree itself, since
//! no deserializer reports every problem with its place; a test holds the two together.
#![expect(dead_code, reason = "the types are only described, never made")]

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::aws::Arch;
use crate::definition::decode::keys::AWS_KEYS;
use crate::name::EnvironmentName;
use crate::name::FieldName;
use crate::name::ModelName;
use crate::name::PipelineName;
use crate::name::ProjectName;
use crate::run_policy::Overlap;
use crate::step::Compute;
use crate::step::Phase;
use crate::template::Template;
use crate::trigger::RunEnd;
use crate::value::ValueType;

/// A project: what `liminal.yml` says.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Definition {
    /// The project's name. A file that is extended may leave it out.
    project: ProjectName,
    /// Who answers for the project.
    owner: Option<String>,
    /// What the project is, for people.
    description: Option<String>,
    /// A parent definition, by path below the project folder. Maps are merged with it, everything else replaces it.
    extends: Option<String>,
    /// Further files with pipelines, by patterns relative to the project folder: `pipelines/*.yml`.
    include: Option<Vec<String>>,
    /// Named targets. `local` always exists.
    environments: Option<BTreeMap<EnvironmentName, Option<Environment>>>,
    /// Python settings of all steps.
    python: Option<Python>,
    /// Parameters of all pipelines: a default, or a declaration with a type.
    params: Option<BTreeMap<FieldName, Param>>,
    /// Secrets, by reference.
    secrets: Option<BTreeMap<FieldName, SecretReference>>,
    /// Environment variables of all steps.
    env: Option<Env>,
    /// Settings of steps that do not say otherwise.
    defaults: Option<Defaults>,
    /// How many retired releases are kept for rollback. Default: 2.
    #[schemars(range(min = 0, max = 100))]
    keep: Option<u32>,
    /// Rules over what a plan would do.
    policies: Option<BTreeMap<FieldName, Policy>>,
    /// The pipelines.
    pipelines: Option<BTreeMap<PipelineName, Pipeline>>,
}

/// A file that a definition includes.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Included {
    /// The pipelines.
    pipelines: BTreeMap<PipelineName, Pipeline>,
}

/// A named target. What it says is laid over what the project says, apart from where it is.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = place_on_aws_alone)]
struct Environment {
    /// What carries it out. Default: local.
    platform: Option<Platform>,
    /// The branch whose commits `liminal gitops` applies to it. Without it, only people apply to it.
    branch: Option<String>,
    /// Whether every plan must be approved with `liminal approve` before it is carried out. Default: false.
    protected: Option<bool>,
    /// Makes this a template: `pr-*` lets `-e pr-1` make an environment of these settings, which is removed after its time.
    template: Option<String>,
    /// How long environments that are made from a template live after each apply: `48h`. `--ttl` says otherwise.
    ttl: Option<Duration>,
    /// How what is new is tried on a part of the runs, where `apply --canary` does not say it.
    canary: Option<Canary>,
    /// The AWS region: `eu-central-1`. Required on AWS.
    region: Option<Region>,
    /// The AWS account, twelve digits in quotes. When given, nothing is ever changed in another one.
    account: Option<Account>,
    /// The bucket for all objects. Default: `liminal-<account>-<region>`, which `liminal bootstrap` makes.
    bucket: Option<Bucket>,
    /// What functions and tasks run on. Default: x86_64.
    arch: Option<Arch>,
    /// How long CloudWatch Logs keeps logs: 1d, 3d, 5d, 7d, 14d, 30d, 60d, 90d, 120d, 150d, 180d, 365d, and more up to 3653d. Default: 30d.
    log_retention: Option<Duration>,
    /// How Fargate tasks are run.
    fargate: Option<Fargate>,
    /// Who answers for it.
    owner: Option<String>,
    /// Python settings of all steps.
    python: Option<Python>,
    /// Other defaults for parameters, or further parameters.
    params: Option<BTreeMap<FieldName, Param>>,
    /// Secrets, by reference.
    secrets: Option<BTreeMap<FieldName, SecretReference>>,
    /// Environment variables of all steps.
    env: Option<Env>,
    /// Settings of steps that do not say otherwise.
    defaults: Option<Defaults>,
    /// How many retired releases are kept for rollback.
    #[schemars(range(min = 0, max = 100))]
    keep: Option<u32>,
    /// Rules over what a plan would do.
    policies: Option<BTreeMap<FieldName, Policy>>,
    /// Parts of pipelines that are laid over those of the project.
    pipelines: Option<BTreeMap<PipelineName, PipelinePart<StepPart>>>,
}

/// A rule over what a plan would do: CEL over `project`, `environment`, `pipelines`, `steps` and `permissions`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Policy {
    /// The plan is not carried out when this holds.
    deny: Option<String>,
    /// It is said when this holds.
    warn: Option<String>,
    /// What to say.
    message: Option<String>,
}

/// What carries an environment out.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Platform {
    /// This machine.
    Local,
    /// An AWS account and region.
    Aws,
}

/// An environment on AWS needs a region, and one on this machine has none of the keys that say where in AWS it is.
fn place_on_aws_alone(schema: &mut Schema) {
    let aws = json!({"properties": {"platform": {"const": "aws"}}, "required": ["platform"]});
    let none: Map<String, Value> = AWS_KEYS.iter().map(|key| ((*key).to_owned(), Value::Bool(false))).collect();
    schema.insert("if".to_owned(), aws);
    schema.insert("then".to_owned(), json!({"required": ["region"]}));
    schema.insert("else".to_owned(), json!({"properties": none}));
}

/// How what is new is tried on a part of the runs.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Canary {
    /// The part of the runs that `apply --canary` gives to what is new: `10%`.
    #[schemars(regex(pattern = r"^[0-9]{1,3}(\.[0-9]{0,2})?%$"))]
    share: Option<String>,
    /// The part of these that may fail before the canary is aborted by itself. Default: 10%.
    #[schemars(regex(pattern = r"^[0-9]{1,3}(\.[0-9]{0,2})?%$"))]
    tolerated_failures: Option<String>,
}

/// How Fargate tasks are run.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Fargate {
    /// The image of steps that name none. Default: `liminal:python<version>` in the account's ECR.
    image: Option<Image>,
    /// The ECS cluster. Default: `liminal`, which `liminal bootstrap` makes.
    cluster: Option<String>,
    /// The subnets: needed as soon as a step runs on Fargate.
    #[schemars(length(max = 16), inner(regex(pattern = "^subnet-[A-Za-z0-9]+$")))]
    subnets: Option<Vec<String>>,
    /// The security groups. Default: that of the VPC.
    #[schemars(length(max = 5), inner(regex(pattern = "^sg-[A-Za-z0-9]+$")))]
    security_groups: Option<Vec<String>>,
    /// Whether tasks get a public address, which they need in a subnet without NAT or endpoints. Default: false.
    public_ip: Option<bool>,
}

/// Python settings. Each part that is set goes before that of the level above.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Python {
    /// `"3.11"` for any 3.11.x, `">=3.10"` for that or newer; in quotes. Default: whatever `python3` is.
    #[schemars(regex(pattern = r"^(>= *)?[0-9]{1,3}(\.[0-9]{1,3}){1,2}$"))]
    version: Option<String>,
    /// The requirements file, by path below the project folder.
    requirements: Option<String>,
    /// The folder that Python imports from, by path below the project folder. Default: `.`
    root: Option<String>,
    /// Files and folders that go into the package of every `call` and `run` step.
    #[schemars(length(max = 500))]
    code: Option<Vec<String>>,
}

/// Settings of steps that do not say otherwise.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Defaults {
    /// What happens when an attempt fails.
    retries: Option<Retries>,
    /// How long an attempt may take. Default: 15m, the most that a Lambda function can take.
    timeout: Option<Duration>,
    /// What an attempt may use.
    resources: Option<Resources>,
    /// Which AWS service runs attempts. Default: auto, which is Lambda unless the step goes beyond a limit of it.
    compute: Option<Compute>,
    /// Whether results are taken from earlier runs. Default: true.
    cache: Option<Cache>,
    /// Environment variables.
    env: Option<Env>,
}

/// A pipeline, or a part of one.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "PipelineOf{S}")]
struct PipelinePart<S> {
    /// What the pipeline is, for people.
    description: Option<String>,
    /// Who answers for it, where that is not the project's owner.
    owner: Option<String>,
    /// Its own parameters, and other defaults for the project's.
    params: Option<BTreeMap<FieldName, Param>>,
    /// Environment variables of its steps.
    env: Option<Env>,
    /// Python settings of its steps.
    python: Option<Python>,
    /// Settings of its steps that do not say otherwise.
    defaults: Option<Defaults>,
    /// What it is given, where it is a step of another pipeline: a reference to what it takes otherwise, or `file` or `directory`
    /// where it can do nothing without.
    inputs: Option<BTreeMap<FieldName, String>>,
    /// Outputs of its steps that are its own, where it is a step of another pipeline: `STEP.OUTPUT`.
    outputs: Option<BTreeMap<FieldName, String>>,
    /// What starts runs of it.
    #[schemars(length(max = 500))]
    triggers: Option<Vec<Trigger>>,
    /// How long a run may take, its steps under `finally` not counted. One that takes longer is ended as failed.
    deadline: Option<Duration>,
    /// What happens when a trigger fires while as many runs as may be have not ended. Default: allow, or queue where
    /// `max_concurrent_runs` is set.
    overlap: Option<Overlap>,
    /// How many runs may be open at once. Default: any number, or 1 where `overlap` is another than allow.
    #[schemars(range(min = 1, max = 1000))]
    max_concurrent_runs: Option<u32>,
    /// Its steps. Their order follows from their inputs, `after` and what their conditions read.
    steps: Option<BTreeMap<StepKey, S>>,
    /// Steps that run when all others are settled, whatever came of them.
    finally: Option<BTreeMap<StepKey, S>>,
}

/// What starts a run without anybody calling: a time, an object that lands in a bucket, or the end of a run of another pipeline.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = one_cause)]
struct Trigger {
    /// `rate(1 hour)`, or `cron(0 6 * * ? *)` with minutes, hours, day of the month, month, day of the week, year.
    #[schemars(regex(pattern = r"^\s*(rate|cron)\s*\(.*\)\s*$"))]
    schedule: Option<String>,
    /// The time zone of a cron schedule, as in `Europe/Berlin`. Default: UTC.
    #[schemars(regex(pattern = r"^[A-Z][A-Za-z0-9_+-]*(/[A-Z][A-Za-z0-9_+-]*)*$"), length(max = 50))]
    timezone: Option<String>,
    /// An object that is created. Steps get it as `trigger.object`.
    object: Option<TriggerObject>,
    /// A pipeline of which a run has ended.
    finished: Option<PipelineName>,
    /// How that run must have ended. Default: succeeded.
    result: Option<RunEnd>,
    /// The parameters that its runs set. With `finished`, `finished.run` and `finished.result` stand for the run that ended.
    params: Option<BTreeMap<FieldName, Value>>,
}

/// A trigger waits for one thing.
fn one_cause(schema: &mut Schema) {
    schema.insert(
        "oneOf".to_owned(),
        json!([{"required": ["schedule"]}, {"required": ["object"]}, {"required": ["finished"]}]),
    );
}

/// Which objects a trigger waits for.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct TriggerObject {
    /// The bucket. Default: that of the environment.
    bucket: Option<Bucket>,
    /// What its key begins with, as written: not below the folder that liminal keeps for the project.
    #[schemars(regex(pattern = r"^([^/*][^*]*)?$"), length(max = 1024))]
    prefix: Option<String>,
    /// What its key ends with.
    #[schemars(regex(pattern = r"^[^*]*$"), length(max = 1024))]
    suffix: Option<String>,
}

/// A step, or a part of one.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct StepPart {
    /// What part of the path from data to a model in use the step is.
    phase: Option<Phase>,
    /// What the step is, for people.
    description: Option<String>,
    /// A program and its arguments: a list, or a text that is split as a shell would. No shell is used.
    run: Option<Run>,
    /// A Python function: `package.module:function`.
    #[schemars(regex(pattern = r"^[^\s:.]+(\.[^\s:.]+)*:[^\s:.]+$"))]
    call: Option<String>,
    /// One or more expressions over metrics and parameters. One that is false rejects the run.
    gate: Option<Gate>,
    /// Makes an output the next version of a model.
    register: Option<Register>,
    /// Another pipeline, all steps of which become part of this one: `features` has the step `features/clean`.
    pipeline: Option<PipelineName>,
    /// Parameters of that pipeline: values, or `params.NAME` for a parameter of this one.
    params: Option<BTreeMap<FieldName, Value>>,
    /// Extra files and folders of the step's package, by path below the project folder.
    #[schemars(length(max = 500))]
    code: Option<Vec<String>>,
    /// What the step needs: `step.output`, `params.name`, `models.name@alias`, `trigger.object`, `./path`.
    inputs: Option<BTreeMap<FieldName, String>>,
    /// What the step leaves, by path below its output folder. A `/` at the end makes it a directory.
    outputs: Option<BTreeMap<FieldName, OutputPath>>,
    /// A JSON file of numbers that the step leaves. Others know it as `step.metrics`.
    metrics: Option<OutputPath>,
    /// Pictures that the step leaves.
    plots: Option<BTreeMap<FieldName, OutputPath>>,
    /// What the step is done for each of: `STEP.OUTPUT` of a directory, `params.NAME` of a list, a list, or a map with more settings. The step has each in turn as its input `item`.
    map: Option<MapOver>,
    /// Steps that must be settled before, though no data comes from them.
    #[schemars(length(max = 500))]
    after: Option<Vec<StepKey>>,
    /// An expression over metrics and parameters: the step is skipped when it is false.
    when: Option<String>,
    /// What happens when an attempt fails.
    retries: Option<Retries>,
    /// How long an attempt may take. Default: 15m, the most that a Lambda function can take.
    timeout: Option<Duration>,
    /// What an attempt may use.
    resources: Option<Resources>,
    /// Which AWS service runs attempts. Default: auto, which is Lambda unless the step goes beyond a limit of it.
    compute: Option<Compute>,
    /// The container image that attempts run in on AWS, where it makes the step a Fargate task. It has no effect on `local`.
    image: Option<Image>,
    /// Whether results are taken from earlier runs. Default: true.
    cache: Option<Cache>,
    /// Environment variables of the step.
    env: Option<Env>,
    /// Python settings of the step.
    python: Option<Python>,
}

/// What a step is done for each of.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum MapOver {
    /// `STEP.OUTPUT` of a directory, `params.NAME` of a list, or `s3://BUCKET/PREFIX`.
    Reference(String),
    /// The items themselves.
    Items(#[schemars(length(max = 500))] Vec<Value>),
    /// All about it.
    All(MapSettings),
}

/// What a step is done for each of, and how.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct MapSettings {
    /// Where the items come from: `STEP.OUTPUT` of a directory, `params.NAME` of a list, or a list.
    over: Option<MapItems>,
    /// `STEP.OUTPUT` of a file whose rows are the items: a JSON array, JSON lines, or CSV with a header.
    rows: Option<String>,
    /// Objects of a bucket, each of which is an item: `s3://BUCKET/PREFIX`, or a map.
    objects: Option<MapObjects>,
    /// How many items one attempt is given, as its input `items`. Default: 1, as its input `item`.
    #[schemars(range(min = 1, max = 10_000))]
    batch: Option<u32>,
    /// How many items are worked on at once. Default: as many as there are workers.
    #[schemars(range(min = 1, max = 1000))]
    max_concurrency: Option<u32>,
    /// How many items may fail: a count, or a share as in `5%`. Default: 0.
    tolerated_failures: Option<Tolerated>,
}

/// Objects that are items.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum MapObjects {
    /// `s3://BUCKET/PREFIX`.
    Address(String),
    /// What their keys begin and end with.
    Filter(TriggerObject),
}

/// Where items come from.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum MapItems {
    /// `STEP.OUTPUT` of a directory, or `params.NAME` of a list.
    Reference(String),
    /// The items themselves.
    Items(#[schemars(length(max = 500))] Vec<Value>),
}

/// How many items may fail.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Tolerated {
    /// So many.
    Count(#[schemars(range(min = 0, max = 1_000_000))] u32),
    /// A share of all.
    Share(#[schemars(regex(pattern = r"^\s*([0-9]{1,2}|100) *%\s*$"))] String),
}

/// Registers an output as the next version of a model.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Register {
    /// The model.
    model: ModelName,
    /// The output that becomes the model version: `train.model`.
    artifact: String,
    /// Names that move to the new version.
    #[schemars(length(max = 500))]
    aliases: Option<Vec<FieldName>>,
}

/// A program and its arguments.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Run {
    /// Split into arguments as a shell would.
    Line(Template),
    /// One argument each.
    Arguments(#[schemars(length(min = 1, max = 500))] Vec<EnvValue>),
}

/// Expressions that must hold.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Gate {
    /// One expression.
    One(String),
    /// Several.
    All(#[schemars(length(min = 1, max = 500))] Vec<String>),
}

/// How often a failed attempt is tried again.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Retries {
    /// How many further attempts follow the first.
    Max(#[schemars(range(min = 0, max = 100))] u32),
    /// All about them.
    All(RetrySettings),
}

/// All about retries.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct RetrySettings {
    /// How many further attempts follow the first. Default: 0.
    #[schemars(range(min = 0, max = 100))]
    max: Option<u32>,
    /// The pause before the first retry; it doubles with each further one. Default: 1s.
    backoff: Option<Duration>,
    /// How much of each pause is random, from 0 to 1. Default: 0.5.
    #[schemars(range(min = 0.0, max = 1.0))]
    jitter: Option<f64>,
    /// The classes of failure that are retried. Default: user and timeout.
    on: Option<Vec<RetriedClass>>,
}

/// A class of failure that can be retried.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum RetriedClass {
    /// The step's own program failed.
    User,
    /// The attempt took longer than its timeout.
    Timeout,
    /// The platform failed.
    Infrastructure,
    /// The platform asked to slow down.
    Throttled,
}

/// What an attempt may use.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Resources {
    /// Memory of all its processes together.
    memory: Option<Size>,
    /// How many of the run's `--jobs` the step takes. Default: 1.
    #[schemars(range(min = 1, max = 1024))]
    cpu: Option<u32>,
    /// What it may write into its work folder.
    disk: Option<Size>,
}

/// Whether results are taken from earlier runs.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Cache {
    /// Always, or never.
    Switch(bool),
    /// When they are young enough.
    MaxAge(CacheAge),
}

/// When results are young enough.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct CacheAge {
    /// The greatest age.
    max_age: Duration,
}

/// A parameter: its default, or a declaration.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Param {
    /// The default; its type is the parameter's.
    Default(ParamDefault),
    /// A declaration.
    Declared(DeclaredParam),
}

/// A declared parameter.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct DeclaredParam {
    /// The type of its values.
    #[schemars(rename = "type")]
    value_type: ValueType,
    /// The value of a run that sets none. Without it every run must set one.
    default: Option<Value>,
    /// The least number allowed.
    min: Option<f64>,
    /// The greatest number allowed.
    max: Option<f64>,
    /// The only values allowed.
    #[schemars(length(min = 1, max = 500))]
    choices: Option<Vec<Value>>,
    /// What it means, for people.
    description: Option<String>,
}

/// Environment variables.
#[derive(JsonSchema)]
#[schemars(transparent)]
struct Env(BTreeMap<VariableName, EnvValue>);

/// A text with references in it; numbers and booleans are taken as they are written.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum EnvValue {
    /// A text.
    Text(Template),
    /// A whole number.
    Int(i64),
    /// A boolean.
    Bool(bool),
}

/// Gives a type a schema that is written by hand.
macro_rules! by_hand {
    ($($(#[$doc:meta])* $type:ident => $schema:tt)*) => {$(
        $(#[$doc])*
        #[derive(PartialEq, Eq, PartialOrd, Ord)]
        struct $type;

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

by_hand! {
    /// The name of an environment variable.
    VariableName => {
        "type": "string",
        "pattern": "^(?!LIMINAL_)[A-Za-z_][A-Za-z0-9_]*$"
    }
    /// A reference to a secret.
    SecretReference => {
        "type": "string",
        "pattern": "^(env:(?!LIMINAL_)[A-Za-z_][A-Za-z0-9_]*|secretsmanager:(?!arn:)[A-Za-z0-9/_+=.@-]+(#.+)?|ssm:(/[A-Za-z0-9_.-]+)+)$",
        "description": "env:NAME for a variable of this machine; on AWS secretsmanager:NAME, secretsmanager:NAME#KEY or ssm:/PATH/NAME"
    }
    /// The name of a step.
    StepKey => {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_-]{0,39}$"
    }
    /// An AWS region.
    Region => {
        "type": "string",
        "pattern": "^[a-z]+(-[a-z]+){1,3}-[0-9]{1,2}$"
    }
    /// An AWS account.
    Account => {
        "type": "string",
        "pattern": "^[0-9]{12}$"
    }
    /// The name of an S3 bucket.
    Bucket => {
        "type": "string",
        "pattern": r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
    }
    /// A reference to a container image.
    Image => {
        "type": "string",
        "pattern": r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$",
        "maxLength": 255
    }
    /// A span of time.
    Duration => {
        "description": "500ms, 30s, 5m, 2h, 1d, or a number of seconds",
        "anyOf": [
            {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*(ms|s|m|h|d)\s*$"},
            {"type": "number", "minimum": 0}
        ]
    }
    /// An amount of memory or disk space.
    Size => {
        "description": "512MiB, 2GiB, 500MB, 1GB, or a number of MiB",
        "anyOf": [
            {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*(KiB|MiB|GiB|TiB|kB|MB|GB|TB)\s*$"},
            {"type": "number", "exclusiveMinimum": 0}
        ]
    }
    /// A path below the output folder.
    OutputPath => {
        "type": "string",
        "pattern": r"^(?![/~])(?!(.*/)?\.\.(/|$))[^\\]+$",
        "maxLength": 512
    }
    /// A default: any value but a declaration.
    ParamDefault => {
        "anyOf": [
            {"type": ["string", "integer", "number", "boolean", "array"]},
            {"type": "object", "not": {"required": ["type"]}}
        ]
    }
}

/// A whole step: exactly one way to execute.
struct Step;

impl JsonSchema for Step {
    fn schema_name() -> Cow<'static, str> {
        "Step".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = generator.subschema_for::<StepPart>();
        let ways: Vec<_> = super::decode::keys::ACTION_KEYS.iter().map(|key| json!({"required": [key]})).collect();
        schema.insert("oneOf".to_owned(), ways.into());
        schema
    }
}

/// A whole pipeline: one that has steps.
struct Pipeline;

impl JsonSchema for Pipeline {
    fn schema_name() -> Cow<'static, str> {
        "Pipeline".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = generator.subschema_for::<PipelinePart<Step>>();
        schema.insert("required".to_owned(), json!(["steps"]));
        schema
    }
}
