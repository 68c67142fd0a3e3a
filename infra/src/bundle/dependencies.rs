//! The dependencies of a package for a target: installed once, and kept as a zip whose entries bundles take as they are.

use std::fs;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use liminal_schemas::aws::layout::DEPENDENCIES_FOLDER;
use liminal_schemas::digest::Digest;
use liminal_schemas::files::ProjectFiles;
use liminal_schemas::release::PythonSpec;
use serde::Deserialize;
use serde::Serialize;

use super::archive;
use super::error::BundleError;
use super::installer::Installer;
use super::installer::Order;
use super::limits::PackageSize;
use super::slim::SLIMMING;
use super::target::Target;
use super::tree;
use crate::requirements::read_requirements;

/// Changes when the same dependencies would come to be packed differently.
const PACKING: u32 = 1;

const ZIP: &str = "deps.zip";
const FACTS: &str = "deps.json";

/// Dependencies below a cache folder of this machine.
#[derive(Clone, Debug)]
pub struct DependencyCache {
    /// The cache folder.
    pub cache_dir: PathBuf,
    /// What installs what is not there yet.
    pub installer: Installer,
}

/// Dependencies that are built.
#[derive(Clone, Debug)]
pub struct Dependencies {
    /// The zip.
    pub zip: PathBuf,
    /// What is known of it.
    pub facts: DependencyFacts,
}

/// What is known of the dependencies of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DependencyFacts {
    /// What they take unzipped, in bytes.
    pub unzipped_bytes: u64,
    /// How long their zip is, in bytes.
    pub zipped_bytes: u64,
    /// The packages, biggest first.
    pub packages: Vec<PackageSize>,
}

/// What dependencies are known by.
#[derive(Serialize)]
struct Key<'a> {
    packing: u32,
    slimming: u32,
    python: &'a PythonSpec,
    target: &'a Target,
}

impl DependencyCache {
    /// How large the dependencies are that a specification names: as cached, else after building them.
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure).
    pub fn sizes(
        &self,
        spec: &PythonSpec,
        files: &dyn ProjectFiles,
        target: &Target,
        progress: &mut dyn FnMut(&str),
    ) -> Result<DependencyFacts, BundleError> {
        Ok(self.ensure(spec, files, target, progress)?.map_or_else(DependencyFacts::default, |found| found.facts))
    }

    /// The dependencies that a specification names, built now if they are not there yet; none where it names no
    /// requirements. Blocks, also while another process builds the same; `progress` gets the lines that the installer
    /// prints.
    ///
    /// # Errors
    /// When the requirements can not be read, or not be installed for the target.
    pub fn ensure(
        &self,
        spec: &PythonSpec,
        files: &dyn ProjectFiles,
        target: &Target,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Option<Dependencies>, BundleError> {
        let Some(file) = &spec.requirements else { return Ok(None) };
        let folder = self.folder(spec, target);
        if let Some(found) = find(&folder) {
            return Ok(Some(found));
        }
        let content = read_requirements(spec, files)?.unwrap_or_default();
        let parent = folder.parent().unwrap_or(&self.cache_dir);
        fs::create_dir_all(parent).map_err(BundleError::io(parent))?;
        let lock_file = folder.with_extension("lock");
        let lock = File::create(&lock_file).map_err(BundleError::io(&lock_file))?;
        lock.lock().map_err(BundleError::io(&lock_file))?;
        if let Some(found) = find(&folder) {
            return Ok(Some(found));
        }
        // Under the lock nobody else builds here: what is there was left by one who was killed.
        let building = folder.with_extension("building");
        remove(&building)?;
        remove(&folder)?;
        let built = self.build(&content, &file.path, target, &building, progress);
        let built = built.and_then(|result| fs::rename(result, &folder).map_err(BundleError::io(&folder)));
        let removed = remove(&building);
        built.and(removed)?;
        let missing = || BundleError::io(&folder)(io::ErrorKind::NotFound.into());
        find(&folder).map(Some).ok_or_else(missing)
    }

    fn folder(&self, python: &PythonSpec, target: &Target) -> PathBuf {
        let key = Key { packing: PACKING, slimming: SLIMMING, python, target };
        self.cache_dir.join("dependencies").join(Digest::of_document(&key).hex())
    }

    /// Builds below a folder; gives the one to keep.
    fn build(
        &self,
        content: &[u8],
        shown: &str,
        target: &Target,
        building: &Path,
        progress: &mut dyn FnMut(&str),
    ) -> Result<PathBuf, BundleError> {
        let [installed, scratch, result] = ["installed", "scratch", "result"].map(|name| building.join(name));
        for folder in [&installed, &scratch, &result] {
            fs::create_dir_all(folder).map_err(BundleError::io(folder))?;
        }
        let requirements = scratch.join("requirements.txt");
        fs::write(&requirements, content).map_err(BundleError::io(&requirements))?;
        let order = Order { requirements: &requirements, content, shown, into: &installed, scratch: &scratch, target };
        self.installer.install(&order, progress)?;
        let mut prepared = tree::prepare(&installed, target)?;
        progress("packing the dependencies");
        for entry in &mut prepared.entries {
            entry.path = format!("{DEPENDENCIES_FOLDER}/{}", entry.path);
        }
        let zip = result.join(ZIP);
        archive::create(&zip, &prepared.entries).map_err(BundleError::zip(&zip))?;
        let facts = DependencyFacts {
            unzipped_bytes: prepared.entries.iter().map(|entry| entry.bytes).sum(),
            zipped_bytes: fs::metadata(&zip).map_err(BundleError::io(&zip))?.len(),
            packages: prepared.packages,
        };
        let path = result.join(FACTS);
        let text = serde_json::to_vec(&facts).map_err(|error| BundleError::io(&path)(error.into()))?;
        fs::write(&path, text).map_err(BundleError::io(&path))?;
        Ok(result)
    }
}

/// What was built, if it is whole: a power failure can leave a file shorter than it was.
fn find(folder: &Path) -> Option<Dependencies> {
    let facts: DependencyFacts = serde_json::from_slice(&fs::read(folder.join(FACTS)).ok()?).ok()?;
    let zip = folder.join(ZIP);
    (fs::metadata(&zip).ok()?.len() == facts.zipped_bytes).then_some(Dependencies { zip, facts })
}

fn remove(folder: &Path) -> Result<(), BundleError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BundleError::io(folder)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
