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
pub(crate) const ACTION_KEYS: &[&str] = &["run", "call", "gate", "register"];

/// The keys of a parameter in its long form.
pub(crate) const PARAM_KEYS: &[&str] = &["type", "default", "min", "max", "choices", "description"];

/// Keys of a step that mean nothing to a gate or a registration.
pub(crate) const PROCESS_KEYS: &[&str] = &["code", "outputs", "metrics", "plots", "resources", "env", "python"];

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
        "pipelines",
    ],
};

pub(crate) const INCLUDED: Shape = Shape { what: "an included file", keys: &["pipelines"] };

pub(crate) const ENVIRONMENT: Shape = Shape {
    what: "an environment",
    keys: &["platform", "owner", "python", "params", "secrets", "env", "defaults", "keep", "pipelines"],
};

pub(crate) const PYTHON: Shape =
    Shape { what: "the python settings", keys: &["version", "requirements", "root", "code"] };

pub(crate) const PARAM: Shape = Shape { what: "a parameter", keys: PARAM_KEYS };

pub(crate) const DEFAULTS: Shape =
    Shape { what: "the step defaults", keys: &["retries", "timeout", "resources", "cache", "env"] };

pub(crate) const PIPELINE: Shape = Shape {
    what: "a pipeline",
    keys: &["description", "owner", "params", "env", "python", "defaults", "steps", "finally"],
};

pub(crate) const STEP: Shape = Shape {
    what: "a step",
    keys: &[
        "phase",
        "description",
        "run",
        "call",
        "gate",
        "register",
        "code",
        "inputs",
        "outputs",
        "metrics",
        "plots",
        "after",
        "when",
        "retries",
        "timeout",
        "resources",
        "cache",
        "env",
        "python",
    ],
};

pub(crate) const REGISTER: Shape = Shape { what: "a registration", keys: &["model", "artifact", "aliases"] };

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
        "image" | "images" => {
            "steps run without images in this version: name what they need under `python:` and `code:`"
        }
        "executor" | "executors" | "type" | "split_input" => {
            "this looks like an Apache Liminal definition: a step runs by `run:`, `call:`, `gate:` or `register:` alone"
        }
        "schedule" | "start_date" | "triggers" => "schedules and other triggers are not part of this version",
        "service" | "services" | "endpoints" => "services are not part of this version",
        "volumes" | "mounts" => "use `inputs:` and `outputs:`: steps share no volumes",
        "timeout_minutes" | "timeout-minutes" => "use `timeout:` with a unit, as in `timeout: 10m`",
        "retry" => "use `retries:`",
        "depends_on" | "needs" | "upstream" => "use `after:`; data from other steps comes by `inputs:`",
        "super" => "use `extends:` with the path of the parent definition",
        "pipeline" => "write `pipelines:`, a map from name to pipeline",
        "sql" | "map" | "compute" | "network" | "region" | "account" | "branch" | "bucket" | "protected" => {
            "this is not part of this version"
        }
        _ => return None,
    })
}
