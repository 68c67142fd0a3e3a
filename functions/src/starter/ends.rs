//! Runs that start since another one has ended.
//!
//! Whoever ends a run leaves its mark as long as something waits for ends of its pipeline ([`keys::listeners`]). The starter
//! starts what waits, and takes the mark away after that. A crash in between starts the same runs again, whose ids follow from
//! the run that ended, so that nothing is lost and nothing happens twice.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::keys;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::run::EndedRun;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunResult;
use liminal_schemas::trigger::EndFact;
use liminal_schemas::trigger::TriggerSource;
use liminal_schemas::value::Value;

use super::Report;
use super::Starter;
use super::StarterError;
use super::run_id;
use super::source::ObjectSource;
use super::start::Live;
use super::start::Wanted;
use crate::causes::in_full;
use crate::ports::Clock;
use crate::ports::ObjectStore;
use crate::ports::Platform;

/// How many runs may follow from each other. Definitions in which pipelines start each other in a circle are refused; what
/// releases of different times have together nobody has seen before.
const MAX_HOPS: u32 = 16;

/// How long after its end a run still starts others, in milliseconds: a day. Nobody waits longer for a starter.
const LATEST_MILLIS: i64 = 24 * 60 * 60 * 1000;

impl<P: Platform, O: ObjectSource> Starter<P, O> {
    /// Starts what waits for the end of a run, and then takes its mark away.
    pub(super) async fn close(
        &self,
        pipeline: &PipelineName,
        run: &RunId,
        result: &RunResult,
        report: &mut Report,
    ) -> Result<(), StarterError> {
        let awaited = self.runner.platform().store().exists(&keys::listeners(pipeline)).await?;
        if awaited && let Some(record) = self.record_of(pipeline, run).await? {
            self.start_followers(&record, result, report).await?;
        }
        // The record of the result is there, so that this takes the mark away and does nothing else.
        self.runner.heal(pipeline, run).await?;
        Ok(())
    }

    async fn start_followers(
        &self,
        ended: &RunRecord,
        result: &RunResult,
        report: &mut Report,
    ) -> Result<(), StarterError> {
        let (pipeline, run) = (&ended.pipeline, &ended.run);
        let mut failed = None;
        for live in self.live_pipelines().await? {
            let live = match live {
                Ok(live) => live,
                Err(error) => {
                    failed = Some(error);
                    continue;
                }
            };
            let Some((given, facts)) = waits_for(&live, pipeline, result) else { continue };
            let now = self.runner.platform().clock().now();
            let hops = ended.follows.as_ref().map_or(0, |follows| follows.hops) + 1;
            let late = now.millis().saturating_sub(result.ended_at.millis()) > LATEST_MILLIS;
            if late || hops > MAX_HOPS {
                let why = if late {
                    "a day ago".to_owned()
                } else {
                    format!("as the last of {hops} that follow from each other")
                };
                report.notes.push(format!(
                    "run {run} of {pipeline} ended {why}, so that it starts no run of {}",
                    live.pipeline
                ));
                continue;
            }
            let follows = EndedRun { pipeline: pipeline.clone(), run: run.clone(), status: result.status, hops };
            let mut params = given.clone();
            params.extend(facts.iter().map(|(name, fact)| (name.clone(), value_of(*fact, &follows))));
            let wanted = Wanted {
                run: run_id::of_end(&live.pipeline, (pipeline, run), result.ended_at)?,
                live: &live,
                params,
                object: None,
                brought: None,
                scheduled: Some(ended.scheduled()),
                follows: Some(follows),
                by: format!("end of run {run} of {pipeline}"),
            };
            match self.start_once(wanted, report).await {
                Ok(()) => {}
                // Trying again would not help, and is not to keep the run open for ever.
                Err(error @ (StarterError::Params { .. } | StarterError::Pin { .. })) => {
                    let problem = in_full(&error);
                    report.notes.push(format!("run {run} of {pipeline} ended, and starts no run: {problem}"));
                }
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Writes down for which pipelines something waits, and forgets those for which nothing does any more.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn note_listeners(&self, awaited: &BTreeSet<PipelineName>, forget: bool) -> Result<(), StarterError> {
        let store = self.runner.platform().store();
        let there: BTreeSet<String> = store.list(keys::LISTENERS_PREFIX).await?.into_iter().collect();
        let wanted: BTreeSet<String> = awaited.iter().map(keys::listeners).collect();
        for key in wanted.difference(&there) {
            store.put_if_absent(key, b"").await?;
        }
        for key in there.difference(&wanted).filter(|_| forget) {
            store.delete(key).await?;
        }
        Ok(())
    }
}

type Given<'l> = (&'l BTreeMap<FieldName, Value>, &'l BTreeMap<FieldName, EndFact>);

/// What the first trigger that waits for such an end gives its runs.
fn waits_for<'l>(live: &'l Live, ended: &PipelineName, result: &RunResult) -> Option<Given<'l>> {
    live.release.triggers.iter().find_map(|trigger| match &trigger.on {
        TriggerSource::Finished { pipeline, result: wanted, params }
            if pipeline == ended && wanted.is(result.status) =>
        {
            Some((&trigger.params, params))
        }
        TriggerSource::Finished { .. } | TriggerSource::Schedule { .. } | TriggerSource::Object { .. } => None,
    })
}

fn value_of(fact: EndFact, ended: &EndedRun) -> Value {
    Value::Text(match fact {
        EndFact::Run => ended.run.to_string(),
        EndFact::Result => ended.status.to_string(),
    })
}
