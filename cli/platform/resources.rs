//! The resources of an environment, whatever carries it out: one port for planning and applying.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use liminal_infra::aws::AwsResources;
use liminal_infra::drift::Found;
use liminal_infra::plan::Observed;
use liminal_infra::ports::PortError;
use liminal_infra::ports::Resources;
use liminal_infra::resources::LocalResources;
use liminal_infra::state::LoadedState;
use liminal_schemas::aws::resource::CloudResource;
use liminal_schemas::digest::Digest;
use liminal_schemas::files::ProjectFiles;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::state::ResourceAddress;

use super::Environment;
use super::aws::Bundles;
use super::effects::Effects;
use super::environment::Platform;
use super::local::MachinePython;
use super::objects::ControlObjects;
use super::store::Store;
use crate::progress::Progress;

/// What resources are made from.
pub(super) struct Material<'a> {
    /// The files of the project.
    pub(super) files: Arc<dyn ProjectFiles + Send + Sync>,
    /// What the digests of packages stand for.
    pub(super) packages: &'a BTreeMap<Digest, PackageSpec>,
    /// What the addresses of cloud resources stand for.
    pub(super) documents: BTreeMap<ResourceAddress, CloudResource>,
    /// Whether queues may go although there is work in them.
    pub(super) delete_messages: bool,
}

/// What resources are made with.
pub(super) struct Workshop<'a> {
    /// Where what is made is kept.
    pub(super) objects: ControlObjects<'a, Store>,
    material: Material<'a>,
    tools: Tools<'a>,
}

enum Tools<'a> {
    Local(MachinePython<'a>),
    Aws { site: &'a liminal_infra::aws::Site, bundles: Box<Bundles<'a>>, effects: &'a Effects },
}

/// The resources of an environment.
pub(super) enum PlatformResources<'a> {
    /// Those of this machine.
    Local(LocalResources<'a, ControlObjects<'a, Store>, MachinePython<'a>>),
    /// Those of an AWS account.
    Aws(AwsResources<'a, ControlObjects<'a, Store>, Bundles<'a>>, &'a Effects),
}

impl Environment {
    /// What resources are made with, telling how it goes.
    pub(super) fn workshop<'a>(&'a self, progress: &'a Progress, material: Material<'a>) -> Workshop<'a> {
        let tools = match &self.platform {
            Platform::Local(local) => Tools::Local(MachinePython { environments: local.environments(), progress }),
            Platform::Aws(aws) => {
                let bundles = Bundles::new(self, &material, progress);
                Tools::Aws { site: &aws.site, bundles: Box::new(bundles), effects: aws.effects() }
            }
        };
        Workshop { objects: ControlObjects(self.store()), material, tools }
    }
}

impl<'w> Workshop<'w> {
    /// What builds bundles; none on this machine, which needs none.
    pub(super) fn bundles(&self) -> Option<&Bundles<'w>> {
        match &self.tools {
            Tools::Local(_) => None,
            Tools::Aws { bundles, .. } => Some(bundles),
        }
    }

    /// The resources that can be made from what is at hand.
    pub(super) fn resources<'a>(&'a self) -> PlatformResources<'a>
    where
        'w: 'a,
    {
        let material = &self.material;
        match &self.tools {
            Tools::Local(python) => PlatformResources::Local(LocalResources {
                objects: &self.objects,
                python,
                files: &*material.files,
                packages: material.packages,
            }),
            Tools::Aws { site, bundles, effects } => {
                let resources = AwsResources {
                    site,
                    objects: &self.objects,
                    bundles: &**bundles,
                    files: &*material.files,
                    packages: material.packages,
                    documents: &material.documents,
                    delete_messages: material.delete_messages,
                };
                PlatformResources::Aws(resources, effects)
            }
        }
    }
}

/// What the cloud resources stand for that a state knows of: those that are there, and those that an apply which did not
/// get to its end set out to make.
pub(super) fn recorded(state: Option<&LoadedState>) -> BTreeMap<ResourceAddress, CloudResource> {
    let Some(loaded) = state else { return BTreeMap::new() };
    let intended = loaded.state.journal.iter().flat_map(|journal| journal.resources.clone());
    let there = loaded.state.resources.iter();
    let there = there.filter_map(|(address, record)| Some((address.clone(), record.resource.as_deref()?.clone())));
    intended.chain(there).collect()
}

impl PlatformResources<'_> {
    /// What was found in place of a resource; none when it is as recorded. `observed` knows which are there at all.
    pub(super) async fn look_at(
        &self,
        address: &ResourceAddress,
        observed: &Observed,
    ) -> Result<Option<Found>, PortError> {
        match self {
            Self::Local(_) => Ok((!observed.resources.contains(address)).then_some(Found::Gone)),
            Self::Aws(aws, _) => Ok(match aws.inspect(address).await? {
                None => Some(Found::Gone),
                Some(fields) => (!fields.is_empty()).then_some(Found::Changed(fields)),
            }),
        }
    }
}

impl Resources for PlatformResources<'_> {
    async fn create(&self, address: &ResourceAddress) -> Result<(), PortError> {
        match self {
            Self::Local(local) => local.create(address).await,
            Self::Aws(aws, effects) => effects.around(aws.create(address)).await,
        }
    }

    async fn present(&self, asked: &BTreeSet<ResourceAddress>) -> Result<BTreeSet<ResourceAddress>, PortError> {
        match self {
            Self::Local(local) => local.present(asked).await,
            Self::Aws(aws, _) => aws.present(asked).await,
        }
    }

    async fn delete(&self, address: &ResourceAddress) -> Result<(), PortError> {
        match self {
            Self::Local(local) => local.delete(address).await,
            Self::Aws(aws, effects) => effects.around(aws.delete(address)).await,
        }
    }
}
