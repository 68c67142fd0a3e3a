//! The keys that each kind of map may have: for the decoder, its hints and the JSON Schema.

/// A kind of map in a definition.
#[derive(Debug)]
pub(crate) struct Shape {
    /// What it is called in messages.
    pub(crate) what: &'static str,
    /// Its keys, in the order in which they are shown.
    pub(crate) keys: &'static [&'static str],
}

/// The keys of which a step has exactly one.
pub(crate) const ACTION_KEYS: &[&str] = &["run", "call", "gate", "register", "pipeline"];

/// The keys of a parameter in its long form.
pub(crate) const PARAM_KEYS: &[&str] = &["type", "default", "min", "max", "choices", "description"];

/// Keys of a step that mean nothing to a gate or a registration.
pub(crate) const PROCESS_KEYS: &[&str] =
    &["code", "outputs", "metrics", "plots", "map", "resources", "compute", "image", "env", "python"];

/// Keys of a step that mean nothing to one that is a pipeline: its steps have them.
pub(crate) const KEYS_OF_SINGLE_STEPS: &[&str] = &[
    "phase",
    "code",
    "outputs",
    "metrics",
    "plots",
    "map",
    "retries",
    "timeout",
    "resources",
    "compute",
    "image",
    "cache",
    "env",
    "python",
];

/// Keys of an environment that say where in AWS it is. They mean nothing to one on this machine.
pub(crate) const AWS_KEYS: &[&str] = &["region", "account", "bucket", "arch", "log_retention", "fargate"];

pub(crate) const PROJECT: Shape = Shape {
    what: "a project",
    keys: &[
        "project",
        "owner",
        "description",
        "extends",
        "include",
        "environments",
        "python",
        "params",
        "secrets",
        "env",
        "defaults",
        "keep",
        "policies",
        "pipelines",
    ],
};

pub(crate) const INCLUDED: Shape = Shape { what: "an included file", keys: &["pipelines"] };

pub(crate) const ENVIRONMENT: Shape = Shape {
    what: "an environment",
    keys: &[
        "platform",
        "branch",
        "protected",
        "template",
        "ttl",
        "canary",
        "region",
        "account",
        "bucket",
        "arch",
        "log_retention",
        "fargate",
        "owner",
        "python",
        "params",
        "secrets",
        "env",
        "defaults",
        "keep",
        "policies",
        "pipelines",
    ],
};

pub(crate) const CANARY: Shape = Shape { what: "the canary settings", keys: &["share", "tolerated_failures"] };

pub(crate) const POLICY: Shape = Shape { what: "a policy", keys: &["deny", "warn", "message"] };

pub(crate) const FARGATE: Shape =
    Shape { what: "the fargate settings", keys: &["image", "cluster", "subnets", "security_groups", "public_ip"] };

pub(crate) const PYTHON: Shape =
    Shape { what: "the python settings", keys: &["version", "requirements", "root", "code"] };

pub(crate) const PARAM: Shape = Shape { what: "a parameter", keys: PARAM_KEYS };

pub(crate) const DEFAULTS: Shape =
    Shape { what: "the step defaults", keys: &["retries", "timeout", "resources", "compute", "cache", "env"] };

pub(crate) const PIPELINE: Shape = Shape {
    what: "a pipeline",
    keys: &[
        "description",
        "owner",
        "params",
        "env",
        "python",
        "defaults",
        "inputs",
        "outputs",
        "triggers",
        "deadline",
        "overlap",
        "max_concurrent_runs",
        "steps",
        "finally",
    ],
};

pub(crate) const TRIGGER: Shape =
    Shape { what: "a trigger", keys: &["schedule", "timezone", "object", "finished", "result", "params"] };

pub(crate) const OBJECT: Shape = Shape { what: "the object of a trigger", keys: &["bucket", "prefix", "suffix"] };

pub(crate) const STEP: Shape = Shape {
    what: "a step",
    keys: &[
        "phase",
        "description",
        "run",
        "call",
        "gate",
        "register",
        "pipeline",
        "params",
        "code",
        "inputs",
        "outputs",
        "metrics",
        "plots",
        "map",
        "after",
        "when",
        "retries",
        "timeout",
        "resources",
        "compute",
        "image",
        "cache",
        "env",
        "python",
    ],
};

pub(crate) const REGISTER: Shape = Shape { what: "a registration", keys: &["model", "artifact", "aliases"] };

pub(crate) const MAP: Shape =
    Shape { what: "a map", keys: &["over", "rows", "objects", "batch", "max_concurrency", "tolerated_failures"] };

pub(crate) const RETRIES: Shape = Shape { what: "the retries", keys: &["max", "backoff", "jitter", "on"] };

pub(crate) const RESOURCES: Shape = Shape { what: "the resources", keys: &["memory", "cpu", "disk"] };

pub(crate) const CACHE: Shape = Shape { what: "the cache settings", keys: &["max_age"] };

/// What to do about a key that is not known, where more can be said than which keys are.
pub(crate) fn hint_for(key: &str) -> Option<&'static str> {
    Some(match key {
        "tasks" | "before_tasks" | "after_tasks" => {
            "this looks like an Apache Liminal definition: `tasks` are `steps` here, a map from name to step"
        }
        "task" => "this looks like an Apache Liminal definition: a step's name is its key under `steps:`",
        "cmd" | "command" => "use `run:`, with the program and its arguments",
        "env_vars" | "env-vars" | "environment" => "use `env:`",
        "variables" => "use `params:`",
        "name" => "use `project:` for the name of a project; pipelines and steps are named by their keys",
        "image" => "a container image is named by a step, or under `fargate:` of an environment on AWS",
        "images" => {
            "liminal builds no images: a step names what it needs under `python:` and `code:`, or a finished `image:`"
        }
        "executor" | "executors" | "type" | "split_input" => {
            "this looks like an Apache Liminal definition: a step runs by `run:`, `call:`, `gate:`, `register:` or `pipeline:` alone"
        }
        "schedule" | "start_date" => {
            "write it in a pipeline, under `triggers:`: `triggers: [{schedule: \"cron(0 6 * * ? *)\"}]`"
        }
        "finished" => "write it in a pipeline, under `triggers:`: `triggers: [{finished: PIPELINE}]`",
        "triggers" => "triggers belong to a pipeline, which starts as a whole",
        "prefix" | "suffix" => "write it under `object:`, as in `object: {prefix: in/, suffix: .csv}`",
        "service" | "services" | "endpoints" => "services are not part of this version",
        "volumes" | "mounts" => "use `inputs:` and `outputs:`: steps share no volumes",
        "timeout_minutes" | "timeout-minutes" => "use `timeout:` with a unit, as in `timeout: 10m`",
        "retry" => "use `retries:`",
        "depends_on" | "needs" | "upstream" => "use `after:`; data from other steps comes by `inputs:`",
        "super" => "use `extends:` with the path of the parent definition",
        "pipeline" => "write `pipelines:`, a map from name to pipeline",
        "compute" => "it is a key of steps and of `defaults:`",
        "region" | "account" | "arch" | "log_retention" | "fargate" => {
            "it is a key of an environment on AWS: `environments: {NAME: {platform: aws, region: REGION}}`"
        }
        "bucket" => "it is a key of an environment on AWS, and of `object:` in a trigger",
        "log-retention" => "use `log_retention:`",
        "foreach" | "for_each" => "use `map:`",
        "branch" | "protected" => "it is a key of an environment: `environments: {staging: {branch: main}}`",
        "sql" | "network" => "this is not part of this version",
        _ => return None,
    })
}
