//! Bundles, built on this machine when the bucket lacks them: the code, its dependencies, and what runs it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use liminal_functions::ports::ObjectStore as _;
use liminal_functions::python::handler;
use liminal_infra::aws;
use liminal_infra::aws::BundleFacts;
use liminal_infra::aws::BundleSource;
use liminal_infra::bundle;
use liminal_infra::bundle::BundleInputs;
use liminal_infra::bundle::DependencyCache;
use liminal_infra::bundle::ExtraFile;
use liminal_infra::bundle::ExtraFiles;
use liminal_infra::bundle::Installer;
use liminal_infra::bundle::Target;
use liminal_infra::ports::PortError;
use liminal_schemas::aws::resource::BundleSpec;
use liminal_schemas::aws::resource::CloudResource;
use liminal_schemas::aws::resource::ResourceSpec;
use liminal_schemas::digest::Digest;
use liminal_schemas::files::ProjectFiles;
use liminal_schemas::keys;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::state::ResourceAddress;

use super::RunnerFile;
use crate::env_vars;
use crate::platform::Environment;
use crate::platform::find_program;
use crate::platform::resources::Material;
use crate::platform::store::Store;
use crate::progress::Progress;

/// Builds bundles from what is at hand.
pub(in crate::platform) struct Bundles<'a> {
    store: &'a Store,
    /// For each runner that is in use, a bundle that holds it.
    holders: BTreeMap<Digest, Holder>,
    files: Arc<dyn ProjectFiles + Send + Sync>,
    packages: &'a BTreeMap<Digest, PackageSpec>,
    cache: DependencyCache,
    /// Where zips are written to before they are sent.
    folder: PathBuf,
    progress: &'a Progress,
}

/// A bundle that holds a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holder {
    bundle: Digest,
    /// Whether a Python runtime starts the runner in it.
    python: bool,
}

impl<'a> Bundles<'a> {
    /// Builds from the material of a plan.
    pub(in crate::platform) fn new(
        environment: &'a Environment,
        material: &Material<'a>,
        progress: &'a Progress,
    ) -> Self {
        let settings = environment.settings();
        Self {
            store: environment.store(),
            holders: holders(&material.documents),
            files: Arc::clone(&material.files),
            packages: material.packages,
            cache: DependencyCache {
                cache_dir: settings.cache_dir.clone(),
                installer: Installer {
                    uv: find_program("uv", &settings.path),
                    search_path: settings.path.clone(),
                    variables: env_vars::all(),
                },
            },
            folder: environment.folder().join("bundles"),
            progress,
        }
    }
}

/// For each runner, the bundle that holds it and the least besides.
fn holders(documents: &BTreeMap<ResourceAddress, CloudResource>) -> BTreeMap<Digest, Holder> {
    let mut holders = BTreeMap::new();
    for (address, resource) in documents {
        let ResourceSpec::Bundle(bundle) = &resource.spec else { continue };
        let Some(runner) = bundle.runner else { continue };
        let holder = Holder { bundle: address.digest, python: bundle.python.is_some() };
        if bundle.package.is_none() {
            holders.insert(runner, holder);
        } else {
            holders.entry(runner).or_insert(holder);
        }
    }
    holders
}

/// Why a bundle can not be built.
#[derive(Debug, thiserror::Error)]
enum BundleProblem {
    #[error("the plan holds no document of package {}; make the plan again", .0.short())]
    NoPackage(Digest),
    #[error(
        "the plan was made with another runner ({}) than the one at hand ({}); make the plan again, or name that one by LIMINAL_RUNNER",
        .wanted.short(), .found.short()
    )]
    OtherRunner { wanted: Digest, found: Digest },
    #[error("{0}")]
    NoRunner(String),
}

impl Bundles<'_> {
    /// What liminal adds to a bundle.
    async fn extra(&self, spec: &BundleSpec) -> Result<Vec<ExtraFile>, PortError> {
        let Some(wanted) = spec.runner else { return Ok(Vec::new()) };
        let runner = |path: &str, content| ExtraFile { path: path.to_owned(), executable: true, content };
        let content = self.runner(spec, wanted).await?;
        if spec.python.is_none() {
            return Ok(vec![runner(handler::BOOTSTRAP_FILE, content)]);
        }
        let text = handler::TEXT.as_bytes().to_vec();
        let shim = ExtraFile { path: handler::FILE.to_owned(), executable: false, content: text };
        Ok(vec![shim, runner(handler::RUNNER_FILE, content)])
    }

    /// The program of a runner: the one at hand, or one that stays because nobody wants a newer one yet.
    async fn runner(&self, spec: &BundleSpec, wanted: Digest) -> Result<Vec<u8>, PortError> {
        let found = RunnerFile::find(spec.arch);
        if let Ok(found) = &found
            && found.digest == wanted
        {
            return Ok(std::fs::read(&found.path)?);
        }
        if let Some(holder) = self.holders.get(&wanted)
            && let Some(zip) = self.store.get(&keys::bundle(&holder.bundle)).await?
        {
            let path = if holder.python { handler::RUNNER_FILE } else { handler::BOOTSTRAP_FILE };
            let content = bundle::read_entry(&zip.bytes, path)?.unwrap_or_default();
            if Digest::of_bytes(&content) == wanted {
                return Ok(content);
            }
        }
        Err(match found {
            Ok(found) => BundleProblem::OtherRunner { wanted, found: found.digest },
            Err(error) => BundleProblem::NoRunner(error.summary()),
        }
        .into())
    }
}

impl BundleSource for Bundles<'_> {
    async fn build(&self, spec: &BundleSpec) -> Result<aws::BuiltBundle, PortError> {
        let package = match &spec.package {
            Some(digest) => Some(self.packages.get(digest).ok_or(BundleProblem::NoPackage(*digest))?.clone()),
            None => None,
        };
        let extra = self.extra(spec).await?;
        let (files, cache, folder) = (Arc::clone(&self.files), self.cache.clone(), self.folder.clone());
        let (python, arch, in_function) = (spec.python.clone(), spec.arch, spec.runner.is_some());
        let title = match &spec.package {
            Some(digest) => format!("packing {} with its dependencies", digest.short()),
            None => "packing the runner".to_owned(),
        };
        let spinner = self.progress.spinner(title.clone());
        let told = spinner.clone();
        // Several bundles are packed at once, and what waits for AWS meanwhile is not held up.
        let built = tokio::task::spawn_blocking(move || -> Result<aws::BuiltBundle, PortError> {
            std::fs::create_dir_all(&folder)?;
            let target = match &python {
                Some(version) if in_function => Some(Target::of_function(version, arch)?),
                Some(version) => Some(Target::of_image(version, arch)?),
                None => None,
            };
            let inputs = BundleInputs {
                package: package.as_ref(),
                files: &*files,
                target: target.as_ref(),
                extra: &ExtraFiles::pack(extra)?,
                cache: &cache,
                folder: &folder,
            };
            let built = bundle::build(&inputs, &mut |line| told.set_message(format!("{title}: {line}")))?;
            if in_function {
                bundle::check_size(built.unzipped_bytes, &built.packages)?;
            }
            let facts = BundleFacts {
                sha256: built.sha256,
                zipped_bytes: built.zipped_bytes,
                unzipped_bytes: built.unzipped_bytes,
            };
            Ok(aws::BuiltBundle { file: built.file, facts })
        })
        .await;
        spinner.finish_and_clear();
        built?
    }
}
