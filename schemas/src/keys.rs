//! Object keys: the one place that knows where each document lives, the same on every platform.

use crate::digest::Digest;
use crate::name::EnvironmentName;
use crate::name::FieldName;
use crate::name::ModelName;
use crate::name::PipelineName;
use crate::name::RunId;
use crate::name::StepName;

/// The zip of a package.
pub fn package(digest: &Digest) -> String {
    format!("packages/{}.zip", digest.hex())
}

/// The document that a package digest stands for.
pub fn package_spec(digest: &Digest) -> String {
    format!("packages/{}.json", digest.hex())
}

/// The zip that a function or a task runs.
pub fn bundle(digest: &Digest) -> String {
    format!("{BUNDLES_PREFIX}{}.zip", digest.hex())
}

/// What is known of such a zip: written after it, so that where it is, the zip is.
pub fn bundle_facts(digest: &Digest) -> String {
    format!("{BUNDLES_PREFIX}{}.json", digest.hex())
}

/// All bundles.
pub const BUNDLES_PREFIX: &str = "bundles/";

/// Marks a run that has not ended, so that a sweeper finds it without looking at all runs that ever were.
pub fn open_run(pipeline: &PipelineName, run: &RunId) -> String {
    format!("{OPEN_PREFIX}{pipeline}/{run}")
}

/// All marks of runs that have not ended.
pub const OPEN_PREFIX: &str = "open/";

/// An artifact: a file, or the listing of a directory.
pub fn artifact(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("artifacts/{}/{hex}", &hex[..2])
}

/// A cached result.
pub fn cache(key: &Digest) -> String {
    format!("cache/{}.json", key.hex())
}

/// The state of an environment.
pub fn state(environment: &EnvironmentName) -> String {
    format!("state/{environment}.json")
}

/// The lease on an environment's state.
pub fn lock(environment: &EnvironmentName) -> String {
    format!("state/{environment}.lock.json")
}

/// The approval of a plan.
pub fn approval(environment: &EnvironmentName, plan: &Digest) -> String {
    format!("state/{environment}/approvals/{}.json", plan.hex())
}

/// The commit that an environment does not take.
pub fn quarantine(environment: &EnvironmentName) -> String {
    format!("state/{environment}.quarantine.json")
}

/// One entry of an environment's history, in the order of serials.
pub fn history(environment: &EnvironmentName, serial: u64) -> String {
    format!("{}{serial:010}.json", history_prefix(environment))
}

/// All of an environment's history.
pub fn history_prefix(environment: &EnvironmentName) -> String {
    format!("state/{environment}/history/")
}

/// A release.
pub fn release(pipeline: &PipelineName, revision: &Digest) -> String {
    format!("{}{}.json", releases_prefix(pipeline), revision.hex())
}

/// All releases of a pipeline.
pub fn releases_prefix(pipeline: &PipelineName) -> String {
    format!("releases/{pipeline}/")
}

/// The pointer to a pipeline's live release.
pub fn live(pipeline: &PipelineName) -> String {
    format!("{LIVE_PREFIX}{pipeline}.json")
}

/// All live pointers.
pub const LIVE_PREFIX: &str = "live/";

/// All runs.
pub const RUNS_PREFIX: &str = "runs/";

/// All runs of a pipeline.
pub fn pipeline_runs_prefix(pipeline: &PipelineName) -> String {
    format!("{RUNS_PREFIX}{pipeline}/")
}

/// All that belongs to a run.
pub fn run_prefix(pipeline: &PipelineName, run: &RunId) -> String {
    format!("{RUNS_PREFIX}{pipeline}/{run}/")
}

/// The record that starts a run.
pub fn run(pipeline: &PipelineName, run: &RunId) -> String {
    format!("{}run.json", run_prefix(pipeline, run))
}

/// The record that ends a run.
pub fn result(pipeline: &PipelineName, run: &RunId) -> String {
    format!("{}result.json", run_prefix(pipeline, run))
}

/// The request to stop a run.
pub fn cancel(pipeline: &PipelineName, run: &RunId) -> String {
    format!("{}cancel.json", run_prefix(pipeline, run))
}

/// All that belongs to a step of a run.
pub fn step_prefix(pipeline: &PipelineName, run: &RunId, step: &StepName) -> String {
    format!("{}steps/{step}/", run_prefix(pipeline, run))
}

/// The record that ends a step.
pub fn commit(pipeline: &PipelineName, run: &RunId, step: &StepName) -> String {
    format!("{}commit.json", step_prefix(pipeline, run, step))
}

/// All attempts at a step.
pub fn attempts_prefix(pipeline: &PipelineName, run: &RunId, step: &StepName) -> String {
    format!("{}attempts/", step_prefix(pipeline, run, step))
}

/// The record that opens an attempt.
pub fn attempt(pipeline: &PipelineName, run: &RunId, step: &StepName, attempt: u32) -> String {
    format!("{}{attempt}.json", attempts_prefix(pipeline, run, step))
}

/// The record that ends an attempt which made no commit.
pub fn attempt_failure(pipeline: &PipelineName, run: &RunId, step: &StepName, attempt: u32) -> String {
    format!("{}{attempt}.failed.json", attempts_prefix(pipeline, run, step))
}

/// The record of the task that carries out an attempt which a dispatcher opened.
pub fn attempt_task(pipeline: &PipelineName, run: &RunId, step: &StepName, attempt: u32) -> String {
    format!("{}{attempt}.task.json", attempts_prefix(pipeline, run, step))
}

/// What an attempt printed.
pub fn attempt_log(pipeline: &PipelineName, run: &RunId, step: &StepName, attempt: u32) -> String {
    format!("{}{attempt}.log", attempts_prefix(pipeline, run, step))
}

/// All versions of a model.
pub fn model_versions_prefix(model: &ModelName) -> String {
    format!("models/{model}/versions/")
}

/// A version of a model. Numbers are padded, so that the order of keys is the order of versions.
pub fn model_version(model: &ModelName, version: u64) -> String {
    format!("{}{version:08}.json", model_versions_prefix(model))
}

/// An alias of a model.
pub fn model_alias(model: &ModelName, alias: &FieldName) -> String {
    format!("models/{model}/aliases/{alias}.json")
}

/// All models.
pub const MODELS_PREFIX: &str = "models/";
