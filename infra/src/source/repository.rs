//! Repositories: making a project one, and what a bare one says about the project in it.

use std::path::Path;
use std::path::PathBuf;

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

/// The key of git's configuration that names the folder of the project in a bare repository.
pub const FOLDER_KEY: &str = "liminal.folder";

/// A repository without a work tree, as hooks and agents have them.
pub struct BareRepository {
    repository: Repository,
    path: PathBuf,
}

impl BareRepository {
    /// Opens a folder that is a bare repository; none when it is something else.
    ///
    /// # Errors
    /// When it is one, and git refuses to read it.
    pub fn open(path: &Path) -> Result<Option<Self>, SourceError> {
        if !path.join("HEAD").is_file() || !path.join("objects").is_dir() || !path.join("refs").is_dir() {
            return Ok(None);
        }
        match Repository::open_ext(path, git2::RepositoryOpenFlags::NO_SEARCH, [] as [&Path; 0]) {
            Ok(repository) if repository.is_bare() => Ok(Some(Self { repository, path: path.to_owned() })),
            Ok(_) => Ok(None),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(error) => Err(SourceError::git("open the repository", path)(error)),
        }
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of the project in its commits; empty for the root.
    pub fn folder(&self) -> String {
        let config = self.repository.config().and_then(|mut config| config.snapshot());
        config.and_then(|config| config.get_str(FOLDER_KEY).map(str::to_owned)).unwrap_or_default()
    }

    /// Writes values to its own configuration.
    ///
    /// # Errors
    /// When git can not write.
    pub fn configure(&self, values: &[(&str, &str)]) -> Result<(), SourceError> {
        let write = || -> Result<(), git2::Error> {
            let mut config = self.repository.config()?.open_level(git2::ConfigLevel::Local)?;
            values.iter().try_for_each(|(key, value)| config.set_str(key, value))
        };
        write().map_err(SourceError::git("write its configuration", &self.path))
    }

    /// The branch that HEAD names, whether there is such a branch or not.
    pub fn default_branch(&self) -> Option<String> {
        let head = self.repository.find_reference("HEAD").ok()?;
        Some(head.symbolic_target().ok().flatten()?.strip_prefix("refs/heads/")?.to_owned())
    }

    /// The commit that a branch is at; none when there is no such branch.
    pub fn branch_commit(&self, branch: &str) -> Option<String> {
        let reference = self.repository.find_reference(&format!("refs/heads/{branch}")).ok()?;
        Some(reference.peel_to_commit().ok()?.id().to_string())
    }

    /// Reads objects from a further folder too: where git keeps those of a push that is not accepted yet.
    ///
    /// # Errors
    /// When git refuses.
    pub fn add_objects(&self, folder: &Path) -> Result<(), SourceError> {
        let add = || self.repository.odb()?.add_disk_alternate(&folder.to_string_lossy());
        add().map_err(SourceError::git("read the objects of the push", folder))
    }

    /// The git repository.
    pub const fn git(&self) -> &Repository {
        &self.repository
    }
}
