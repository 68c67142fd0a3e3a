//! Whether a run that somebody asks for by hand may start beside those that are open.

use liminal_functions::runner::open_runs;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::release::Release;
use liminal_schemas::run_policy::Admission;
use liminal_schemas::run_policy::Overlap;

use super::Environment;
use crate::error::CliError;
use crate::error::While as _;
use crate::exit_code::ExitCode;

impl Environment {
    /// The runs of a pipeline that have not ended, the oldest first.
    pub(crate) async fn open_runs(&self, pipeline: &PipelineName) -> Result<Vec<RunId>, CliError> {
        open_runs(self.store(), pipeline, self.now())
            .await
            .or_failed(|| format!("the open runs of {pipeline} can not be listed"))
    }

    /// Refuses a run for which its pipeline has no room.
    pub(crate) async fn refuse_overlap(&self, release: &Release) -> Result<(), CliError> {
        let (policy, pipeline) = (&release.runs, &release.pipeline);
        if policy.overlap == Overlap::Allow {
            return Ok(());
        }
        match policy.admit_by_hand(&self.open_runs(pipeline).await?) {
            Admission::Start | Admission::Replace(_) | Admission::Wait | Admission::Full(_) => Ok(()),
            Admission::Refuse(open) => Err(self.no_room(release, &open)),
        }
    }

    fn no_room(&self, release: &Release, open: &[RunId]) -> CliError {
        let (pipeline, overlap) = (&release.pipeline, release.runs.overlap);
        let most = release.runs.max_concurrent_runs.unwrap_or(1);
        let names: Vec<&str> = open.iter().map(RunId::as_str).collect();
        let error = CliError::new(format!(
            "pipeline {pipeline} has as many open runs as it may have ({most}, by `overlap: {overlap}`): {}",
            names.join(", ")
        ));
        let error = match open.iter().find(|run| !self.is_carried(run)) {
            Some(run) => error.hint(format!("nobody drives run {run}: `liminal resume {run}` goes on with it")),
            None => error,
        };
        let first = open.first().map_or("RUN", RunId::as_str);
        error
            .hint(format!("`liminal cancel {first}` ends it"))
            .hint("`--force` starts a run beside it")
            .exit(ExitCode::Refused)
    }
}
