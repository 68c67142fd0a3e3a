//! Pins the models that a release's inputs refer to, as they stand when a run starts: whatever is registered later, the run
//! stays the same.

use std::collections::BTreeMap;

use liminal_schemas::keys;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::ModelName;
use liminal_schemas::name::StepName;
use liminal_schemas::release::Release;
use liminal_schemas::run::ModelAlias;
use liminal_schemas::run::ModelVersion;
use liminal_schemas::run::PinnedModel;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::step::InputSource;
use liminal_schemas::step::ModelSelector;

use crate::documents;
use crate::documents::Versioned;
use crate::ports::ObjectStore;
use crate::ports::StoreError;

/// Why the models of a release can not be pinned.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// A record of a model could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A model, or the version that is asked for, does not exist.
    #[error("input {input} of step {step} needs {wanted}, which does not exist")]
    NoModel {
        /// The step.
        step: StepName,
        /// Its input.
        input: FieldName,
        /// The model.
        model: ModelName,
        /// What the input refers to, as a definition writes it.
        wanted: String,
    },
}

/// The models that a release's inputs refer to, by `step.input`.
///
/// # Errors
/// When one of them does not exist, or can not be read.
pub async fn pin_models(
    store: &impl ObjectStore,
    release: &Release,
) -> Result<BTreeMap<String, PinnedModel>, PinError> {
    let mut pinned = BTreeMap::new();
    for (step, spec) in &release.steps {
        for (input, source) in &spec.inputs {
            let InputSource::Model { name, version } = source else { continue };
            let Some(found) = find(store, name, version).await? else {
                return Err(PinError::NoModel {
                    step: step.clone(),
                    input: input.clone(),
                    model: name.clone(),
                    wanted: source.to_string(),
                });
            };
            let pin = PinnedModel { model: name.clone(), version: found.version, artifact: found.artifact };
            pinned.insert(format!("{step}.{input}"), pin);
        }
    }
    Ok(pinned)
}

async fn find(
    store: &impl ObjectStore,
    model: &ModelName,
    wanted: &ModelSelector,
) -> Result<Option<ModelVersion>, StoreError> {
    let key = match wanted {
        // Keys of versions are in the order of their numbers.
        ModelSelector::Latest => store.list(&keys::model_versions_prefix(model)).await?.pop(),
        ModelSelector::Version(number) => Some(keys::model_version(model, *number)),
        ModelSelector::Alias(alias) => {
            let alias: Option<Versioned<ModelAlias>> =
                documents::read(store, &keys::model_alias(model, alias), RUN_SCHEMA).await?;
            alias.map(|alias| keys::model_version(model, alias.document.version))
        }
    };
    let Some(key) = key else { return Ok(None) };
    let found: Option<Versioned<ModelVersion>> = documents::read(store, &key, RUN_SCHEMA).await?;
    Ok(found.map(|found| found.document))
}
