//! Making a project a git repository.

use std::path::Path;

use git2::IndexAddOption;
use git2::Repository;
use git2::RepositoryInitOptions;
use git2::Signature;

use super::error::SourceError;
use super::revision::discover;

/// The branch of a new repository.
const BRANCH: &str = "main";

/// Makes a folder a repository with one commit of all that is in it and not ignored. Gives false, and does nothing,
/// when the folder is in a repository already. Templates and hooks of the machine are not copied.
///
/// # Errors
/// When git can not write.
pub fn init_repository(folder: &Path, message: &str) -> Result<bool, SourceError> {
    if discover(folder)?.is_some() {
        return Ok(false);
    }
    let mut options = RepositoryInitOptions::new();
    options.initial_head(BRANCH).external_template(false);
    let commit = || -> Result<(), git2::Error> {
        let repository = Repository::init_opts(folder, &options)?;
        let mut index = repository.index()?;
        index.add_all(["*"], IndexAddOption::DEFAULT, None)?;
        index.write()?;
        let tree = repository.find_tree(index.write_tree()?)?;
        // Who has told git no name yet still gets a first commit, and can amend it.
        let author = repository.signature().or_else(|_| Signature::now("liminal", "liminal@localhost"))?;
        repository.commit(Some("HEAD"), &author, &author, message, &tree, &[])?;
        Ok(())
    };
    commit().map_err(SourceError::git("make a repository", folder))?;
    Ok(true)
}
