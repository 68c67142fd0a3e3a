//! What is ours: the tags that every resource carries. Only what carries them is adopted, changed or removed.

use std::collections::BTreeMap;

use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::state::ResourceAddress;

const PROJECT: &str = "liminal:project";
const ENVIRONMENT: &str = "liminal:environment";
const RESOURCE: &str = "liminal:resource";

/// Whom resources belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The project.
    pub project: ProjectName,
    /// The environment.
    pub environment: EnvironmentName,
}

/// Whose a resource is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ownership {
    /// Somebody else's.
    Foreign,
    /// This environment's, made for an address. The address is another one than expected where two documents give one
    /// name, of which the later took the resource over.
    Ours(Option<ResourceAddress>),
}

impl Ownership {
    /// Whether it is ours, for this address.
    pub(super) fn is_for(&self, address: &ResourceAddress) -> bool {
        *self == Self::Ours(Some(address.clone()))
    }
}

impl Owner {
    /// The tags of a resource.
    pub(super) fn tags(&self, address: &ResourceAddress) -> BTreeMap<String, String> {
        BTreeMap::from([
            (PROJECT.to_owned(), self.project.to_string()),
            (ENVIRONMENT.to_owned(), self.environment.to_string()),
            (RESOURCE.to_owned(), address.to_string()),
        ])
    }

    /// Whose a resource with some tags is.
    pub(super) fn ownership<'a>(&self, tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> Ownership {
        let tags: BTreeMap<&str, &str> = tags.into_iter().collect();
        let ours = tags.get(PROJECT) == Some(&self.project.as_str())
            && tags.get(ENVIRONMENT) == Some(&self.environment.as_str());
        if !ours {
            return Ownership::Foreign;
        }
        let address = tags.get(RESOURCE).and_then(|text| ResourceAddress::try_from((*text).to_owned()).ok());
        Ownership::Ours(address)
    }

    /// The tags as one line, for things that can carry no tags but a description.
    pub(super) fn line(&self, address: &ResourceAddress) -> String {
        let tags = self.tags(address);
        tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
    }

    /// Whose a thing with such a line is.
    pub(super) fn ownership_by_line(&self, line: &str) -> Ownership {
        self.ownership(line.split_whitespace().filter_map(|pair| pair.split_once('=')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use liminal_schemas::digest::Digest;
    use liminal_schemas::state::ResourceKind;

    fn owner(environment: &str) -> Owner {
        Owner { project: ProjectName::new("shop").unwrap(), environment: EnvironmentName::new(environment).unwrap() }
    }

    #[test]
    fn what_another_environment_made_is_foreign_by_tags_and_by_line() {
        let address = ResourceAddress { kind: ResourceKind::Schedule, digest: Digest::of_bytes(b"x") };
        let (prod, dev) = (owner("prod"), owner("dev"));
        let tags = prod.tags(&address);
        let pairs = || tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        assert!(prod.ownership(pairs()).is_for(&address));
        assert_eq!(dev.ownership(pairs()), Ownership::Foreign);
        assert!(prod.ownership_by_line(&prod.line(&address)).is_for(&address));
        assert_eq!(dev.ownership_by_line(&prod.line(&address)), Ownership::Foreign);
        assert_eq!(prod.ownership([]), Ownership::Foreign);
    }

    #[test]
    fn a_line_of_tags_fits_into_the_shortest_description() {
        // Scheduler allows 512 characters, Lambda 256; names have at most 40.
        let long = "a".repeat(40);
        let owner =
            Owner { project: ProjectName::new(&long).unwrap(), environment: EnvironmentName::new(&long).unwrap() };
        let address = ResourceAddress { kind: ResourceKind::Notification, digest: Digest::of_bytes(b"x") };
        assert!(owner.line(&address).len() <= 256);
    }
}
