//! The stages of an apply: what may happen side by side, and what must wait for all before it.

use liminal_schemas::plan::Operation;
use liminal_schemas::state::ResourceKind;

/// The stages of an apply, in the order of a plan's operations.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Resources, by rank: what others are made of comes first.
    Create(u8),
    Write,
    Move,
    /// What starts runs comes when all that a run needs is live.
    CreateTriggers,
    /// What starts runs goes first when something is removed.
    DeleteTriggers,
    Remove,
    DeleteReleases,
    /// Resources, by rank: what others are made of goes last.
    DeleteResources(u8),
}

impl Stage {
    pub(crate) const fn of(operation: &Operation) -> Self {
        match operation {
            Operation::CreateResource { address } if is_trigger(address.kind) => Self::CreateTriggers,
            Operation::CreateResource { address } => Self::Create(rank(address.kind)),
            Operation::WriteRelease { .. } => Self::Write,
            Operation::MoveLive { .. } | Operation::StartCanary { .. } | Operation::EndCanary { .. } => Self::Move,
            Operation::RemoveLive { .. } => Self::Remove,
            Operation::DeleteRelease { .. } => Self::DeleteReleases,
            Operation::DeleteResource { address } if is_trigger(address.kind) => Self::DeleteTriggers,
            Operation::DeleteResource { address } => Self::DeleteResources(LAST_RANK - rank(address.kind)),
        }
    }
}

const LAST_RANK: u8 = 4;

const fn is_trigger(kind: ResourceKind) -> bool {
    matches!(kind, ResourceKind::Schedule | ResourceKind::Notification | ResourceKind::Rule)
}

/// How many resources in a row must be there before one of this kind.
const fn rank(kind: ResourceKind) -> u8 {
    match kind {
        ResourceKind::Package
        | ResourceKind::Python
        | ResourceKind::Role
        | ResourceKind::Logs
        | ResourceKind::Queue => 0,
        ResourceKind::Bundle => 1,
        ResourceKind::Task => 2,
        // Those that start tasks name their definitions.
        ResourceKind::Function => 3,
        ResourceKind::Mapping | ResourceKind::Schedule | ResourceKind::Notification | ResourceKind::Rule => LAST_RANK,
    }
}
