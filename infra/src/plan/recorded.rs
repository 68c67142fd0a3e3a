//! The cloud resources that the state knows: what they are made of, and which of them steps need.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::aws::resource::CloudResource;
use liminal_schemas::digest::Digest;
use liminal_schemas::state::ResourceAddress;
use liminal_schemas::state::ResourceKind;
use liminal_schemas::state::State;

use super::permissions;
use super::permissions::Roles;

/// The cloud resources of a state: those that were made, and those that an interrupted apply set out to make.
pub(crate) struct Recorded<'a>(BTreeMap<&'a ResourceAddress, &'a CloudResource>);

impl<'a> Recorded<'a> {
    /// Those of a state; none of no state.
    pub(crate) fn of(state: Option<&'a State>) -> Self {
        let mut recorded = BTreeMap::new();
        if let Some(state) = state {
            recorded.extend(state.journal.iter().flat_map(|journal| &journal.resources));
            let made = state.resources.iter();
            recorded.extend(made.filter_map(|(address, record)| Some((address, record.resource.as_deref()?))));
        }
        Self(recorded)
    }

    /// Whether there are none, as on every platform but those in the cloud.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'a ResourceAddress, &'a CloudResource)> {
        self.0.iter().map(|(address, resource)| (*address, *resource))
    }

    /// One of them.
    pub(crate) fn get(&self, address: &ResourceAddress) -> Option<&'a CloudResource> {
        self.0.get(address).copied()
    }

    /// What steps need, by their digests: the resources made for them, and all that these need. A resource that several
    /// versions of a step share, such as its role, is recorded for the first of them only; the others lead to it.
    pub(crate) fn serving(&self, steps: &BTreeSet<Digest>) -> BTreeSet<ResourceAddress> {
        let served = self
            .iter()
            .filter(|(_, resource)| resource.serves.as_ref().is_some_and(|served| steps.contains(&served.digest)));
        let mut open: Vec<&ResourceAddress> = served.map(|(address, _)| address).collect();
        let mut found = BTreeSet::new();
        while let Some(address) = open.pop() {
            if found.insert(address.clone()) {
                open.extend(self.get(address).into_iter().flat_map(|resource| &resource.needs));
            }
        }
        found
    }

    /// The roles of steps, by their digests, and of what an environment has once.
    pub(super) fn roles_of(&self, steps: &BTreeSet<Digest>) -> Roles<'a> {
        let of_steps = self.serving(steps);
        let in_use = self.iter().filter(|(address, resource)| resource.serves.is_none() || of_steps.contains(address));
        permissions::roles(in_use.map(|(_, resource)| resource))
    }

    /// The roles of steps alone, by their digests.
    pub(super) fn roles_of_steps(&self, steps: &BTreeSet<Digest>) -> Roles<'a> {
        let of_steps = self.serving(steps);
        let in_use = self.iter().filter(|(address, _)| of_steps.contains(address));
        permissions::roles(in_use.map(|(_, resource)| resource))
    }

    /// Whether something takes the messages of a step.
    pub(crate) fn carries_out(&self, step: &Digest) -> bool {
        self.iter().any(|(address, resource)| {
            let serves_it = resource.serves.as_ref().is_some_and(|served| served.digest == *step);
            serves_it && address.kind == ResourceKind::Mapping
        })
    }
}
