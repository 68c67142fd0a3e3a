//! Packages in the object store, the same on every platform: the zip, and beside it the document it was built from.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::digest::Digest;
use liminal_schemas::files::ProjectFiles;
use liminal_schemas::keys;
use liminal_schemas::release::PackageSpec;

use crate::package::PackageError;
use crate::package::build_zip;
use crate::ports::Objects;
use crate::ports::PortError;

/// All packages.
const PACKAGES_PREFIX: &str = "packages/";

/// Makes, finds and removes packages.
pub(crate) struct PackageObjects<'a, O> {
    /// Where packages are kept.
    pub(crate) objects: &'a O,
    /// The files that packages are built from.
    pub(crate) files: &'a (dyn ProjectFiles + Sync),
    /// What digests stand for.
    pub(crate) packages: &'a BTreeMap<Digest, PackageSpec>,
}

/// Why a package can not be made.
#[derive(Debug, thiserror::Error)]
enum PackageObjectError {
    #[error("the plan holds no document for it; make the plan again")]
    NoDocument,
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error("its document can not be written")]
    Document(#[from] serde_json::Error),
}

impl<O: Objects> PackageObjects<'_, O> {
    /// Builds a package, unless it is there.
    pub(crate) async fn create(&self, digest: &Digest) -> Result<(), PortError> {
        if self.is_there(digest).await? {
            return Ok(());
        }
        let spec = self.packages.get(digest).ok_or(PackageObjectError::NoDocument)?;
        let zip = build_zip(spec, self.files).map_err(PackageObjectError::from)?;
        let document = serde_json::to_vec(spec).map_err(PackageObjectError::from)?;
        self.objects.put_if_absent(&keys::package(digest), zip).await?;
        // The document comes last: where it is, the zip is.
        self.objects.put_if_absent(&keys::package_spec(digest), document).await?;
        Ok(())
    }

    async fn is_there(&self, digest: &Digest) -> Result<bool, PortError> {
        Ok(self.objects.exists(&keys::package_spec(digest)).await?
            && self.objects.exists(&keys::package(digest)).await?)
    }

    /// Removes a package.
    pub(crate) async fn delete(&self, digest: &Digest) -> Result<(), PortError> {
        // The document goes first: a zip without it counts as absent and is written again when needed.
        self.objects.delete(&keys::package_spec(digest)).await?;
        self.objects.delete(&keys::package(digest)).await
    }
}

/// What is stored of packages, by one listing.
pub(crate) async fn stored(objects: &impl Objects) -> Result<BTreeSet<String>, PortError> {
    Ok(objects.list(PACKAGES_PREFIX).await?.into_iter().collect())
}

/// Whether a package is among what is stored.
pub(crate) fn is_stored(stored: &BTreeSet<String>, digest: &Digest) -> bool {
    stored.contains(&keys::package_spec(digest)) && stored.contains(&keys::package(digest))
}
