//! What is there and differs from what is recorded: resources that are gone or were changed, live pointers that were moved
//! by somebody else, and releases that are gone.

use liminal_schemas::digest::Digest;
use liminal_schemas::name::PipelineName;
use liminal_schemas::state::ResourceAddress;

use crate::aws::FieldDrift;

/// All that differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    /// Resources, by address.
    pub resources: Vec<DriftedResource>,
    /// Live pointers, by pipeline.
    pub pointers: Vec<DriftedPointer>,
    /// Live releases whose documents are gone, by pipeline.
    pub releases: Vec<(PipelineName, Digest)>,
}

/// A resource that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriftedResource {
    /// Where it stands.
    pub address: ResourceAddress,
    /// What its service knows it by, for people.
    pub name: String,
    /// Whom it serves: `train/fit` for a step, `package` or `environment` for what several use.
    pub owner: String,
    /// What was found in its place.
    pub found: Found,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing, or something that is not ours.
    Gone,
    /// The resource, with other fields.
    Changed(Vec<FieldDrift>),
}

/// A live pointer that is not where the state says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriftedPointer {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// Where the state has it.
    pub recorded: Digest,
    /// Where it is; none when it is gone.
    pub found: Option<Digest>,
}

impl Drift {
    /// Whether all is as recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many things differ.
    pub fn len(&self) -> usize {
        self.resources.len() + self.pointers.len() + self.releases.len()
    }
}
