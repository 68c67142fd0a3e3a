//! Files of a commit, straight from the object database: no checkout, so that no hook, filter or link of the
//! repository ever has a say.

use std::path::Path;
use std::path::PathBuf;

use git2::Oid;
use git2::Repository;
use liminal_schemas::digest::Digest;
use liminal_schemas::files::ProjectFile;
use liminal_schemas::files::RefusedFile;

use super::error::SourceError;
use super::folder::Entry;
use super::folder::Folder;

/// The longest revision text that is looked at, in bytes: ref names are limited to 255 by file systems.
const MAX_REVISION_BYTES: usize = 250;

const MODE_EXECUTABLE: i32 = 0o100_755;
const MODE_SYMLINK: i32 = 0o120_000;
const MODE_SUBMODULE: i32 = 0o160_000;
const MODE_FOLDER: i32 = 0o040_000;

/// The tree of the project folder in a commit.
pub(super) struct RevisionTree {
    repository: Repository,
    root: Oid,
    pub(super) commit: String,
}

impl RevisionTree {
    /// Resolves a revision and finds the project folder in it.
    pub(super) fn open(project: &Path, revision: &str) -> Result<Self, SourceError> {
        check_revision(revision)?;
        let project = canonical(project)?;
        let repository = discover(&project)?.ok_or_else(|| SourceError::NoRepository(project.clone()))?;
        let folder = folder_in(&repository, &project);
        Self::find(repository, &folder, revision)
    }

    fn find(repository: Repository, folder: &Path, revision: &str) -> Result<Self, SourceError> {
        let (commit, root) = {
            let commit = repository
                .revparse_single(revision)
                .and_then(|object| object.peel_to_commit())
                .map_err(|error| unknown_revision(revision, &repository, &error))?;
            let tree = commit.tree().map_err(SourceError::git("read the tree of the commit", repository.path()))?;
            let id = commit.id().to_string();
            let root = if folder.as_os_str().is_empty() {
                tree.id()
            } else {
                let missing = || SourceError::NotInCommit {
                    folder: folder.display().to_string(),
                    commit: id.chars().take(12).collect(),
                };
                let entry = tree.get_path(folder).map_err(|_| missing())?;
                if entry.filemode() != MODE_FOLDER {
                    return Err(missing());
                }
                entry.id()
            };
            (id, root)
        };
        Ok(Self { repository, root, commit })
    }

    /// Finds a folder in a commit of a repository, which is taken as it is: nothing above it is looked for. `quarantine` is
    /// a further folder of objects, where git keeps those of a push until it is accepted.
    pub(super) fn of_commit(
        repository: &Path,
        folder: &str,
        revision: &str,
        quarantine: Option<&Path>,
    ) -> Result<Self, SourceError> {
        check_revision(revision)?;
        let opened = Repository::open(repository).map_err(SourceError::git("open the repository", repository))?;
        if let Some(objects) = quarantine {
            let path = objects.to_string_lossy();
            let add = || opened.odb()?.add_disk_alternate(&path);
            add().map_err(SourceError::git("read the objects of the push", objects))?;
        }
        Self::find(opened, Path::new(folder), revision)
    }

    /// The folder that a tree is; none stands for the project folder.
    pub(super) fn list(&self, tree: Option<Oid>) -> Result<Folder, String> {
        let found = self.repository.find_tree(tree.unwrap_or(self.root));
        let tree = found.map_err(|error| error.message().to_owned())?;
        Ok(Folder::new(tree.iter().map(|entry| {
            let found = match entry.filemode_raw() {
                MODE_SYMLINK => Entry::Refused(RefusedFile::Symlink),
                MODE_SUBMODULE => Entry::Refused(RefusedFile::Submodule),
                _ => match entry.kind() {
                    Some(git2::ObjectType::Tree) => Entry::Folder(Some(entry.id())),
                    Some(git2::ObjectType::Blob) => Entry::Known(ProjectFile {
                        blob: entry.id().to_string(),
                        executable: entry.filemode() == MODE_EXECUTABLE,
                    }),
                    _ => Entry::Refused(RefusedFile::Special),
                },
            };
            (entry.name_bytes().to_vec(), found)
        })))
    }

    pub(super) fn read(&self, blob: &str, limit: usize) -> Result<Vec<u8>, String> {
        let read = || -> Result<Option<Vec<u8>>, git2::Error> {
            let id = Oid::from_str(blob)?;
            // The header alone is read first, so that a huge blob costs no memory.
            let (size, _) = self.repository.odb()?.read_header(id)?;
            if size > limit {
                return Ok(None);
            }
            Ok(Some(self.repository.find_blob(id)?.content().to_vec()))
        };
        match read() {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(format!("it has more than {limit} bytes")),
            Err(error) => Err(format!("git object {blob} can not be read: {}", error.message())),
        }
    }

    /// Git's own digest over the whole project folder.
    pub(super) fn digest(&self) -> Digest {
        Digest::of_bytes(format!("git tree {}", self.root).as_bytes())
    }

    /// Whether there is a work tree that could differ from the commit.
    pub(super) fn has_worktree(&self) -> bool {
        !self.repository.is_bare()
    }
}

/// The repository that a folder belongs to, if it belongs to one.
pub(super) fn discover(project: &Path) -> Result<Option<Repository>, SourceError> {
    match Repository::discover(project) {
        Ok(repository) => Ok(Some(repository)),
        Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
        Err(error) => Err(SourceError::git("open the repository", project)(error)),
    }
}

/// Where the project is in its repository; empty for the root, and for a bare repository.
pub(super) fn folder_in(repository: &Repository, project: &Path) -> PathBuf {
    let root = repository.workdir().and_then(|root| root.canonicalize().ok());
    root.and_then(|root| project.strip_prefix(root).ok().map(Path::to_owned)).unwrap_or_default()
}

pub(super) fn canonical(project: &Path) -> Result<PathBuf, SourceError> {
    match project.canonicalize() {
        Ok(path) if path.is_dir() => Ok(path),
        Ok(_) | Err(_) => Err(SourceError::NoFolder(project.to_owned())),
    }
}

/// Refuses what no revision can be, before git sees it. A leading dash is what makes a program take a name for an
/// option; no program is ever started here, but names end up in messages that people copy.
fn check_revision(text: &str) -> Result<(), SourceError> {
    let fail = |problem| Err(SourceError::BadRevision { text: text.escape_debug().take(60).collect(), problem });
    if text.trim().is_empty() {
        return fail("it is empty");
    }
    if text.starts_with('-') {
        return fail("it starts with a dash; a branch of such a name is reached as refs/heads/NAME");
    }
    if text.len() > MAX_REVISION_BYTES {
        return fail("it has more than 250 bytes");
    }
    if text.chars().any(char::is_control) {
        return fail("it holds control characters");
    }
    Ok(())
}

fn unknown_revision(revision: &str, repository: &Repository, error: &git2::Error) -> SourceError {
    let place = repository.workdir().unwrap_or_else(|| repository.path()).to_owned();
    let hint = if repository.is_empty().unwrap_or(false) {
        "the repository has no commit yet: did you commit?".to_owned()
    } else if let Some(branch) = default_branch_missing(revision, repository) {
        let place = place.display();
        format!("HEAD stands for a branch that nobody pushed: git -C {place} symbolic-ref HEAD refs/heads/{branch}")
    } else if error.code() == git2::ErrorCode::Ambiguous {
        "more than one object begins like that: give more digits".to_owned()
    } else if error.code() == git2::ErrorCode::Peel || error.code() == git2::ErrorCode::InvalidSpec {
        "give a commit, branch or tag".to_owned()
    } else {
        "did you commit, or fetch the branch? `git log --oneline --all` lists what there is".to_owned()
    };
    SourceError::UnknownRevision { revision: revision.to_owned(), repository: place, hint }
}

/// A branch that a bare repository has, where it has not the one that its HEAD stands for.
fn default_branch_missing(revision: &str, repository: &Repository) -> Option<String> {
    let is_unborn = repository.head().is_err_and(|error| error.code() == git2::ErrorCode::UnbornBranch);
    if revision != "HEAD" || !repository.is_bare() || !is_unborn {
        return None;
    }
    let (branch, _) = repository.branches(Some(git2::BranchType::Local)).ok()?.flatten().next()?;
    Some(branch.name().ok()??.to_owned())
}
