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
    let telling = telling_commit(place, branch, commit).map_err(Unknown::Unreadable)?;
    let all = listed(place, &telling)?;
    Ok(all.into_iter().filter(|settings| settings.delivery.branch.as_deref() == Some(branch)).collect())
}

/// The environments that a commit's definition lists.
pub(crate) fn listed(place: &Place, commit: &str) -> Result<Vec<EnvironmentSettings>, Unknown> {
    let snapshot = place.snapshot(commit).map_err(Unknown::Unreadable)?;
    definition::environments(&snapshot, ROOT_FILE).map_err(Unknown::Broken)
}

/// The commit whose definition says which environments follow a branch. No commit of another branch may say so: not even
/// where the default branch has none, as in a repository whose HEAD names a branch that nobody pushed.
fn telling_commit(place: &Place, branch: &str, commit: &str) -> Result<String, CliError> {
    let default = place.repository.default_branch();
    if default.as_deref() == Some(branch) {
        return Ok(commit.to_owned());
    }
    let told = default.as_deref().and_then(|default| place.repository.branch_commit(default));
    told.ok_or_else(|| {
        let repository = place.repository.path().display();
        let default = default.map_or_else(|| "HEAD".to_owned(), |default| format!("the default branch {default}"));
        CliError::new(format!(
            "which environments follow {branch} is not known: {default} has no commit in {repository}"
        ))
        .hint(format!("if {branch} is the default branch: git -C {repository} symbolic-ref HEAD refs/heads/{branch}"))
        .hint("then push again, or push the default branch first")
    })
}
