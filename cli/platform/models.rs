//! The models that a run will use, resolved once before it starts.

use std::collections::BTreeMap;

use liminal_schemas::release::Release;
use liminal_schemas::run::PinnedModel;
use liminal_schemas::step::InputSource;
use liminal_schemas::step::ModelSelector;

use super::Environment;
use crate::error::CliError;

impl Environment {
    /// The models that a release's inputs refer to, as they stand now.
    pub(crate) async fn pin_models(&self, release: &Release) -> Result<BTreeMap<String, PinnedModel>, CliError> {
        let records = self.records();
        let mut pinned = BTreeMap::new();
        for (step, spec) in &release.steps {
            for (input, source) in &spec.inputs {
                let InputSource::Model { name, version } = source else { continue };
                let versions = records.model_versions(name).await?;
                let aliases = records.model_aliases(name).await?;
                let wanted = match version {
                    ModelSelector::Latest => versions.last().map(|version| version.version),
                    ModelSelector::Version(number) => Some(*number),
                    ModelSelector::Alias(alias) => aliases.get(alias.as_str()).copied(),
                };
                let found = versions.into_iter().find(|version| Some(version.version) == wanted).ok_or_else(|| {
                    CliError::new(format!("input {input} of step {step} needs {source}, which does not exist"))
                        .hint("run the pipeline that registers it first")
                        .hint(format!("`liminal models {name}` lists its versions"))
                })?;
                let pin = PinnedModel { model: name.clone(), version: found.version, artifact: found.artifact };
                pinned.insert(format!("{step}.{input}"), pin);
            }
        }
        Ok(pinned)
    }
}
