//! Runs that a canary takes: those that start, and the ends of those that did.

use liminal_schemas::canary::Canary;

use super::Report;
use super::Starter;
use super::StarterError;
use super::source::ObjectSource;
use super::start::Live;
use super::start::Wanted;
use crate::canary;
use crate::ports::Clock;
use crate::ports::Platform;
use crate::ports::StoreError;

impl<P: Platform, O: ObjectSource> Starter<P, O> {
    /// The canary that a run is given to, if one takes it.
    pub(super) async fn canary_for(
        &self,
        wanted: &Wanted<'_>,
        report: &mut Report,
    ) -> Result<Option<Live>, StarterError> {
        let pipeline = &wanted.live.pipeline;
        if wanted.live.canary.as_ref().is_none_or(|canary| !canary.takes(&wanted.run)) {
            return Ok(None);
        }
        let platform = self.runner.platform();
        let (given, settled) = canary::give(platform.store(), platform.clock().now(), pipeline, &wanted.run).await?;
        note(report, wanted, &settled);
        let Some(given) = given.filter(|given| given.canary.is_some()) else { return Ok(None) };
        let canary = settled.pointer.and_then(|pointer| pointer.canary);
        let release = self.release(pipeline, given.revision).await?;
        Ok(Some(Live { pipeline: pipeline.clone(), revision: given.revision, release, canary }))
    }

    /// Takes a canary off on which a run could not even be started.
    pub(super) async fn abort_canary(
        &self,
        wanted: &Wanted<'_>,
        canary: &Canary,
        error: &StarterError,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        let platform = self.runner.platform();
        let mut reason = format!("run {} could not be started on it: {error}", wanted.run);
        if let Some(cause) = std::error::Error::source(error) {
            reason.push_str(&format!(": {cause}"));
        }
        let now = platform.clock().now();
        let settled = canary::abort(platform.store(), now, &wanted.live.pipeline, canary, reason).await?;
        note(report, wanted, &settled);
        Ok(())
    }

    /// Counts the ends of runs of canaries, and takes off those that do badly. What goes wrong with one keeps nobody from
    /// the others.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn settle_canaries(&self) -> Result<Report, StarterError> {
        let platform = self.runner.platform();
        let mut report = Report::default();
        for pipeline in canary::uncounted(platform.store()).await? {
            match canary::settle(platform.store(), platform.clock().now(), &pipeline).await {
                Ok(settled) => report.notes.extend(settled.aborted.map(|aborted| {
                    let revision = aborted.revision.short();
                    format!("the canary {revision} of {pipeline} is aborted: {}", aborted.reason)
                })),
                Err(error) => report.notes.push(format!("the canary of {pipeline} could not be looked at: {error}")),
            }
        }
        Ok(report)
    }
}

fn note(report: &mut Report, wanted: &Wanted<'_>, settled: &canary::Settled) {
    if let Some(aborted) = &settled.aborted {
        let (revision, pipeline) = (aborted.revision.short(), &wanted.live.pipeline);
        report.notes.push(format!("the canary {revision} of {pipeline} is aborted: {}", aborted.reason));
    }
}
