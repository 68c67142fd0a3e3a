//! JSON Schemas (2020-12) of all documents, made from the types. `schemas/json/` holds them as files.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::written;
use crate::cache_key::CacheKeyParts;
use crate::canary::CanaryEnd;
use crate::gitops::Approval;
use crate::gitops::MadeEnvironment;
use crate::gitops::Quarantine;
use crate::gitops::ReceiverRecord;
use crate::message::StepMessage;
use crate::plan::Plan;
use crate::release::PackageSpec;
use crate::release::Release;
use crate::run::AttemptFailure;
use crate::run::AttemptRecord;
use crate::run::CacheEntry;
use crate::run::CancelRequest;
use crate::run::Commit;
use crate::run::DirectoryListing;
use crate::run::ModelAlias;
use crate::run::ModelVersion;
use crate::run::RunRecord;
use crate::run::RunResult;
use crate::state::HistoryEntry;
use crate::state::Journal;
use crate::state::LivePointer;
use crate::state::Lock;
use crate::state::State;

/// A document that has a schema.
struct Document {
    name: &'static str,
    schema: fn() -> Value,
}

const fn document<T: JsonSchema>(name: &'static str) -> Document {
    Document { name, schema: schema_of::<T> }
}

const DOCUMENTS: &[Document] = &[
    document::<written::Definition>("definition"),
    document::<written::Included>("included"),
    document::<Release>("release"),
    document::<PackageSpec>("package"),
    document::<Plan>("plan"),
    document::<State>("state"),
    document::<LivePointer>("live-pointer"),
    document::<CanaryEnd>("canary-end"),
    document::<Lock>("lock"),
    document::<Journal>("journal"),
    document::<HistoryEntry>("history-entry"),
    document::<Quarantine>("quarantine"),
    document::<Approval>("approval"),
    document::<MadeEnvironment>("made-environment"),
    document::<ReceiverRecord>("receiver"),
    document::<RunRecord>("run"),
    document::<AttemptRecord>("attempt"),
    document::<AttemptFailure>("attempt-failure"),
    document::<Commit>("commit"),
    document::<RunResult>("result"),
    document::<CancelRequest>("cancel-request"),
    document::<DirectoryListing>("directory-listing"),
    document::<ModelVersion>("model-version"),
    document::<ModelAlias>("model-alias"),
    document::<CacheEntry>("cache-entry"),
    document::<CacheKeyParts>("cache-key"),
    document::<StepMessage>("step-message"),
];

/// The names of all documents that have a schema; `definition`, that of `liminal.yml`, is the first.
pub fn names() -> impl Iterator<Item = &'static str> {
    DOCUMENTS.iter().map(|document| document.name)
}

/// The JSON Schema of a document.
pub fn schema(name: &str) -> Option<Value> {
    DOCUMENTS.iter().find(|document| document.name == name).map(|document| (document.schema)())
}

fn schema_of<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::definition::decode::keys;
    use crate::definition::decode::keys::Shape;

    #[test]
    fn the_schema_and_the_decoder_know_the_same_keys() {
        let definition = schema("definition").expect("the first document");
        let included = schema("included").expect("the second document");
        let at = |path: &str| match path {
            "" => &definition,
            name => &definition["$defs"][name],
        };
        let shapes: [(&Shape, &Value); 17] = [
            (&keys::PROJECT, at("")),
            (&keys::INCLUDED, &included),
            (&keys::ENVIRONMENT, at("Environment")),
            (&keys::POLICY, at("Policy")),
            (&keys::FARGATE, at("Fargate")),
            (&keys::TRIGGER, at("Trigger")),
            (&keys::OBJECT, at("TriggerObject")),
            (&keys::PYTHON, at("Python")),
            (&keys::PARAM, at("DeclaredParam")),
            (&keys::DEFAULTS, at("Defaults")),
            (&keys::PIPELINE, at("PipelineOfStep")),
            (&keys::STEP, at("StepPart")),
            (&keys::MAP, at("MapSettings")),
            (&keys::REGISTER, at("Register")),
            (&keys::RETRIES, at("RetrySettings")),
            (&keys::RESOURCES, at("Resources")),
            (&keys::CACHE, at("CacheAge")),
        ];
        for (shape, schema) in shapes {
            let properties = schema["properties"].as_object().unwrap_or_else(|| panic!("no schema of {}", shape.what));
            let described: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
            let decoded: BTreeSet<&str> = shape.keys.iter().copied().collect();
            assert_eq!(described, decoded, "{}", shape.what);
            assert_eq!(schema["additionalProperties"], false, "{}", shape.what);
            for (key, property) in properties {
                let told = property.get("description").is_some() || property.get("$ref").is_some();
                assert!(told, "`{key}` of {} is not explained", shape.what);
            }
        }
    }

    #[test]
    fn the_schema_files_are_up_to_date() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("json");
        let update = std::env::var_os("LIMINAL_UPDATE_SCHEMAS").is_some();
        let mut expected = BTreeSet::new();
        for name in names() {
            let path = folder.join(format!("{name}.schema.json"));
            let text = serde_json::to_string_pretty(&schema(name)).expect("a schema is JSON") + "\n";
            if update {
                std::fs::write(&path, &text).expect("the folder is writable");
            }
            let stored = std::fs::read_to_string(&path).unwrap_or_default();
            let advice = "run the tests with LIMINAL_UPDATE_SCHEMAS=1, and look at what changed";
            assert!(stored == text, "{} differs from its type: {advice}", path.display());
            expected.insert(path);
        }
        let stored: BTreeSet<_> =
            std::fs::read_dir(&folder).expect("the folder").map(|entry| entry.expect("a file").path()).collect();
        assert_eq!(stored, expected, "files without a document, or documents without a file");
    }
}
