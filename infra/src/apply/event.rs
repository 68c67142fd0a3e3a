//! What an apply tells while it works, as data: whoever shows it decides how.

use liminal_schemas::plan::Operation;

/// Something that happened in an apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyEvent {
    /// The lock is held and the journal is written: from here on things change.
    Started {
        /// How many operations there are.
        operations: usize,
    },
    /// An operation begins. Several may be under way.
    OperationStarted {
        /// Which, by its place in the plan.
        index: usize,
        /// What it is.
        operation: Operation,
    },
    /// An operation is done.
    OperationDone {
        /// Which, by its place in the plan.
        index: usize,
        /// What it is.
        operation: Operation,
        /// Whether it was left out, because a run that started meanwhile needs the release.
        skipped: bool,
    },
    /// Data was deleted.
    DataDeleted {
        /// How many objects.
        objects: usize,
    },
}
