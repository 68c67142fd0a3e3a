//! What the next run of a pipeline will do, by the results that this environment holds.

use std::collections::BTreeMap;

use liminal_infra::plan::forecast;
use liminal_infra::plan::forecast::CacheView;
use liminal_infra::plan::forecast::ForecastInput;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::StepName;
use liminal_schemas::plan::StepForecast;
use liminal_schemas::release::Release;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::Scheduled;
use liminal_schemas::value::Value;

use super::Environment;
use super::aws::Results;
use super::environment::Platform;
use crate::error::CliError;
use crate::past_keys;
use crate::project::Project;

impl Environment {
    /// The steps of runs that would come from the cache, for each of some times that a run may be for.
    pub(crate) async fn cached_steps(
        &self,
        release: &Release,
        params: &BTreeMap<FieldName, Value>,
        times: &[Scheduled],
    ) -> Vec<Vec<StepName>> {
        let models = self.models_now(release).await;
        // Why other steps run is not asked for.
        let (packages, last) = (BTreeMap::new(), BTreeMap::new());
        let now = self.now();
        let inputs: Vec<ForecastInput<'_>> = times
            .iter()
            .map(|time| ForecastInput {
                release,
                packages: &packages,
                params,
                models: &models,
                last: &last,
                now,
                scheduled: Some(time),
            })
            .collect();
        match &self.platform {
            Platform::Local(local) => inputs.iter().map(|input| cached(input, local)).collect(),
            Platform::Aws(_) => {
                let all = |known: &Results| inputs.iter().map(|input| cached(input, known)).collect();
                Results::settle(self.store(), std::iter::empty(), all).await
            }
        }
    }

    /// The models that the inputs of a release refer to as they stand now, as far as there are any.
    async fn models_now(&self, release: &Release) -> BTreeMap<String, Artifact> {
        let pinned = self.pin_models(release).await.unwrap_or_default();
        pinned.into_iter().map(|(input, pin)| (input, pin.artifact)).collect()
    }

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
        let models = self.models_now(release).await;
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

fn cached(input: &ForecastInput<'_>, cache: &impl CacheView) -> Vec<StepName> {
    let forecasts = forecast::forecast(input, cache);
    forecasts.into_iter().filter(|(_, what)| *what == StepForecast::Cached).map(|(step, _)| step).collect()
}
