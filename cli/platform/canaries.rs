//! Canaries of an environment: runs that they take, how these came out, and what that leads to.

use liminal_functions::canary;
use liminal_functions::protocol::canary::Tally;
use liminal_infra::observe;
use liminal_schemas::canary::AbortedCanary;
use liminal_schemas::canary::Canary;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::release::Release;
use liminal_schemas::run::RunRecord;
use liminal_schemas::state::Applied;
use liminal_schemas::time::UtcTime;

use super::Environment;
use super::objects::ControlObjects;
use crate::app::Context;
use crate::error::CliError;
use crate::error::While as _;

/// A release on trial, and how its runs came out.
pub(crate) struct SeenCanary {
    /// The pipeline.
    pub(crate) pipeline: PipelineName,
    /// The release.
    pub(crate) canary: Canary,
    /// How its runs came out.
    pub(crate) tally: Tally,
}

impl Environment {
    /// The release that a run of what is live goes to, and since when that is on trial if it is a canary.
    pub(crate) async fn release_for(
        &self,
        context: &Context,
        pipeline: &PipelineName,
        run: &RunId,
    ) -> Result<(Release, Option<UtcTime>), CliError> {
        let given = canary::give(self.store(), self.now(), pipeline, run).await;
        let (given, settled) = given.or_failed(|| format!("what is live of {pipeline} is unknown"))?;
        if let Some(aborted) = settled.aborted {
            warn_of(context, pipeline, &aborted);
        }
        match given.filter(|given| given.canary.is_some()) {
            Some(given) => Ok((self.records().release(pipeline, &given.revision).await?, given.canary)),
            None => Ok((self.live_release(pipeline).await?, None)),
        }
    }

    /// Marks a run that is about to start, if a canary takes it.
    pub(super) async fn mark_canary(&self, record: &RunRecord) -> Result<(), CliError> {
        canary::mark(self.store(), self.now(), record)
            .await
            .or_failed(|| format!("run {} can not be marked", record.run))
    }

    /// Counts how runs of a pipeline's canary ended, which may take it off.
    pub(super) async fn settle_canary(&self, context: &Context, pipeline: &PipelineName) -> Result<(), CliError> {
        let settled = canary::settle(self.store(), self.now(), pipeline).await;
        if let Some(aborted) = settled.or_failed(|| format!("the canary of {pipeline} can not be looked at"))?.aborted {
            warn_of(context, pipeline, &aborted);
        }
        Ok(())
    }

    /// What is on trial, and what came off and was not replaced since.
    pub(crate) async fn canaries(&self) -> Result<(Vec<SeenCanary>, Vec<(PipelineName, AbortedCanary)>), CliError> {
        let pointers = observe::pointers(&ControlObjects(self.store()))
            .await
            .map_err(|error| CliError::because("what is live is unknown", error.as_ref()))?;
        let mut seen = Vec::new();
        for (pipeline, canary) in pointers.canaries {
            let tally = canary::tally(self.store(), &pipeline, &canary).await;
            let tally = tally.or_failed(|| format!("the canary of {pipeline} can not be looked at"))?;
            seen.push(SeenCanary { pipeline, canary, tally });
        }
        Ok((seen, pointers.aborted.into_iter().collect()))
    }

    /// Why what was applied last is not live whole, if it is on trial or came off.
    pub(crate) async fn is_tried(&self, applied: &Applied) -> Result<Option<String>, CliError> {
        let (seen, aborted) = self.canaries().await?;
        if let Some(seen) = seen.first() {
            let (pipeline, revision) = (&seen.pipeline, seen.canary.revision.short());
            return Ok(Some(format!("{pipeline} still tries {revision} on a part of its runs")));
        }
        let since = aborted.iter().find(|(_, aborted)| aborted.at >= applied.at);
        Ok(since.map(|(pipeline, aborted)| {
            format!("the canary {} of {pipeline} was aborted: {}", aborted.revision.short(), aborted.reason)
        }))
    }
}

fn warn_of(context: &Context, pipeline: &PipelineName, aborted: &AbortedCanary) {
    let revision = aborted.revision.short();
    context.printer.warn(&format!("the canary {revision} of {pipeline} is aborted: {}", aborted.reason));
}
