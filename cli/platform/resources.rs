//! The resources of an environment, whatever carries it out: one port for planning and applying.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_infra::ports::PortError;
use liminal_infra::ports::Resources;
use liminal_infra::resources::LocalResources;
use liminal_schemas::digest::Digest;
use liminal_schemas::files::ProjectFiles;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::state::ResourceAddress;

use super::Environment;
use super::environment::Platform;
use super::local::MachinePython;
use super::objects::ControlObjects;
use super::store::Store;
use crate::progress::Progress;

/// What resources are made with.
pub(super) struct Workshop<'a> {
    /// Where what is made is kept.
    pub(super) objects: ControlObjects<'a, Store>,
    tools: Tools<'a>,
}

enum Tools<'a> {
    Local(MachinePython<'a>),
}

/// What resources are made from.
#[derive(Clone, Copy)]
pub(super) struct Material<'a> {
    /// The files of the project.
    pub(super) files: &'a (dyn ProjectFiles + Sync),
    /// What the digests of packages stand for.
    pub(super) packages: &'a BTreeMap<Digest, PackageSpec>,
}

/// The resources of an environment.
pub(super) enum PlatformResources<'a> {
    /// Those of this machine.
    Local(LocalResources<'a, ControlObjects<'a, Store>, MachinePython<'a>>),
}

impl Environment {
    /// What resources are made with, telling how it goes.
    pub(super) fn workshop<'a>(&'a self, progress: &'a Progress) -> Workshop<'a> {
        let tools = match &self.platform {
            Platform::Local(local) => Tools::Local(MachinePython { environments: local.environments(), progress }),
        };
        Workshop { objects: ControlObjects(self.store()), tools }
    }
}

impl Workshop<'_> {
    /// The resources that can be made from what is at hand.
    pub(super) fn resources<'a>(&'a self, material: Material<'a>) -> PlatformResources<'a> {
        match &self.tools {
            Tools::Local(python) => PlatformResources::Local(LocalResources {
                objects: &self.objects,
                python,
                files: material.files,
                packages: material.packages,
            }),
        }
    }
}

impl Resources for PlatformResources<'_> {
    async fn create(&self, address: &ResourceAddress) -> Result<(), PortError> {
        match self {
            Self::Local(local) => local.create(address).await,
        }
    }

    async fn present(&self, asked: &BTreeSet<ResourceAddress>) -> Result<BTreeSet<ResourceAddress>, PortError> {
        match self {
            Self::Local(local) => local.present(asked).await,
        }
    }

    async fn delete(&self, address: &ResourceAddress) -> Result<(), PortError> {
        match self {
            Self::Local(local) => local.delete(address).await,
        }
    }
}
