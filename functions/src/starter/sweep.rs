//! The sweeper: looks at every run that has not ended, once a minute.

use liminal_schemas::keys;
use liminal_schemas::message::SweepPart;
use liminal_schemas::message::TriggerMessage;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::run::OpenRun;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::time::UtcTime;

use super::Report;
use super::Starter;
use super::StarterError;
use super::source::ObjectSource;
use crate::causes::in_full;
use crate::documents;
use crate::ports::Clock;
use crate::ports::Nonces;
use crate::ports::ObjectStore;
use crate::ports::Platform;
use crate::ports::Queue;
use crate::runner::Healed;
use crate::runner::RunnerError;

/// How many runs are looked at in one go. What is left over is asked for by another message.
const BATCH: usize = 50;

/// How many messages may follow from one tick: Lambda stops a function that sets itself off more than 16 times in a row.
/// What is left then waits for the next tick, which begins somewhere else.
const MAX_HOPS: u32 = 12;

/// How long before the deadline a sweep ends, in milliseconds: time to look at one more run and to ask for the rest.
const RESERVE_MILLIS: i64 = 15_000;

/// How old the mark of a run that has no record must be to be taken for a stray, in milliseconds. Whoever makes both does so
/// within the quarter of an hour that a function may run.
const STRAY_MILLIS: i64 = 60 * 60 * 1000;

impl<P: Platform, O: ObjectSource> Starter<P, O> {
    /// Looks at the open runs that a message asks for, and asks for those that are left. One run that can not be looked at
    /// keeps nobody from the others.
    pub(super) async fn sweep(
        &self,
        part: SweepPart,
        deadline: UtcTime,
        report: &mut Report,
    ) -> Result<(), StarterError> {
        let platform = self.runner.platform();
        if part.hops == 0
            && let Err(error) = self.start_waiting(report).await
        {
            report.notes.push(format!("a run that waits could not be started: {}", in_full(&error)));
        }
        if part.hops == 0
            && let Err(error) = self.note_live_listeners().await
        {
            report.notes.push(format!("what waits for ends of runs could not be noted: {}", in_full(&error)));
        }
        if part.hops == 0 {
            match self.settle_canaries().await {
                Ok(settled) => report.notes.extend(settled.notes),
                Err(error) => report.notes.push(format!("canaries could not be looked at: {}", in_full(&error))),
            }
        }
        let marks = platform.store().list(keys::OPEN_PREFIX).await?;
        let count = marks.len();
        let mut left = part.left.unwrap_or(count).min(count);
        let mut place = match &part.from {
            Some(from) => marks.partition_point(|mark| mark < from),
            None if left <= BATCH => 0,
            None => scaled(platform.nonces().fraction(), count),
        };
        let mut done = 0;
        while left > 0 {
            place %= count;
            let Some(mark) = marks.get(place) else { break };
            let is_late = platform.clock().now().plus_millis(RESERVE_MILLIS) > deadline;
            if done == BATCH || (done > 0 && is_late) {
                if part.hops < MAX_HOPS {
                    let part = SweepPart { from: Some(mark.clone()), left: Some(left), hops: part.hops + 1 };
                    let body = TriggerMessage::Sweep(part).body();
                    platform.queue().send(&self.home.queue, &body, std::time::Duration::ZERO).await?;
                }
                break;
            }
            if let Err(error) = self.look_at(mark, report).await {
                report.notes.push(format!("{mark} could not be looked at: {}", in_full(&error)));
            }
            (left, place, done) = (left - 1, place + 1, done + 1);
        }
        Ok(())
    }

    async fn note_live_listeners(&self) -> Result<(), StarterError> {
        let awaited = self.awaited().await?;
        // What can not be read may still wait.
        self.note_listeners(&awaited.ends, awaited.problems.is_empty()).await
    }

    async fn look_at(&self, mark: &str, report: &mut Report) -> Result<(), StarterError> {
        let Some((pipeline, run)) = keys::run_of_mark(mark) else {
            report.notes.push(format!("{mark} is no mark of a run"));
            return Ok(());
        };
        if let Some(result) = self.runner.result(&pipeline, &run).await? {
            return self.close(&pipeline, &run, &result, report).await;
        }
        match self.runner.heal(&pipeline, &run).await {
            Ok(Healed::Open { sent: 0 }) => Ok(()),
            Ok(Healed::Ended) => match self.runner.result(&pipeline, &run).await? {
                Some(result) => self.close(&pipeline, &run, &result, report).await,
                None => Ok(()),
            },
            Ok(Healed::Open { sent }) => {
                report.notes.push(format!("run {run} of {pipeline}: sent {sent} messages in place of lost ones"));
                Ok(())
            }
            Err(RunnerError::NoRun { .. }) => self.remove_if_stray(mark, &pipeline, &run, report).await,
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn remove_if_stray(
        &self,
        mark: &str,
        pipeline: &PipelineName,
        run: &RunId,
        report: &mut Report,
    ) -> Result<(), StarterError> {
        let platform = self.runner.platform();
        let open: Option<documents::Versioned<OpenRun>> = documents::read(platform.store(), mark, RUN_SCHEMA).await?;
        let now = platform.clock().now().millis();
        if open.is_some_and(|open| now.saturating_sub(open.document.since.millis()) > STRAY_MILLIS) {
            self.runner.remove_stray_mark(pipeline, run).await?;
            report.notes.push(format!("run {run} of {pipeline} never came to be: its mark is removed"));
        }
        Ok(())
    }
}

/// A place among so many, at a fraction of the way.
fn scaled(fraction: f64, count: usize) -> usize {
    let thousandths = (0..1000_u32).rev().find(|part| f64::from(*part) <= fraction * 1000.0).unwrap_or(0);
    count.saturating_mul(usize::try_from(thousandths).unwrap_or(0)) / 1000
}
