//! What the next run of a pipeline will do, by the results that this environment holds.

use std::collections::BTreeMap;

use liminal_infra::plan::forecast;
use liminal_infra::plan::forecast::ForecastInput;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::StepName;
use liminal_schemas::plan::StepForecast;
use liminal_schemas::release::Release;
use liminal_schemas::run::Scheduled;
use liminal_schemas::value::Value;

use super::Environment;
use super::aws::Results;
use super::environment::Platform;
use crate::error::CliError;
use crate::past_keys;
use crate::project::Project;

impl Environment {
    /// What the next run of a pipeline will do; `scheduled` is the time that it is for, where that is not now.
    pub(crate) async fn forecast(
        &self,
        project: &Project,
        release: &Release,
        params: &BTreeMap<FieldName, Value>,
        scheduled: Option<&Scheduled>,
    ) -> Result<BTreeMap<StepName, StepForecast>, CliError> {
        let last = past_keys::latest(&self.records(), &release.pipeline, None).await?;
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
            scheduled,
        };
        Ok(match &self.platform {
            Platform::Local(local) => forecast::forecast(&input, local),
            Platform::Aws(_) => {
                // What the last runs made is most likely what is asked for first.
                let keys = last.values().map(|facts| facts.parts.key());
                Results::settle(self.store(), keys, |known| forecast::forecast(&input, known)).await
            }
        })
    }
}
