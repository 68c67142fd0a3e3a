//! Runs that are to start while others of their pipeline are open: they start, wait, take the place of others, or do not
//! start at all, as the pipeline says ([`RunPolicy`](liminal_schemas::run_policy::RunPolicy)).
//!
//! What is open is told by the marks of open runs, and what waits by records of its own: there is no counter that a crash
//! could leave wrong. Two starters that look at the same moment may both find room, since neither sees what the other is
//! about to do: one run too many may be open then, and never one event be lost.

use std::collections::BTreeMap;

use liminal_schemas::keys;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::run::CancelRequest;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::run::WaitingRun;
use liminal_schemas::run_policy::Admission;
use liminal_schemas::run_policy::Overlap;

use super::Report;
use super::Starter;
use super::StarterError;
use super::source::ObjectSource;
use super::start::Live;
use super::start::Wanted;
use crate::documents;
use crate::ports::Clock;
use crate::ports::ObjectStore;
use crate::ports::Platform;
use crate::runner::open_runs;

/// How long a run may wait for others to end, in milliseconds: a week. Who asks for it then has long done without it.
const LONGEST_WAIT_MILLIS: i64 = 7 * 24 * 60 * 60 * 1000;

impl<P: Platform, O: ObjectSource> Starter<P, O> {
    /// Whether a run may start now. One that has to wait is written down; for one that takes the place of others, these are
    /// cancelled.
    pub(super) async fn admit(&self, wanted: &Wanted<'_>, report: &mut Report) -> Result<bool, StarterError> {
        let Live { pipeline, release, .. } = wanted.live;
        let (policy, run) = (&release.runs, &wanted.run);
        if policy.overlap == Overlap::Allow {
            return Ok(true);
        }
        let open = self.others(pipeline, run).await?;
        let waiting = self.waiting(pipeline).await?;
        match policy.admit(run, &open, &waiting) {
            Admission::Start => Ok(true),
            Admission::Replace(others) => {
                self.replace(pipeline, &others, run, report).await?;
                Ok(true)
            }
            Admission::Wait => {
                if self.wait(wanted, report).await? {
                    report.notes.push(format!("run {run} of {pipeline} waits until {} has ended", listed(&open)));
                }
                Ok(false)
            }
            Admission::Refuse(others) => {
                let others = listed(&others);
                report.notes.push(format!("run {run} of {pipeline} does not start, since {others} has not ended"));
                Ok(false)
            }
            Admission::Full(count) => {
                report.notes.push(format!("run {run} of {pipeline} is dropped, since {count} runs wait already"));
                Ok(false)
            }
        }
    }

    /// Writes down that a run waits. False when what would start it is gone.
    async fn wait(&self, wanted: &Wanted<'_>, report: &mut Report) -> Result<bool, StarterError> {
        let platform = self.runner.platform();
        let key = keys::waiting_run(&wanted.live.pipeline, &wanted.run);
        if platform.store().exists(&key).await? {
            return Ok(true);
        }
        let Some(object) = self.object(wanted, report).await? else { return Ok(false) };
        let waits = WaitingRun {
            schema: RUN_SCHEMA,
            params: wanted.params.clone(),
            object,
            scheduled: wanted.scheduled.clone(),
            follows: wanted.follows.clone(),
            started_by: wanted.by.clone(),
            since: platform.clock().now(),
        };
        platform.store().put_if_absent(&key, &documents::encode(&key, &waits)?).await?;
        Ok(true)
    }

    /// Starts those of the runs that wait for which there is room by now, the first first. What goes wrong with a pipeline
    /// keeps none of the others from starting.
    pub(super) async fn start_waiting(&self, report: &mut Report) -> Result<(), StarterError> {
        let mut pipelines: BTreeMap<PipelineName, Vec<RunId>> = BTreeMap::new();
        for key in self.runner.platform().store().list(keys::WAITING_PREFIX).await? {
            let named = key.strip_prefix(keys::WAITING_PREFIX).and_then(|name| name.split_once('/'));
            let parsed =
                named.and_then(|(pipeline, run)| Some((PipelineName::new(pipeline).ok()?, RunId::new(run).ok()?)));
            let Some((pipeline, run)) = parsed else { continue };
            pipelines.entry(pipeline).or_default().push(run);
        }
        let mut failed = None;
        for (pipeline, runs) in pipelines {
            for run in runs {
                match self.start_if_room(&pipeline, &run, report).await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Starts a run that waits, if there is room. False when there is none.
    async fn start_if_room(
        &self,
        pipeline: &PipelineName,
        run: &RunId,
        report: &mut Report,
    ) -> Result<bool, StarterError> {
        let platform = self.runner.platform();
        let key = keys::waiting_run(pipeline, run);
        let waits: Option<documents::Versioned<WaitingRun>> =
            documents::read(platform.store(), &key, RUN_SCHEMA).await?;
        let Some(waits) = waits.map(|waits| waits.document) else { return Ok(true) };
        let waited = platform.clock().now().millis().saturating_sub(waits.since.millis());
        let live = self.live(pipeline).await?.filter(|_| waited <= LONGEST_WAIT_MILLIS);
        let Some(live) = live else {
            platform.store().delete(&key).await?;
            let why = if waited > LONGEST_WAIT_MILLIS { "it waited for a week" } else { "its pipeline is not live" };
            report.notes.push(format!("run {run} of {pipeline} is dropped, since {why}"));
            return Ok(true);
        };
        let open = self.others(pipeline, run).await?;
        let waiting = self.waiting(pipeline).await?;
        match live.release.runs.admit(run, &open, &waiting) {
            Admission::Start => {}
            Admission::Replace(others) => self.replace(pipeline, &others, run, report).await?,
            Admission::Wait | Admission::Refuse(_) | Admission::Full(_) => return Ok(false),
        }
        let wanted = Wanted {
            run: run.clone(),
            live: &live,
            params: waits.params,
            object: None,
            brought: waits.object,
            scheduled: waits.scheduled,
            follows: waits.follows,
            by: waits.started_by,
        };
        self.start_now(&wanted, report).await?;
        platform.store().delete(&key).await?;
        Ok(true)
    }

    /// Cancels runs whose place another takes.
    async fn replace(
        &self,
        pipeline: &PipelineName,
        others: &[RunId],
        run: &RunId,
        report: &mut Report,
    ) -> Result<(), StarterError> {
        let platform = self.runner.platform();
        for other in others {
            let key = keys::cancel(pipeline, other);
            let by = Some(format!("run {run}"));
            let request = CancelRequest { schema: RUN_SCHEMA, by, requested_at: platform.clock().now() };
            platform.store().put_if_absent(&key, &documents::encode(&key, &request)?).await?;
            self.runner.end_if_due(pipeline, other).await?;
            report.notes.push(format!("run {other} of {pipeline} is cancelled: run {run} takes its place"));
        }
        Ok(())
    }

    /// The open runs of a pipeline, but for one.
    async fn others(&self, pipeline: &PipelineName, run: &RunId) -> Result<Vec<RunId>, StarterError> {
        let platform = self.runner.platform();
        let mut open = open_runs(platform.store(), pipeline, platform.clock().now()).await?;
        open.retain(|open| open != run);
        Ok(open)
    }

    async fn waiting(&self, pipeline: &PipelineName) -> Result<Vec<RunId>, StarterError> {
        let prefix = keys::waiting_prefix(pipeline);
        let listed = self.runner.platform().store().list(&prefix).await?;
        Ok(listed.iter().filter_map(|key| RunId::new(key.strip_prefix(&prefix)?).ok()).collect())
    }
}

/// `run A`, `run A, run B`.
fn listed(runs: &[RunId]) -> String {
    let named: Vec<String> = runs.iter().map(|run| format!("run {run}")).collect();
    named.join(", ")
}
