//! What an environment is to be made of, from its releases and the runner that functions get.

use std::collections::BTreeMap;

use liminal_functions::ports::ObjectStore as _;
use liminal_infra::apply::window::all;
use liminal_infra::aws::BundleFacts;
use liminal_infra::desired::AwsDesired;
use liminal_infra::desired::AwsInput;
use liminal_infra::desired::aws_resources;
use liminal_infra::plan::Revised;
use liminal_infra::plan::recorded_runner;
use liminal_infra::state::LoadedState;
use liminal_schemas::aws::resource::BundleSpec;
use liminal_schemas::aws::resource::ResourceSpec;
use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::name::PipelineName;
use liminal_schemas::release::PackageSpec;

use super::Aws;
use super::RunnerFile;
use crate::error::CliError;
use crate::platform::store::Store;
use crate::records::AT_ONCE;

impl Aws {
    /// What the releases are to be carried out by. `live` is what starts runs, where that is something else than these.
    /// `keep_runner` leaves functions the runner that they have.
    pub(in crate::platform) async fn desired(
        &self,
        store: &Store,
        (releases, live): (&BTreeMap<PipelineName, Revised>, &BTreeMap<PipelineName, Revised>),
        packages: &BTreeMap<Digest, PackageSpec>,
        state: Option<&LoadedState>,
        keep_runner: bool,
    ) -> Result<AwsDesired, CliError> {
        let kept = state.filter(|_| keep_runner).and_then(|loaded| recorded_runner(&loaded.state));
        let runner = match kept {
            Some(runner) => runner,
            None => RunnerFile::find(self.spec.arch)?.digest,
        };
        let sizes = sizes(store, packages, state).await;
        let owner = &self.site.owner;
        aws_resources(&AwsInput {
            place: &self.site.place,
            spec: &self.spec,
            project: &owner.project,
            environment: &owner.environment,
            releases,
            live,
            packages,
            runner,
            sizes: &sizes,
        })
        .map_err(|problems| {
            let environment = &owner.environment;
            let error = CliError::new(format!("environment {environment} can not carry this definition out"));
            problems.iter().fold(error, |error, problem| error.cause(problem))
        })
    }
}

/// What the dependencies of Python environments take when they are unpacked, in bytes: as far as a bundle with them is
/// in the bucket.
async fn sizes(
    store: &Store,
    packages: &BTreeMap<Digest, PackageSpec>,
    state: Option<&LoadedState>,
) -> BTreeMap<Digest, u64> {
    let Some(loaded) = state else { return BTreeMap::new() };
    let mut bundles: BTreeMap<Digest, Digest> = BTreeMap::new();
    for (address, record) in &loaded.state.resources {
        let Some(ResourceSpec::Bundle(BundleSpec { package: Some(package), .. })) =
            record.resource.as_deref().map(|resource| &resource.spec)
        else {
            continue;
        };
        if let Some(python) = packages.get(package).and_then(|package| package.python.as_ref()) {
            bundles.entry(python.digest()).or_insert(address.digest);
        }
    }
    let reads = bundles.iter().map(|(python, bundle)| async move {
        // A size that can not be read is one that is not known.
        let object = store.get(&keys::bundle_facts(bundle)).await.ok().flatten()?;
        let facts: BundleFacts = serde_json::from_slice(&object.bytes).ok()?;
        Some((*python, facts.unzipped_bytes))
    });
    all(reads, AT_ONCE).await.into_iter().flatten().collect()
}
