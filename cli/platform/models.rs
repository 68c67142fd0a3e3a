//! The models that a run will use, resolved once before it starts.

use std::collections::BTreeMap;

use liminal_functions::starter::pin::PinError;
use liminal_functions::starter::pin::pin_models;
use liminal_schemas::release::Release;
use liminal_schemas::run::PinnedModel;

use super::Environment;
use crate::error::CliError;

impl Environment {
    /// The models that a release's inputs refer to, as they stand now.
    pub(crate) async fn pin_models(&self, release: &Release) -> Result<BTreeMap<String, PinnedModel>, CliError> {
        pin_models(self.store(), release).await.map_err(|error| match &error {
            PinError::NoModel { model, .. } => CliError::new(error.to_string())
                .hint("run the pipeline that registers it first")
                .hint(format!("`liminal models {model}` lists its versions")),
            PinError::Store(_) => CliError::because("the models of the pipeline can not be looked up", &error),
        })
    }
}
