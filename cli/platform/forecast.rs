//! What the next run of a pipeline will do, by the results that this environment holds.

use std::collections::BTreeMap;

use liminal_infra::plan::forecast;
use liminal_infra::plan::forecast::CacheView;
use liminal_infra::plan::forecast::ForecastInput;
use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::StepName;
use liminal_schemas::plan::StepForecast;
use liminal_schemas::release::Release;
use liminal_schemas::run::CacheEntry;
use liminal_schemas::value::Value;

use super::Local;
use crate::error::CliError;
use crate::past_keys;
use crate::project::Project;
use crate::records::Records;

impl Local {
    /// What the next run of a pipeline will do.
    pub(crate) async fn forecast(
        &self,
        project: &Project,
        release: &Release,
        params: &BTreeMap<FieldName, Value>,
    ) -> Result<BTreeMap<StepName, StepForecast>, CliError> {
        let records = Records::new(self.store());
        let last = past_keys::latest(&records, &release.pipeline, None).await?;
        let last = last.into_iter().map(|(step, (_, key))| (step, key)).collect();
        let pinned = self.pin_models(release).await.unwrap_or_default();
        let models = pinned.into_iter().map(|(input, pin)| (input, pin.artifact)).collect();
        let input = ForecastInput {
            release,
            packages: &project.loaded.resolved.packages,
            params,
            models: &models,
            last: &last,
            now: self.now(),
        };
        Ok(forecast::forecast(&input, self))
    }
}

impl CacheView for Local {
    fn entry(&self, key: &Digest) -> Option<CacheEntry> {
        let path = self.store().path_of(&keys::cache(key)).ok()?;
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    fn has_artifact(&self, digest: &Digest) -> bool {
        self.store().path_of(&keys::artifact(digest)).is_ok_and(|path| path.exists())
    }
}
