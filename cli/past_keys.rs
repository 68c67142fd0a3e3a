//! The cache keys of past runs, taken apart again: what `liminal why` and the forecast of a plan compare with.

use std::collections::BTreeMap;

use liminal_functions::ports::ObjectStore;
use liminal_infra::apply::window::all;
use liminal_infra::plan::key_facts::KeyFacts;
use liminal_infra::plan::key_facts::facts_of_run;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::StepName;

use crate::error::CliError;
use crate::records::AT_ONCE;
use crate::records::Records;
use crate::records::RunName;
use crate::records::RunView;

/// The key that a step had in a run, with its package; none when the step made no result there.
pub(crate) async fn of_run<S: ObjectStore>(
    records: &Records<'_, S>,
    view: &RunView,
    step: &StepName,
) -> Result<Option<KeyFacts>, CliError> {
    let package = match view.release.steps.get(step).and_then(|spec| spec.package) {
        Some(digest) => records.package(&digest).await?,
        None => None,
    };
    let succeeded = view.commits.get(step).is_some_and(|commit| commit.status.has_outputs());
    Ok(facts_of_run(&view.record, &view.release, &view.commits, step, package).filter(|_| succeeded))
}

/// How many runs are looked through for the last result of a step.
const LOOKBACK: usize = 20;

/// For each step of a pipeline, the newest run before a moment in which it has a result.
pub(crate) async fn latest<S: ObjectStore>(
    records: &Records<'_, S>,
    pipeline: &PipelineName,
    before: Option<&RunName>,
) -> Result<BTreeMap<StepName, (RunName, KeyFacts)>, CliError> {
    let mut names = records.runs(Some(pipeline)).await?;
    if let Some(before) = before {
        names.retain(|name| name < before);
    }
    let mut found = BTreeMap::new();
    for name in names.into_iter().rev().take(LOOKBACK) {
        // A damaged or collected run is no reason to explain nothing: older ones may do.
        let Ok(view) = records.view(&name).await else {
            continue;
        };
        let missing: Vec<&StepName> = view.release.steps.keys().filter(|step| !found.contains_key(*step)).collect();
        let reads = missing.iter().map(|step| of_run(records, &view, step));
        for (step, key) in missing.iter().zip(all(reads, AT_ONCE).await) {
            found.extend(key?.map(|key| ((*step).clone(), (name.clone(), key))));
        }
        if view.release.steps.keys().all(|step| found.contains_key(step)) {
            break;
        }
    }
    Ok(found)
}
