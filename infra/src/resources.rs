//! The resources of the platform `local`: packages in the object store, Python environments on this machine.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::digest::Digest;
use liminal_schemas::files::ProjectFiles;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::state::ResourceAddress;
use liminal_schemas::state::ResourceKind;

use crate::package_objects;
use crate::package_objects::PackageObjects;
use crate::ports::Objects;
use crate::ports::PortError;
use crate::ports::PythonEnvironments;
use crate::ports::Resources;
use crate::requirements::RequirementsError;
use crate::requirements::read_requirements;

/// Makes and removes the resources of the platform `local`.
pub struct LocalResources<'a, O, P> {
    /// Where packages are kept.
    pub objects: &'a O,
    /// The Python environments.
    pub python: &'a P,
    /// The files that packages are built from.
    pub files: &'a (dyn ProjectFiles + Sync),
    /// What the digests in addresses stand for: those of the plan.
    pub packages: &'a BTreeMap<Digest, PackageSpec>,
}

/// Why a resource can not be made.
#[derive(Debug, thiserror::Error)]
enum ResourceError {
    #[error("the plan holds no document for it; make the plan again")]
    NoDocument,
    #[error(transparent)]
    Requirements(#[from] RequirementsError),
    #[error("a {0} is a resource of the platform `aws`, and this environment is on `local`")]
    NotHere(&'static str),
}

impl<O: Objects, P: PythonEnvironments> LocalResources<'_, O, P> {
    const fn package_objects(&self) -> PackageObjects<'_, O> {
        PackageObjects { objects: self.objects, files: self.files, packages: self.packages }
    }

    async fn create_python(&self, digest: &Digest) -> Result<(), PortError> {
        let mut specs = self.packages.values().filter_map(|package| package.python.as_ref());
        let spec = specs.find(|spec| spec.digest() == *digest).ok_or(ResourceError::NoDocument)?;
        let requirements = read_requirements(spec, self.files).map_err(ResourceError::from)?;
        self.python.ensure(spec, requirements.as_deref()).await
    }
}

impl<O: Objects, P: PythonEnvironments> Resources for LocalResources<'_, O, P> {
    async fn create(&self, address: &ResourceAddress) -> Result<(), PortError> {
        match address.kind {
            ResourceKind::Package => self.package_objects().create(&address.digest).await,
            ResourceKind::Python => self.create_python(&address.digest).await,
            ResourceKind::Bundle
            | ResourceKind::Role
            | ResourceKind::Logs
            | ResourceKind::Queue
            | ResourceKind::Function
            | ResourceKind::Task
            | ResourceKind::Mapping
            | ResourceKind::Schedule
            | ResourceKind::Notification
            | ResourceKind::Rule => Err(ResourceError::NotHere(address.kind.as_str()).into()),
        }
    }

    async fn present(&self, asked: &BTreeSet<ResourceAddress>) -> Result<BTreeSet<ResourceAddress>, PortError> {
        let mut present = BTreeSet::new();
        let mut listing: Option<BTreeSet<String>> = None;
        for address in asked {
            let there = match address.kind {
                ResourceKind::Package => {
                    let stored = match listing.take() {
                        Some(stored) => stored,
                        None => package_objects::stored(self.objects).await?,
                    };
                    let there = package_objects::is_stored(&stored, &address.digest);
                    listing = Some(stored);
                    there
                }
                ResourceKind::Python => self.python.exists(address).await?,
                ResourceKind::Bundle
                | ResourceKind::Role
                | ResourceKind::Logs
                | ResourceKind::Queue
                | ResourceKind::Function
                | ResourceKind::Task
                | ResourceKind::Mapping
                | ResourceKind::Schedule
                | ResourceKind::Notification
                | ResourceKind::Rule => false,
            };
            if there {
                present.insert(address.clone());
            }
        }
        Ok(present)
    }

    async fn delete(&self, address: &ResourceAddress) -> Result<(), PortError> {
        match address.kind {
            ResourceKind::Package => self.package_objects().delete(&address.digest).await,
            ResourceKind::Python => self.python.remove(address).await,
            ResourceKind::Bundle
            | ResourceKind::Role
            | ResourceKind::Logs
            | ResourceKind::Queue
            | ResourceKind::Function
            | ResourceKind::Task
            | ResourceKind::Mapping
            | ResourceKind::Schedule
            | ResourceKind::Notification
            | ResourceKind::Rule => Err(ResourceError::NotHere(address.kind.as_str()).into()),
        }
    }
}
