//! The resources of an environment on AWS, behind the port of the apply engine.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::aws::resource::CloudResource;
use liminal_schemas::aws::resource::ResourceSpec;
use liminal_schemas::digest::Digest;
use liminal_schemas::files::ProjectFiles;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::state::ResourceAddress;
use liminal_schemas::state::ResourceKind;

use super::bundle;
use super::bundle::BundleSource;
use super::error::AwsError;
use super::function;
use super::listing;
use super::log_group;
use super::mapping;
use super::notification;
use super::queue;
use super::role;
use super::rule;
use super::schedule;
use super::site::Site;
use super::task_definition;
use crate::package_objects::PackageObjects;
use crate::ports::Objects;
use crate::ports::PortError;
use crate::ports::Resources;

/// Makes, looks for and removes the resources of an environment on AWS.
pub struct AwsResources<'a, O, B> {
    /// Where, and for whom.
    pub site: &'a Site,
    /// The environment's objects in the bucket.
    pub objects: &'a O,
    /// What builds bundles that are not there yet.
    pub bundles: &'a B,
    /// The files that packages are built from.
    pub files: &'a (dyn ProjectFiles + Sync),
    /// The packages of the plan.
    pub packages: &'a BTreeMap<Digest, PackageSpec>,
    /// What addresses stand for: the documents of the plan and of the state.
    pub documents: &'a BTreeMap<ResourceAddress, CloudResource>,
    /// Whether queues may be removed although there is work in them.
    pub delete_messages: bool,
}

impl<O: Objects, B: BundleSource> AwsResources<'_, O, B> {
    const fn package_objects(&self) -> PackageObjects<'_, O> {
        PackageObjects { objects: self.objects, files: self.files, packages: self.packages }
    }

    /// What an address stands for; none for packages, which are known elsewhere.
    pub(super) fn document(&self, address: &ResourceAddress) -> Result<Option<&ResourceSpec>, AwsError> {
        match address.kind {
            ResourceKind::Package => return Ok(None),
            ResourceKind::Python => return Err(AwsError::NotHere(address.kind.as_str())),
            ResourceKind::Bundle
            | ResourceKind::Role
            | ResourceKind::Logs
            | ResourceKind::Queue
            | ResourceKind::Function
            | ResourceKind::Task
            | ResourceKind::Mapping
            | ResourceKind::Schedule
            | ResourceKind::Notification
            | ResourceKind::Rule => {}
        }
        let resource = self.documents.get(address).ok_or_else(|| AwsError::NoDocument(address.clone()))?;
        if resource.spec.address() != *address {
            return Err(AwsError::OtherDocument(address.clone()));
        }
        Ok(Some(&resource.spec))
    }
}

impl<O: Objects, B: BundleSource> Resources for AwsResources<'_, O, B> {
    async fn create(&self, address: &ResourceAddress) -> Result<(), PortError> {
        let site = self.site;
        let Some(spec) = self.document(address)? else { return self.package_objects().create(&address.digest).await };
        match spec {
            ResourceSpec::Bundle(spec) => {
                bundle::create(site, self.objects, self.bundles, &address.digest, spec).await?;
            }
            ResourceSpec::Role(spec) => role::create(site, address, spec).await?,
            ResourceSpec::Logs(spec) => log_group::create(site, address, spec).await?,
            ResourceSpec::Queue(spec) => queue::create(site, address, spec).await?,
            ResourceSpec::Function(spec) => {
                let facts = bundle::facts(self.objects, &spec.bundle.digest).await?;
                function::create(site, address, spec, &facts.code_sha256()).await?;
            }
            ResourceSpec::Mapping(spec) => mapping::create(site, address, spec).await?,
            ResourceSpec::Task(spec) => task_definition::create(site, address, spec).await?,
            ResourceSpec::Schedule(spec) => schedule::create(site, address, spec).await?,
            ResourceSpec::Notification(spec) => notification::create(site, address, spec).await?,
            ResourceSpec::Rule(spec) => rule::create(site, address, spec).await?,
        }
        Ok(())
    }

    async fn present(&self, asked: &BTreeSet<ResourceAddress>) -> Result<BTreeSet<ResourceAddress>, PortError> {
        listing::present(self.site, self.objects, self.documents, asked).await
    }

    async fn delete(&self, address: &ResourceAddress) -> Result<(), PortError> {
        let site = self.site;
        let Some(spec) = self.document(address)? else { return self.package_objects().delete(&address.digest).await };
        match spec {
            ResourceSpec::Bundle(_) => bundle::delete(self.objects, &address.digest).await?,
            ResourceSpec::Role(spec) => role::delete(site, address, &spec.name()).await?,
            ResourceSpec::Logs(spec) => log_group::delete(site, &spec.name).await?,
            ResourceSpec::Queue(spec) => queue::delete(site, address, &spec.name, self.delete_messages).await?,
            ResourceSpec::Function(spec) => function::delete(site, address, &spec.name()).await?,
            ResourceSpec::Mapping(spec) => mapping::delete(site, spec).await?,
            ResourceSpec::Task(spec) => task_definition::delete(site, address, &spec.family()).await?,
            ResourceSpec::Schedule(spec) => schedule::delete(site, address, &spec.name()).await?,
            ResourceSpec::Notification(spec) => notification::delete(site, address, spec).await?,
            ResourceSpec::Rule(spec) => rule::delete(site, address, &spec.name()).await?,
        }
        Ok(())
    }
}
