//! Which environments follow a branch.
//!
//! The definition on the default branch says so, for all branches: otherwise whoever may push any branch could let an
//! environment follow theirs.

use liminal_schemas::definition;
use liminal_schemas::definition::EnvironmentSettings;
use liminal_schemas::definition::read::ROOT_FILE;
use liminal_schemas::finding::Report;

use super::place::Place;
use crate::error::CliError;

/// Why it can not be told which environments follow a branch.
pub(crate) enum Unknown {
    /// The definition that would say so is broken.
    Broken(Box<Report>),
    /// It can not be read.
    Unreadable(CliError),
}

/// The environments that follow a branch which is, or is about to be, at a commit.
pub(crate) fn following(place: &Place, branch: &str, commit: &str) -> Result<Vec<EnvironmentSettings>, Unknown> {
    let all = listed(place, &telling_commit(place, branch, commit))?;
    Ok(all.into_iter().filter(|settings| settings.delivery.branch.as_deref() == Some(branch)).collect())
}

/// The environments that a commit's definition lists.
pub(crate) fn listed(place: &Place, commit: &str) -> Result<Vec<EnvironmentSettings>, Unknown> {
    let snapshot = place.snapshot(commit).map_err(Unknown::Unreadable)?;
    definition::environments(&snapshot, ROOT_FILE).map_err(Unknown::Broken)
}

/// The commit whose definition says which environments follow a branch.
fn telling_commit(place: &Place, branch: &str, commit: &str) -> String {
    let default = place.repository.default_branch();
    if default.as_deref() == Some(branch) {
        return commit.to_owned();
    }
    let default = default.and_then(|default| place.repository.branch_commit(&default));
    // Before the default branch is there, as in a repository whose HEAD names a branch that nobody pushed, the commit
    // speaks for itself.
    default.unwrap_or_else(|| commit.to_owned())
}
