//! What an environment needs to know that has nobody else to keep its schedules.

use std::collections::BTreeSet;

use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::schedule::Schedule;
use liminal_schemas::schedule::ScheduleError;
use liminal_schemas::trigger::TriggerSource;

use super::Report;
use super::Starter;
use super::StarterError;
use super::source::ObjectSource;
use crate::causes::in_full;
use crate::ports::ObjectStore;
use crate::ports::Platform;

/// A schedule of a release that is live.
#[derive(Clone, Debug)]
pub struct KeptSchedule {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The digest of the trigger.
    pub trigger: Digest,
    /// When it fires, unless that can not be told.
    pub schedule: Result<Schedule, ScheduleError>,
}

/// What the live releases wait for.
#[derive(Clone, Debug, Default)]
pub struct Awaited {
    /// Their schedules.
    pub schedules: Vec<KeptSchedule>,
    /// How many of their triggers wait for objects.
    pub objects: usize,
    /// The pipelines for whose ends they wait.
    pub ends: BTreeSet<PipelineName>,
    /// The pipelines that are live.
    pub pipelines: usize,
    /// What is wrong with those that can not be read.
    pub problems: Vec<String>,
}

impl<P: Platform, O: ObjectSource> Starter<P, O> {
    /// What the releases wait for that are live at this moment.
    ///
    /// # Errors
    /// When it can not be looked up which pipelines are live.
    pub async fn awaited(&self) -> Result<Awaited, StarterError> {
        let mut awaited = Awaited::default();
        for live in self.live_pipelines().await? {
            let live = match live {
                Ok(live) => live,
                Err(error) => {
                    awaited.problems.push(error.to_string());
                    continue;
                }
            };
            awaited.pipelines += 1;
            for trigger in &live.release.triggers {
                match &trigger.on {
                    TriggerSource::Schedule { expression, timezone } => awaited.schedules.push(KeptSchedule {
                        pipeline: live.pipeline.clone(),
                        trigger: trigger.digest(),
                        schedule: Schedule::new(expression, timezone),
                    }),
                    TriggerSource::Object { .. } => awaited.objects += 1,
                    TriggerSource::Finished { pipeline, .. } => drop(awaited.ends.insert(pipeline.clone())),
                }
            }
        }
        Ok(awaited)
    }

    /// Starts those of the runs that wait for which there is room by now.
    ///
    /// # Errors
    /// When one could not be started.
    pub async fn start_those_that_wait(&self) -> Result<Report, StarterError> {
        let mut report = Report::default();
        self.start_waiting(&mut report).await?;
        Ok(report)
    }

    /// The runs that have not ended, and what was started since others have. Marks of those that have, and of those that never
    /// came to be, are removed.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open_runs(&self) -> Result<(Vec<(PipelineName, RunId)>, Report), StarterError> {
        let (mut open, mut report) = (Vec::new(), Report::default());
        for mark in self.runner.platform().store().list(keys::OPEN_PREFIX).await? {
            let Some((pipeline, run)) = keys::run_of_mark(&mark) else { continue };
            if let Some(result) = self.runner.result(&pipeline, &run).await? {
                if let Err(error) = self.close(&pipeline, &run, &result, &mut report).await {
                    report.notes.push(format!(
                        "what waits for run {run} of {pipeline} could not be started: {}",
                        in_full(&error)
                    ));
                }
            } else if self.runner.platform().store().exists(&keys::run(&pipeline, &run)).await? {
                open.push((pipeline, run));
            } else {
                self.remove_if_stray(&mark, &pipeline, &run, &mut report).await?;
            }
        }
        Ok((open, report))
    }
}
