//! How two commits of a repository stand to each other.

use git2::Oid;
use git2::Repository;

use super::decide::Relation;

/// How `commit` stands to `applied`. Where history is cut off, as in a shallow clone, what can not be seen is
/// [`Relation::Unknown`] rather than a guess.
///
/// # Errors
/// When the repository can not be read.
pub fn relation(repository: &Repository, commit: &str, applied: &str) -> Result<Relation, git2::Error> {
    if commit == applied {
        return Ok(Relation::Same);
    }
    let new = Oid::from_str(commit)?;
    let Ok(old) = Oid::from_str(applied) else { return Ok(Relation::Unknown) };
    if repository.find_commit(old).is_err() {
        return Ok(Relation::Unknown);
    }
    if descends(repository, new, old)? {
        return Ok(Relation::Descendant);
    }
    if descends(repository, old, new)? {
        return Ok(Relation::Ancestor);
    }
    Ok(if repository.is_shallow() { Relation::Unknown } else { Relation::Diverged })
}

/// Whether one commit comes after another. A parent that a shallow clone left out ends the search.
fn descends(repository: &Repository, commit: Oid, ancestor: Oid) -> Result<bool, git2::Error> {
    match repository.graph_descendant_of(commit, ancestor) {
        Err(error) if error.code() == git2::ErrorCode::NotFound && repository.is_shallow() => Ok(false),
        outcome => outcome,
    }
}
