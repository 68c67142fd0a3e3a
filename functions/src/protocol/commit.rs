//! Whose commit ended a step.

use liminal_schemas::run::Commit;

use crate::ports::Put;

/// Whose commit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Winner {
    /// The one that was just written, now or by a write whose response was lost.
    Ours,
    /// Another one: what was just done is discarded.
    Theirs,
}

/// Tells from the outcome of a create-only write, and the commit that is there, whose commit ended the step.
pub fn winner(put: &Put, there: &Commit, nonce: &str) -> Winner {
    match put {
        Put::Created(_) => Winner::Ours,
        Put::Exists if there.nonce == nonce => Winner::Ours,
        Put::Exists => Winner::Theirs,
    }
}
