//! Puts in place what a run needs before it starts: packages, Python environments, the release.

use std::collections::BTreeSet;

use liminal_functions::ports::ObjectStore as _;
use liminal_infra::ports::Resources as _;
use liminal_infra::resources::LocalResources;
use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::name::StepName;
use liminal_schemas::plan::StepForecast;
use liminal_schemas::release::Release;
use liminal_schemas::run::RunRecord;
use liminal_schemas::state::ResourceAddress;
use liminal_schemas::state::ResourceKind;

use super::Local;
use super::MachinePython;
use crate::app::Context;
use crate::error::CliError;
use crate::error::While as _;
use crate::platform::Environment;
use crate::platform::objects::ControlObjects;
use crate::progress::Progress;
use crate::project::Project;
use crate::records::Records;

impl Local {
    /// Checks that the Python environments of a release are still there: the cache folder may have been emptied.
    pub(in crate::platform) async fn check_environments(&self, release: &Release) -> Result<(), CliError> {
        let records = Records::new(&*self.store);
        let environments = self.environments();
        for digest in release.steps.values().filter_map(|step| step.package).collect::<BTreeSet<_>>() {
            let package = records.package(&digest).await?;
            let python = package.and_then(|package| package.python);
            if python.is_some_and(|python| !environments.has(&python.digest())) {
                return Err(CliError::new("the Python environment of this run is gone from the cache folder")
                    .hint("`liminal run` builds it again and takes from the cache what is done")
                    .hint(format!("the cache folder is {}", self.settings.cache_dir.display())));
            }
        }
        Ok(())
    }

    /// Puts all in place that a run of a release needs: packages, Python environments and the release itself.
    pub(in crate::platform) async fn publish(
        &self,
        context: &Context,
        project: &Project,
        release: &Release,
        starts_python: bool,
    ) -> Result<(), CliError> {
        let progress = Progress::new(&context.printer);
        let packages = &project.loaded.resolved.packages;
        let objects = ControlObjects(&*self.store);
        let python = MachinePython { environments: self.environments(), progress: &progress };
        let resources = LocalResources { objects: &objects, python: &python, files: &*project.snapshot, packages };
        let used: BTreeSet<Digest> = release.steps.values().filter_map(|step| step.package).collect();
        let mut addresses = BTreeSet::new();
        for digest in used {
            addresses.insert(ResourceAddress { kind: ResourceKind::Package, digest });
            let spec = packages.get(&digest).and_then(|package| package.python.as_ref()).filter(|_| starts_python);
            addresses.extend(spec.map(|spec| ResourceAddress { kind: ResourceKind::Python, digest: spec.digest() }));
        }
        for address in &addresses {
            resources.create(address).await.map_err(|error| {
                let what = if address.kind == ResourceKind::Python {
                    "the Python environment can not be made"
                } else {
                    "the package of a step can not be made"
                };
                CliError::because(what, error.as_ref())
            })?;
        }
        let key = keys::release(&release.pipeline, &release.revision());
        let bytes = serde_json::to_vec(release).or_failed(|| format!("{key} can not be written"))?;
        self.store.put_if_absent(&key, &bytes).await.or_failed(|| format!("{key} can not be written"))?;
        Ok(())
    }

    /// Whether a run may start a Python step whose environment is not there yet. Where the cache holds all results, the
    /// minutes that an environment takes to build are spared.
    pub(in crate::platform) async fn starts_python(
        &self,
        environment: &Environment,
        project: &Project,
        record: &RunRecord,
        release: &Release,
    ) -> Result<bool, CliError> {
        let packages = &project.loaded.resolved.packages;
        let environments = self.environments();
        let python_of = |digest: &Digest| packages.get(digest).and_then(|package| package.python.as_ref());
        let missing = release.steps.iter().filter(|(_, step)| {
            step.package.as_ref().and_then(python_of).is_some_and(|python| !environments.has(&python.digest()))
        });
        let missing: Vec<&StepName> = missing.map(|(name, _)| name).collect();
        if missing.is_empty() || record.cache.off || !record.cache.fresh.is_empty() {
            return Ok(true);
        }
        let forecast = environment.forecast(project, release, &record.params, Some(&record.scheduled())).await?;
        Ok(missing.iter().any(|step| forecast.get(*step) != Some(&StepForecast::Cached)))
    }
}
