//! The project's files, at a commit or in the work tree, by git blob id.
//!
//! Nothing is checked out and nothing is run: no hook, filter or submodule. Folders are listed when something asks for
//! them, so that a large repository costs what the project uses of it.

mod error;
mod folder;
mod repository;
mod revision;
mod worktree;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use git2::Oid;
use liminal_schemas::digest::Digest;
use liminal_schemas::files::ProjectFile;
use liminal_schemas::files::ProjectFiles;
use liminal_schemas::files::RefusedFile;
use liminal_schemas::run::SourceVersion;

pub use self::error::SourceError;
use self::folder::Entry;
use self::folder::Folder;
use self::folder::MAX_DEPTH;
use self::folder::MAX_FILES;
use self::folder::join;
use self::folder::split;
pub use self::repository::BareRepository;
pub use self::repository::FOLDER_KEY;
pub use self::repository::init_repository;
use self::revision::RevisionTree;
use self::worktree::Worktree;

/// The project's files. What was once looked at stays as it was, however the work tree changes meanwhile.
pub struct Snapshot {
    project: PathBuf,
    inner: Mutex<Inner>,
}

struct Inner {
    backend: Backend,
    folders: HashMap<String, Arc<Folder>>,
    /// Folders of the commit by the id of their tree; none is the project folder.
    trees: HashMap<Option<Oid>, Arc<Folder>>,
    looked_at: HashMap<String, Option<ProjectFile>>,
    /// Every file that was asked for, and what was there.
    used: BTreeMap<String, Option<ProjectFile>>,
    /// Every folder that was asked for as a whole.
    used_folders: BTreeSet<String>,
}

/// What a listing has found so far.
#[derive(Default)]
struct Found {
    files: Vec<(String, ProjectFile)>,
    folders: usize,
}

enum Backend {
    Revision(RevisionTree),
    Worktree(Worktree),
}

impl Snapshot {
    /// The project at a commit.
    ///
    /// # Errors
    /// When there is no such repository, commit or folder, or git refuses to read it.
    pub fn at_revision(project: &Path, revision: &str) -> Result<Self, SourceError> {
        let tree = RevisionTree::open(project, revision)?;
        Ok(Self::new(project, Backend::Revision(tree)))
    }

    /// The project in a folder of a commit, in a repository that is taken as it is. `folder` is empty for the root;
    /// `quarantine` is where git keeps the objects of a push that is not accepted yet.
    ///
    /// # Errors
    /// When there is no such repository, commit or folder, or git refuses to read it.
    pub fn of_commit(
        repository: &Path,
        folder: &str,
        revision: &str,
        quarantine: Option<&Path>,
    ) -> Result<Self, SourceError> {
        let tree = RevisionTree::of_commit(repository, folder, revision, quarantine)?;
        Ok(Self::new(repository, Backend::Revision(tree)))
    }

    /// The project as it stands on disk: tracked files, and untracked ones that are not ignored.
    ///
    /// # Errors
    /// When there is no such folder, or git refuses to read its repository.
    pub fn of_worktree(project: &Path) -> Result<Self, SourceError> {
        let worktree = Worktree::open(project)?;
        Ok(Self::new(project, Backend::Worktree(worktree)))
    }

    fn new(project: &Path, backend: Backend) -> Self {
        let inner = Inner {
            backend,
            folders: HashMap::new(),
            trees: HashMap::new(),
            looked_at: HashMap::new(),
            used: BTreeMap::new(),
            used_folders: BTreeSet::new(),
        };
        Self { project: project.to_owned(), inner: Mutex::new(inner) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The commit, and whether any file that was used so far differs from it.
    pub fn version(&self) -> SourceVersion {
        let commit = match &self.inner().backend {
            Backend::Revision(tree) => return SourceVersion { commit: Some(tree.commit.clone()), dirty: false },
            Backend::Worktree(worktree) => worktree.head(),
        };
        let dirty = commit.is_some() && !self.dirty_paths().is_empty();
        SourceVersion { commit, dirty }
    }

    /// Paths, among those used so far, by which work tree and commit differ: what a plan at a revision leaves out, or
    /// what makes one of the work tree dirty. Empty outside of git, and before anything was read.
    pub fn dirty_paths(&self) -> Vec<String> {
        let counterpart = match &self.inner().backend {
            Backend::Revision(tree) if tree.has_worktree() => Self::of_worktree(&self.project),
            Backend::Revision(_) => return Vec::new(),
            Backend::Worktree(worktree) => match worktree.head() {
                Some(commit) => Self::at_revision(&self.project, &commit),
                None => return Vec::new(),
            },
        };
        let (used, folders) = {
            let inner = self.inner();
            (inner.used.clone(), inner.used_folders.clone())
        };
        let Ok(counterpart) = counterpart else {
            // A project folder that the commit does not have at all.
            return used.into_iter().filter(|(_, file)| file.is_some()).map(|(path, _)| path).collect();
        };
        let mut differing = BTreeSet::new();
        for folder in &folders {
            for (path, _) in counterpart.under(folder).unwrap_or_default() {
                if !used.contains_key(&path) {
                    differing.insert(path);
                }
            }
        }
        for (path, file) in used {
            if counterpart.file(&path).unwrap_or_default() != file {
                differing.insert(path);
            }
        }
        differing.into_iter().collect()
    }

    /// A digest over the files that a plan is made from: git's own for a commit, else one over every file that was used
    /// so far. It moves when any of them does.
    pub fn tree_digest(&self) -> Digest {
        let inner = self.inner();
        match &inner.backend {
            Backend::Revision(tree) => tree.digest(),
            Backend::Worktree(_) => {
                let used = inner.used.iter().filter_map(|(path, file)| {
                    file.as_ref().map(|file| (path.as_str(), (file.blob.as_str(), file.executable)))
                });
                Digest::of_document(&used.collect::<BTreeMap<_, _>>())
            }
        }
    }
}

impl Inner {
    fn folder(&mut self, parents: &[&str]) -> Arc<Folder> {
        let key = parents.join("/");
        if let Some(folder) = self.folders.get(&key) {
            return Arc::clone(folder);
        }
        let folder = match &self.backend {
            Backend::Worktree(worktree) => Arc::new(worktree.list(parents).unwrap_or_else(Folder::unreadable)),
            Backend::Revision(_) => self.tree(parents),
        };
        self.folders.insert(key, Arc::clone(&folder));
        folder
    }

    /// A folder of a commit. Equal folders are one tree in git, and are read once.
    fn tree(&mut self, parents: &[&str]) -> Arc<Folder> {
        let id = match parents.split_last() {
            None => None,
            Some((name, above)) => match self.folder(above).get(name) {
                Ok(Some(Entry::Folder(id))) => *id,
                Ok(Some(Entry::Known(_) | Entry::Unread | Entry::Refused(_)) | None) | Err(_) => return Arc::default(),
            },
        };
        if let Some(known) = self.trees.get(&id) {
            return Arc::clone(known);
        }
        let listed = match &self.backend {
            Backend::Revision(tree) => tree.list(id),
            Backend::Worktree(_) => return Arc::default(),
        };
        let folder = Arc::new(listed.unwrap_or_else(Folder::unreadable));
        self.trees.insert(id, Arc::clone(&folder));
        folder
    }

    /// What stands at a path, every folder on the way included.
    fn entry(&mut self, names: &[&str]) -> Result<Option<Entry>, RefusedFile> {
        let Some((last, parents)) = names.split_last() else { return Ok(Some(Entry::Folder(None))) };
        for depth in 0..parents.len() {
            match self.folder(&parents[..depth]).get(parents[depth])? {
                Some(Entry::Folder(_)) => {}
                Some(Entry::Known(_) | Entry::Unread | Entry::Refused(_)) | None => return Ok(None),
            }
        }
        Ok(self.folder(parents).get(last)?.cloned())
    }

    fn file(&mut self, path: &str) -> Result<Option<ProjectFile>, RefusedFile> {
        let names = split(path)?;
        let file = match self.entry(&names)? {
            Some(Entry::Known(file)) => Some(file),
            Some(Entry::Unread) => self.look_at(path)?,
            Some(Entry::Folder(_) | Entry::Refused(_)) | None => None,
        };
        self.used.insert(path.to_owned(), file.clone());
        Ok(file)
    }

    fn look_at(&mut self, path: &str) -> Result<Option<ProjectFile>, RefusedFile> {
        if let Some(known) = self.looked_at.get(path) {
            return Ok(known.clone());
        }
        let file = match &self.backend {
            Backend::Worktree(worktree) => worktree.look_at(path).map_err(RefusedFile::Unreadable)?,
            Backend::Revision(_) => None,
        };
        self.looked_at.insert(path.to_owned(), file.clone());
        Ok(file)
    }

    /// Whether a listing leaves something out. `named` says that the listed folder is itself ignored, so that whoever
    /// named it wants what is in it.
    fn is_left_out(&self, path: &str, is_folder: bool, named: bool) -> bool {
        match &self.backend {
            Backend::Worktree(worktree) => !named && worktree.is_left_out(path, is_folder),
            Backend::Revision(_) => false,
        }
    }

    fn collect(&mut self, names: &[&str], named: bool, found: &mut Found) -> Result<(), (String, RefusedFile)> {
        let path = names.join("/");
        found.folders += 1;
        if names.len() > MAX_DEPTH {
            return Err((path, RefusedFile::UnsafeName));
        }
        let folder = self.folder(names);
        folder.check_readable().map_err(|why| (path.clone(), why))?;
        if let Some(name) = folder.not_utf8() {
            return Err((join(&path, name), RefusedFile::NotUtf8));
        }
        for (name, entry) in folder.iter() {
            let below = join(&path, name);
            if self.is_left_out(&below, matches!(entry, Entry::Folder(_)), named) {
                continue;
            }
            match entry {
                Entry::Known(file) => found.files.push((below, file.clone())),
                Entry::Unread => {
                    if let Some(file) = self.look_at(&below).map_err(|why| (below.clone(), why))? {
                        found.files.push((below, file));
                    }
                }
                Entry::Folder(_) => {
                    let mut inner: Vec<&str> = names.to_vec();
                    inner.push(name);
                    self.collect(&inner, named, found)?;
                }
                Entry::Refused(why) => return Err((below, why.clone())),
            }
            if found.files.len() + found.folders > MAX_FILES {
                return Err((path, RefusedFile::TooMany(MAX_FILES)));
            }
        }
        Ok(())
    }
}

impl ProjectFiles for Snapshot {
    fn file(&self, path: &str) -> Result<Option<ProjectFile>, RefusedFile> {
        self.inner().file(path)
    }

    fn under(&self, folder: &str) -> Result<Vec<(String, ProjectFile)>, (String, RefusedFile)> {
        let fail = |why| (folder.to_owned(), why);
        let names = if folder.is_empty() { Vec::new() } else { split(folder).map_err(fail)? };
        let mut inner = self.inner();
        let Some(Entry::Folder(_)) = inner.entry(&names).map_err(fail)? else { return Ok(Vec::new()) };
        let named = !names.is_empty() && inner.is_left_out(folder, true, false);
        let mut found = Found::default();
        inner.collect(&names, named, &mut found)?;
        let mut found = found.files;
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        inner.used_folders.insert(folder.to_owned());
        inner.used.extend(found.iter().map(|(path, file)| (path.clone(), Some(file.clone()))));
        Ok(found)
    }

    fn read(&self, path: &str, limit: usize) -> Result<Vec<u8>, String> {
        let mut inner = self.inner();
        let file = inner.file(path).map_err(|why| why.to_string())?;
        let Some(file) = file else { return Err("there is no such file".to_owned()) };
        match &inner.backend {
            Backend::Revision(tree) => tree.read(&file.blob, limit),
            Backend::Worktree(worktree) => worktree.read(path, limit),
        }
    }
}
