//! Whether what is deployed is what the applied commit makes: releases, packages and bundles are made again from the commit
//! and compared byte for byte, and functions are asked for the digest of the code that they run.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use liminal_functions::ports::ObjectStore as _;
use liminal_infra::aws::BundleSource as _;
use liminal_infra::drift::Found;
use liminal_infra::package;
use liminal_infra::plan::Observed;
use liminal_infra::state::LoadedState;
use liminal_schemas::aws::resource::ResourceSpec;
use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::release::Release;
use liminal_schemas::state::LivePointer;
use liminal_schemas::state::ResourceKind;
use serde::Serialize;

use super::Environment;
use super::resources::Material;
use super::resources::recorded;
use crate::error::CliError;
use crate::error::While as _;
use crate::progress::Progress;
use crate::project::Project;

/// A thing that was made again, and how it compares.
#[derive(Debug, Serialize)]
pub(crate) struct Verified {
    /// What it is: `release of train`, `package 3f2a9c01`.
    pub(crate) what: String,
    /// What is deployed; none when it is gone.
    pub(crate) deployed: Option<Digest>,
    /// What the commit makes; none when it can not be made.
    pub(crate) rebuilt: Option<Digest>,
    /// What else is to be said, such as why it can not be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

impl Verified {
    /// Whether the two are the same.
    pub(crate) fn is_same(&self) -> bool {
        self.deployed.is_some() && self.deployed == self.rebuilt
    }
}

impl Environment {
    /// Makes everything again from the project at the applied commit, and compares.
    pub(crate) async fn verify(&self, project: &Project, state: &LoadedState) -> Result<Vec<Verified>, CliError> {
        let resolved = &project.loaded.resolved;
        let progress = Progress::silent();
        let documents = recorded(Some(state));
        let files = Arc::clone(&project.snapshot);
        let material = Material { files, packages: &resolved.packages, documents, delete_messages: false };
        let workshop = self.workshop(&progress, material);
        let mut verified = Vec::new();
        for (pipeline, deployed) in &state.state.pipelines {
            let pointer: Option<LivePointer> = self.records().document(&keys::live(pipeline)).await?;
            let rebuilt = resolved.releases.get(pipeline).map(Release::revision);
            let note = match rebuilt {
                None => Some("the commit has no such pipeline".to_owned()),
                Some(rebuilt) if rebuilt != deployed.live && deployed.retired.contains(&rebuilt) => {
                    Some("it was rolled back since".to_owned())
                }
                Some(_) => None,
            };
            let deployed = pointer.map(|pointer| pointer.revision);
            verified.push(Verified { what: format!("release of {pipeline}"), deployed, rebuilt, note });
        }
        for address in state.state.resources.keys().filter(|address| address.kind == ResourceKind::Package) {
            let Some(spec) = resolved.packages.get(&address.digest) else { continue };
            let what = format!("package {}", address.digest.short());
            let deployed = self.stored(&keys::package(&address.digest)).await?;
            let rebuilt = package::build_zip(spec, &*project.snapshot);
            verified.push(compare(
                what,
                deployed,
                rebuilt.map(|zip| Digest::of_bytes(&zip)).map_err(|it| it.to_string()),
            ));
        }
        let steps = steps_of(resolved.releases.values());
        let (resources, nothing) = (workshop.resources(), Observed::default());
        for (address, record) in &state.state.resources {
            let Some(resource) = record.resource.as_deref() else { continue };
            match &resource.spec {
                ResourceSpec::Bundle(spec) if spec.package.is_none_or(|it| resolved.packages.contains_key(&it)) => {
                    let Some(bundles) = workshop.bundles() else { continue };
                    let deployed = self.stored(&keys::bundle(&address.digest)).await?;
                    let rebuilt =
                        bundles.build(spec).await.map(|built| built.facts.sha256).map_err(|it| it.to_string());
                    verified.push(compare(format!("bundle {}", address.digest.short()), deployed, rebuilt));
                }
                ResourceSpec::Function(spec)
                    if resource.serves.as_ref().is_none_or(|served| steps.contains(&served.digest)) =>
                {
                    let found = resources.look_at(address, &nothing).await;
                    let found =
                        found.map_err(|it| CliError::because("a function can not be looked at", it.as_ref()))?;
                    let note = match &found {
                        None => None,
                        Some(Found::Gone) => Some("it is gone".to_owned()),
                        Some(Found::Changed(fields)) => {
                            let names: Vec<&str> = fields.iter().map(|field| field.field).collect();
                            Some(format!("changed since: {}", names.join(", ")))
                        }
                    };
                    let rebuilt = Some(address.digest);
                    let deployed = rebuilt.filter(|_| found.is_none());
                    verified.push(Verified { what: format!("function {}", spec.name()), deployed, rebuilt, note });
                }
                ResourceSpec::Bundle(_)
                | ResourceSpec::Function(_)
                | ResourceSpec::Role(_)
                | ResourceSpec::Logs(_)
                | ResourceSpec::Queue(_)
                | ResourceSpec::Mapping(_)
                | ResourceSpec::Task(_)
                | ResourceSpec::Schedule(_)
                | ResourceSpec::Notification(_)
                | ResourceSpec::Rule(_) => {}
            }
        }
        Ok(verified)
    }

    /// The digest of an object as it is now.
    async fn stored(&self, key: &str) -> Result<Option<Digest>, CliError> {
        let object = self.store().get(key).await.or_failed(|| format!("{key} can not be read"))?;
        Ok(object.map(|object| Digest::of_bytes(&object.bytes)))
    }
}

fn compare(what: String, deployed: Option<Digest>, rebuilt: Result<Digest, String>) -> Verified {
    let (rebuilt, note) = match rebuilt {
        Ok(digest) => (Some(digest), None),
        Err(problem) => (None, Some(problem)),
    };
    Verified { what, deployed, rebuilt, note }
}

fn steps_of<'a>(releases: impl Iterator<Item = &'a Release>) -> BTreeSet<Digest> {
    let digests: BTreeMap<Digest, ()> =
        releases.flat_map(|release| release.steps.values().map(|step| (step.digest(), ()))).collect();
    digests.into_keys().collect()
}
