//! The stages of an apply: what may happen side by side, and what must wait for all before it.

use liminal_schemas::plan::Operation;

/// The stages of an apply, in the order of a plan's operations.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Create,
    Write,
    Move,
    Remove,
    DeleteReleases,
    DeleteResources,
}

impl Stage {
    pub(super) const fn of(operation: &Operation) -> Self {
        match operation {
            Operation::CreateResource { .. } => Self::Create,
            Operation::WriteRelease { .. } => Self::Write,
            Operation::MoveLive { .. } => Self::Move,
            Operation::RemoveLive { .. } => Self::Remove,
            Operation::DeleteRelease { .. } => Self::DeleteReleases,
            Operation::DeleteResource { .. } => Self::DeleteResources,
        }
    }
}
