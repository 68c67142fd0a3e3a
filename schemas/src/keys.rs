//! Object keys: the one place that knows where each document lives, the same on every platform.

use crate::digest::Digest;
use crate::map::BLOCK_ITEMS;
use crate::name::EnvironmentName;
use crate::name::FieldName;
use crate::name::ModelName;
use crate::name::PipelineName;
use crate::name::RunId;
use crate::name::StepName;
use crate::time::UtcTime;
use crate::unit::UnitRef;

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

/// The run that a mark below [`OPEN_PREFIX`] is of; none when the key is no such mark.
pub fn run_of_mark(mark: &str) -> Option<(PipelineName, RunId)> {
    let (pipeline, run) = mark.strip_prefix(OPEN_PREFIX)?.split_once('/')?;
    Some((PipelineName::new(pipeline).ok()?, RunId::new(run).ok()?))
}

/// All marks of runs that have not ended.
pub const OPEN_PREFIX: &str = "open/";

/// The marks of the open runs of a pipeline.
pub fn open_runs_prefix(pipeline: &PipelineName) -> String {
    format!("{OPEN_PREFIX}{pipeline}/")
}

/// There while some live pipeline waits for ends of runs of this one: their marks are then left to whoever starts it.
pub fn listeners(pipeline: &PipelineName) -> String {
    format!("{LISTENERS_PREFIX}{pipeline}")
}

/// All pipelines whose ends are waited for.
pub const LISTENERS_PREFIX: &str = "listeners/";

/// A run that waits until others of its pipeline have ended.
pub fn waiting_run(pipeline: &PipelineName, run: &RunId) -> String {
    format!("{}{run}", waiting_prefix(pipeline))
}

/// The runs of a pipeline that wait.
pub fn waiting_prefix(pipeline: &PipelineName) -> String {
    format!("{WAITING_PREFIX}{pipeline}/")
}

/// All runs that wait.
pub const WAITING_PREFIX: &str = "waiting/";

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

/// What the receiver of an environment is made of.
pub fn receiver(environment: &EnvironmentName) -> String {
    format!("state/{environment}.receiver.json")
}

/// There once what a code host told by a delivery has been passed on. The id is letters, digits and `-` alone.
pub fn delivery(id: &str) -> String {
    format!("{DELIVERIES_PREFIX}{id}")
}

/// All deliveries that were passed on.
pub const DELIVERIES_PREFIX: &str = "deliveries/";

/// One entry of an environment's history, in the order of serials.
pub fn history(environment: &EnvironmentName, serial: u64) -> String {
    format!("{}{serial:010}.json", history_prefix(environment))
}

/// An entry for something that was not done: after that of the serial which it left alone.
pub fn history_undone(environment: &EnvironmentName, serial: u64, at: UtcTime, nonce: &str) -> String {
    format!("{}{serial:010}.{:014}-{nonce}.json", history_prefix(environment), at.millis())
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

/// The mark of a run of a canary whose end has not been counted.
pub fn canary_open(pipeline: &PipelineName, trial: &str, run: &RunId) -> String {
    format!("{}{trial}/{run}", canary_open_prefix(pipeline))
}

/// The marks of all runs of canaries of a pipeline whose ends have not been counted.
pub fn canary_open_prefix(pipeline: &PipelineName) -> String {
    format!("{CANARY_OPEN_PREFIX}{pipeline}/")
}

/// The marks of all runs of canaries whose ends have not been counted.
pub const CANARY_OPEN_PREFIX: &str = "canary/open/";

/// The marks of the runs of a trial that ended in some way: `succeeded`, `failed`, `rejected`.
pub fn canary_ended_prefix(pipeline: &PipelineName, trial: &str, status: &str) -> String {
    format!("canary/ended/{pipeline}/{trial}/{status}/")
}

/// The record of a canary that was aborted by what became of its runs.
pub fn canary_end(pipeline: &PipelineName, trial: &str) -> String {
    format!("{CANARY_ENDS_PREFIX}{pipeline}/{trial}.json")
}

/// All records of canaries that were aborted by what became of their runs.
pub const CANARY_ENDS_PREFIX: &str = "canary/ends/";

/// All that is kept of canaries.
pub const CANARY_PREFIX: &str = "canary/";

/// The record of an environment that was made from a template. It lies with the objects of the template.
pub fn made_environment(environment: &EnvironmentName) -> String {
    format!("{MADE_ENVIRONMENTS_PREFIX}{environment}.json")
}

/// The records of all environments that were made from a template.
pub const MADE_ENVIRONMENTS_PREFIX: &str = "environments/";

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

/// All that belongs to the steps of a run.
pub fn steps_prefix(pipeline: &PipelineName, run: &RunId) -> String {
    format!("{}steps/", run_prefix(pipeline, run))
}

/// All that belongs to a step of a run.
pub fn step_prefix(pipeline: &PipelineName, run: &RunId, step: &StepName) -> String {
    format!("{}{}/", steps_prefix(pipeline, run), step.segment())
}

/// The record that ends a step, or an item. Those of the items of a block lie together, so that one listing tells which of
/// them are settled.
pub fn commit<'u>(pipeline: &PipelineName, run: &RunId, unit: impl Into<UnitRef<'u>>) -> String {
    let unit = unit.into();
    match unit.item {
        None => format!("{}commit.json", step_prefix(pipeline, run, unit.step)),
        Some(item) => {
            format!("{}{item:06}.json", settled_prefix(pipeline, run, unit.step, item / BLOCK_ITEMS))
        }
    }
}

/// The commits of a block of items.
pub fn settled_prefix(pipeline: &PipelineName, run: &RunId, step: &StepName, block: u32) -> String {
    format!("{}{block:04}/", all_settled_prefix(pipeline, run, step))
}

/// The commits of all items of a step.
pub fn all_settled_prefix(pipeline: &PipelineName, run: &RunId, step: &StepName) -> String {
    format!("{}settled/", step_prefix(pipeline, run, step))
}

/// The number of the item that a key below [`all_settled_prefix`] or of a failure mark names.
pub fn item_of(key: &str) -> Option<u32> {
    let name = key.rsplit('/').next()?;
    name.split('.').next()?.parse().ok()
}

/// The record that says how many items a step has.
pub fn map(pipeline: &PipelineName, run: &RunId, step: &StepName) -> String {
    format!("{}map.json", step_prefix(pipeline, run, step))
}

/// What the items of a block are.
pub fn item_block(pipeline: &PipelineName, run: &RunId, step: &StepName, block: u32) -> String {
    format!("{}items/{block:04}.json", step_prefix(pipeline, run, step))
}

/// The markers of the members of a block: on level 2 and above, where members are blocks themselves.
pub fn markers_prefix(pipeline: &PipelineName, run: &RunId, step: &StepName, level: u32, block: u32) -> String {
    let below = level.saturating_sub(1);
    format!("{}blocks/{below}/{block:04}/", step_prefix(pipeline, run, step))
}

/// The marker of a block whose members are all settled. Those of the blocks of one block lie together.
pub fn marker(pipeline: &PipelineName, run: &RunId, step: &StepName, level: u32, block: u32) -> String {
    format!("{}{block:04}.json", markers_prefix(pipeline, run, step, level + 1, block / BLOCK_ITEMS))
}

/// The marks of items that failed.
pub fn failed_items_prefix(pipeline: &PipelineName, run: &RunId, step: &StepName) -> String {
    format!("{}failed/", step_prefix(pipeline, run, step))
}

/// The mark of an item that failed.
pub fn failed_item(pipeline: &PipelineName, run: &RunId, step: &StepName, item: u32) -> String {
    format!("{}{item:06}", failed_items_prefix(pipeline, run, step))
}

/// There when so many items failed that no further one begins.
pub fn map_stop(pipeline: &PipelineName, run: &RunId, step: &StepName) -> String {
    format!("{}stop", step_prefix(pipeline, run, step))
}

/// There when each item of a step has been sent its message.
pub fn map_sent(pipeline: &PipelineName, run: &RunId, step: &StepName) -> String {
    format!("{}sent", step_prefix(pipeline, run, step))
}

/// What the keys of all attempts at a step, or at an item, begin with.
pub fn attempts_prefix<'u>(pipeline: &PipelineName, run: &RunId, unit: impl Into<UnitRef<'u>>) -> String {
    let unit = unit.into();
    let step = step_prefix(pipeline, run, unit.step);
    match unit.item {
        None => format!("{step}attempts/"),
        Some(item) => format!("{step}attempts/{:04}/{item:06}.", item / BLOCK_ITEMS),
    }
}

/// The record that opens an attempt.
pub fn attempt<'u>(pipeline: &PipelineName, run: &RunId, unit: impl Into<UnitRef<'u>>, attempt: u32) -> String {
    format!("{}{attempt}.json", attempts_prefix(pipeline, run, unit))
}

/// The record that ends an attempt which made no commit.
pub fn attempt_failure<'u>(pipeline: &PipelineName, run: &RunId, unit: impl Into<UnitRef<'u>>, attempt: u32) -> String {
    format!("{}{attempt}.failed.json", attempts_prefix(pipeline, run, unit))
}

/// The record of the task that carries out an attempt which a dispatcher opened.
pub fn attempt_task<'u>(pipeline: &PipelineName, run: &RunId, unit: impl Into<UnitRef<'u>>, attempt: u32) -> String {
    format!("{}{attempt}.task.json", attempts_prefix(pipeline, run, unit))
}

/// What an attempt printed.
pub fn attempt_log<'u>(pipeline: &PipelineName, run: &RunId, unit: impl Into<UnitRef<'u>>, attempt: u32) -> String {
    format!("{}{attempt}.log", attempts_prefix(pipeline, run, unit))
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
