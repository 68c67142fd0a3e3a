//! Taking results over from the run that this one redrives.

use std::collections::BTreeMap;

use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::name::FieldName;
use liminal_schemas::run::Commit;
use liminal_schemas::run::RUN_SCHEMA;

use super::Runner;
use super::context::RunContext;
use super::error::RunnerError;
use super::work::Work;
use crate::documents;
use crate::ports::Platform;
use crate::protocol::takeover::is_taken_over;

impl<P: Platform> Runner<P> {
    /// The commit of the same step or item in the run that this one redrives, if it stands for what would be done now and all that it
    /// left is there. A record that makes no sense is as good as none.
    pub(super) async fn taken_over(
        &self,
        context: &RunContext,
        work: &Work<'_>,
        inputs: &BTreeMap<FieldName, Digest>,
    ) -> Result<Option<Commit>, RunnerError> {
        let Some(origin) = &context.record.redrives else { return Ok(None) };
        if context.record.cache.fresh.contains(&work.unit.step) {
            return Ok(None);
        }
        let key = keys::commit(context.pipeline(), origin, &work.unit);
        let commit: Option<documents::Versioned<Commit>> =
            match documents::read(self.platform.store(), &key, RUN_SCHEMA).await {
                Ok(commit) => commit,
                Err(error) if error.is_corrupt() => {
                    self.warn(Some(&work.unit.step), format!("{error}, so that nothing is taken over from it"));
                    None
                }
                Err(error) => return Err(error.into()),
            };
        let Some(commit) = commit.map(|commit| commit.document) else { return Ok(None) };
        if !is_taken_over(&work.spec, &commit, inputs) {
            return Ok(None);
        }
        for artifact in commit.outputs.values() {
            if !self.is_there(&work.unit.step, artifact).await? {
                return Ok(None);
            }
        }
        Ok(Some(commit))
    }
}
