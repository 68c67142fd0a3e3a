//! Packages on this machine: unpacked once, read-only, from a zip that is not trusted.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::release::PythonSpec;
use liminal_schemas::run::Failure;

use crate::attempt::command::Code;
use crate::attempt::failure;
use crate::attempt::folder::remove_tree;
use crate::unpack::UnpackError;
use crate::unpack::ZipLimits;
use crate::unpack::unpack;

/// A package that is there to be used.
#[derive(Debug)]
pub struct LocalPackage {
    /// Its code.
    pub code: Arc<Code>,
    /// The Python environment it needs, if any.
    pub python: Option<PythonSpec>,
}

/// The packages of an object root, unpacked beside it.
#[derive(Debug)]
pub struct LocalPackages {
    objects: PathBuf,
    unpacked: PathBuf,
    known: Mutex<BTreeMap<Digest, Arc<LocalPackage>>>,
}

impl LocalPackages {
    /// Packages from `objects`, unpacked into `unpacked`.
    pub fn new(objects: PathBuf, unpacked: PathBuf) -> Self {
        Self { objects, unpacked, known: Mutex::default() }
    }

    /// The package, unpacked if it was not yet.
    ///
    /// # Errors
    /// When it is not in the store, or is not to be trusted.
    pub fn get(&self, digest: &Digest) -> Result<Arc<LocalPackage>, Failure> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(package) = known.get(digest)
            && package.code.folder.exists()
        {
            return Ok(package.clone());
        }
        let spec = self.spec(digest)?;
        let folder = self.unpacked.join(digest.hex());
        if !folder.exists() {
            let zip = self.objects.join(keys::package(digest));
            unpack_once(&zip, &spec, &self.unpacked, &folder).map_err(|error| match error {
                UnpackError::Io(error) => {
                    failure::infrastructure(&format!("unpacking {}", keys::package(digest)), &error)
                }
                UnpackError::Zip(zip::result::ZipError::Io(error)) => {
                    failure::infrastructure(&format!("reading {}", keys::package(digest)), &error)
                }
                UnpackError::Zip(error) => {
                    failure::poison(format!("package {} is no readable zip: {error}", keys::package(digest)))
                }
                error => failure::poison(format!("package {} is refused: {error}", keys::package(digest))),
            })?;
        }
        let code = Code { folder, root: spec.root, files: spec.files.into_keys().collect() };
        let package = Arc::new(LocalPackage { code: Arc::new(code), python: spec.python });
        known.insert(*digest, package.clone());
        Ok(package)
    }

    fn spec(&self, digest: &Digest) -> Result<PackageSpec, Failure> {
        let key = keys::package_spec(digest);
        let text = fs::read(self.objects.join(&key)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                let lost = failure::poison(format!("object {key} is not in the store"));
                failure::with_hint(lost, "`liminal apply` builds it again")
            }
            _ => failure::infrastructure(&format!("reading object {key}"), &error),
        })?;
        let spec: PackageSpec = serde_json::from_slice(&text)
            .map_err(|error| failure::poison(format!("object {key} is no package document: {error}")))?;
        let actual = spec.digest();
        if actual != *digest {
            return Err(failure::poison(format!("object {key} is corrupt: expected {digest}, found {actual}")));
        }
        Ok(spec)
    }
}

fn unpack_once(zip: &Path, spec: &PackageSpec, unpacked: &Path, folder: &Path) -> Result<(), UnpackError> {
    fs::create_dir_all(unpacked)?;
    let mut building = tempfile::Builder::new().prefix(".unpacking-").tempdir_in(unpacked)?;
    // Read-only folders of a failed try are beyond the temporary folder's own clean-up.
    building.disable_cleanup(true);
    let built = unpack(File::open(zip)?, building.path(), ZipLimits::default()).and_then(|files| {
        let listed: BTreeSet<&String> = spec.files.keys().collect();
        match listed.symmetric_difference(&files.iter().collect()).next() {
            Some(name) => Err(UnpackError::NotAsListed((*name).clone())),
            None => Ok(()),
        }
    });
    let placed = built.and_then(|()| match fs::rename(building.path(), folder) {
        Ok(()) => Ok(true),
        // Another process was faster.
        Err(_) if folder.exists() => Ok(false),
        Err(error) => Err(error.into()),
    });
    if !matches!(placed, Ok(true)) {
        remove_tree(building.path())?;
    }
    placed.map(drop)
}
