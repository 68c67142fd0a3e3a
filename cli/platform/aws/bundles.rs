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
use liminal_infra::bundle::Target;
use liminal_infra::ports::PortError;
use liminal_schemas::aws::resource::BundleSpec;
use liminal_schemas::digest::Digest;
use liminal_schemas::files::ProjectFiles;
use liminal_schemas::keys;
use liminal_schemas::release::PackageSpec;

use super::RunnerFile;
use crate::platform::store::Store;
use crate::progress::Progress;

/// Builds bundles from what is at hand.
pub(in crate::platform) struct Bundles<'a> {
    /// Where bundles are that hold a runner which is to stay.
    pub(in crate::platform) store: &'a Store,
    /// For each runner that is in use, the smallest bundle that holds it.
    pub(in crate::platform) holders: BTreeMap<Digest, Holder>,
    /// The files of the project.
    pub(in crate::platform) files: Arc<dyn ProjectFiles + Send + Sync>,
    /// What the digests of packages stand for.
    pub(in crate::platform) packages: &'a BTreeMap<Digest, PackageSpec>,
    /// Where dependencies are kept and what installs them.
    pub(in crate::platform) cache: DependencyCache,
    /// Where zips are written to before they are sent.
    pub(in crate::platform) folder: PathBuf,
    /// Where people see what goes on.
    pub(in crate::platform) progress: &'a Progress,
}

/// A bundle that holds a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::platform) struct Holder {
    /// The bundle.
    pub(in crate::platform) bundle: Digest,
    /// Whether a Python runtime starts the runner in it.
    pub(in crate::platform) python: bool,
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
