//! Resources while they are being derived. Two steps may come to need the same one.

use std::collections::BTreeMap;

use liminal_schemas::aws::resource::CloudResource;
use liminal_schemas::aws::resource::ResourceSpec;
use liminal_schemas::aws::resource::ServedStep;
use liminal_schemas::state::ResourceAddress;

/// Resources by address.
#[derive(Debug, Default)]
pub(super) struct ResourceSet(BTreeMap<ResourceAddress, CloudResource>);

impl ResourceSet {
    /// Adds a resource; gives its address. One that several steps need serves none of them alone.
    pub(super) fn add(
        &mut self,
        spec: ResourceSpec,
        needs: impl IntoIterator<Item = ResourceAddress>,
        serves: Option<&ServedStep>,
    ) -> ResourceAddress {
        let address = spec.address();
        let added = CloudResource { spec, needs: needs.into_iter().collect(), serves: serves.cloned() };
        let there = self.0.entry(address.clone()).or_insert_with(|| added.clone());
        if there.serves != added.serves {
            there.serves = None;
        }
        there.needs.extend(added.needs);
        address
    }

    /// Takes over resources that were derived elsewhere.
    pub(super) fn extend(&mut self, resources: BTreeMap<ResourceAddress, CloudResource>) {
        for resource in resources.into_values() {
            self.add(resource.spec, resource.needs, resource.serves.as_ref());
        }
    }

    /// The resources.
    pub(super) fn into_resources(self) -> BTreeMap<ResourceAddress, CloudResource> {
        self.0
    }
}
