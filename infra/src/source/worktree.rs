//! Files of the work tree, known by the blob ids they would have in git.
//!
//! The index knows the blob id of every file that has not changed since git last looked, so that an unchanged project
//! is read without opening its files.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use git2::ObjectType;
use git2::Oid;
use git2::Repository;
use liminal_schemas::files::ProjectFile;
use liminal_schemas::files::RefusedFile;

use super::error::SourceError;
use super::folder::Entry;
use super::folder::Folder;
use super::folder::join;
use super::revision::canonical;
use super::revision::discover;
use super::revision::folder_in;

/// Folders that belong to tools and never hold a project's own files. Inside git its ignore rules say the rest.
const TOOL_FOLDERS: &[&str] = &[".git", ".liminal"];

/// The same for a project outside of git, which has no ignore rules.
const TOOL_FOLDERS_OUTSIDE_GIT: &[&str] = &[".git", ".liminal", ".venv", "__pycache__", "node_modules"];

const EXECUTABLE_BITS: u32 = 0o111;

/// The project folder as it stands on disk.
pub(super) struct Worktree {
    root: PathBuf,
    git: Option<GitSide>,
}

struct GitSide {
    repository: Repository,
    /// The project folder below the root of the repository.
    folder: PathBuf,
    /// What the index says, by path below the project folder.
    index: BTreeMap<Vec<u8>, Tracked>,
    /// When the index was written: a file of the same moment or later may have changed unseen.
    index_written: (i64, i64),
    /// Whether a file's content may differ from its blob by a filter: line ends, LFS.
    filters: bool,
}

/// A file as the index knows it.
struct Tracked {
    blob: Oid,
    mtime: (i64, i64),
    inode: u32,
    size: u32,
    mode: u32,
}

impl Worktree {
    pub(super) fn open(project: &Path) -> Result<Self, SourceError> {
        let root = canonical(project)?;
        let git = match discover(&root)? {
            Some(repository) if !repository.is_bare() => GitSide::open(repository, &root)?,
            Some(_) | None => None,
        };
        Ok(Self { root, git })
    }

    /// The commit that the work tree is based on.
    pub(super) fn head(&self) -> Option<String> {
        let git = self.git.as_ref()?;
        Some(git.repository.head().ok()?.peel_to_commit().ok()?.id().to_string())
    }

    pub(super) fn list(&self, parents: &[&str]) -> Result<Folder, String> {
        let path = self.root.join(parents.join("/"));
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Folder::default()),
            Err(error) => return Err(error.to_string()),
        };
        let mut listed = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| error.to_string())?;
            let name = entry.file_name();
            if self.tool_folders().iter().any(|tool| OsStr::new(tool) == name) {
                continue;
            }
            let Ok(kind) = entry.file_type() else { continue };
            let found = if kind.is_symlink() {
                Entry::Refused(RefusedFile::Symlink)
            } else if kind.is_dir() {
                if self.is_repository(parents, &entry.path(), &name) {
                    Entry::Refused(RefusedFile::Submodule)
                } else {
                    Entry::Folder(None)
                }
            } else if kind.is_file() {
                Entry::Unread
            } else {
                Entry::Refused(RefusedFile::Special)
            };
            listed.push((name.as_bytes().to_vec(), found));
        }
        Ok(Folder::new(listed))
    }

    fn tool_folders(&self) -> &'static [&'static str] {
        if self.git.is_some() { TOOL_FOLDERS } else { TOOL_FOLDERS_OUTSIDE_GIT }
    }

    /// Whether a folder is a repository of its own: a submodule, or a clone inside the project.
    fn is_repository(&self, parents: &[&str], path: &Path, name: &OsStr) -> bool {
        const MODE_SUBMODULE: u32 = 0o160_000;
        let Some(git) = &self.git else { return false };
        let mut key = parents.join("/").into_bytes();
        if !key.is_empty() {
            key.push(b'/');
        }
        key.extend_from_slice(name.as_bytes());
        git.index.get(&key).is_some_and(|tracked| tracked.mode == MODE_SUBMODULE)
            || path.join(".git").symlink_metadata().is_ok()
    }

    /// The blob id and mode of a file. None when it is gone by now.
    pub(super) fn look_at(&self, path: &str) -> Result<Option<ProjectFile>, String> {
        let full = self.root.join(path);
        let metadata = match full.symlink_metadata() {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let executable = metadata.mode() & EXECUTABLE_BITS != 0;
        let from_index = self.git.as_ref().and_then(|git| git.unchanged(path, &metadata, executable));
        let blob = match from_index {
            Some(blob) => blob,
            None => Oid::hash_file(ObjectType::Blob, &full).map_err(|error| error.message().to_owned())?,
        };
        Ok(Some(ProjectFile { blob: blob.to_string(), executable }))
    }

    /// Whether something is left out of a listing: ignored by git, with nothing tracked in it.
    pub(super) fn is_left_out(&self, path: &str, is_folder: bool) -> bool {
        let Some(git) = &self.git else { return false };
        if git.index.contains_key(path.as_bytes()) || (is_folder && git.has_tracked_below(path)) {
            return false;
        }
        git.is_ignored(path, is_folder)
    }

    pub(super) fn read(&self, path: &str, limit: usize) -> Result<Vec<u8>, String> {
        let file = std::fs::File::open(self.root.join(path)).map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        let more_than_limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        file.take(more_than_limit).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if bytes.len() > limit {
            return Err(format!("it has more than {limit} bytes"));
        }
        Ok(bytes)
    }
}

impl GitSide {
    /// None when the repository ignores the whole project, which then is as good as outside of it.
    fn open(repository: Repository, root: &Path) -> Result<Option<Self>, SourceError> {
        let folder = folder_in(&repository, root);
        if !folder.as_os_str().is_empty() && repository.is_path_ignored(&folder).unwrap_or(false) {
            return Ok(None);
        }
        let index_file = repository.index().map_err(SourceError::git("read the index", root))?;
        let index_written = index_file
            .path()
            .and_then(|path| path.symlink_metadata().ok())
            .map_or((0, 0), |metadata| (metadata.mtime(), metadata.mtime_nsec()));
        let mut prefix = folder.as_os_str().as_bytes().to_vec();
        if !prefix.is_empty() {
            prefix.push(b'/');
        }
        let mut index = BTreeMap::new();
        let mut filters = may_filter(&repository);
        for entry in index_file.iter() {
            filters |= entry.path.rsplit(|byte| *byte == b'/').next() == Some(b".gitattributes");
            let Some(path) = entry.path.strip_prefix(prefix.as_slice()) else { continue };
            let tracked = Tracked {
                blob: entry.id,
                mtime: (i64::from(entry.mtime.seconds()), i64::from(entry.mtime.nanoseconds())),
                inode: entry.ino,
                size: entry.file_size,
                mode: entry.mode,
            };
            index.insert(path.to_vec(), tracked);
        }
        drop(index_file);
        Ok(Some(Self { repository, folder, index, index_written, filters }))
    }

    /// The blob id that the index holds for a file, if the file is certain to be what git saw.
    fn unchanged(&self, path: &str, metadata: &Metadata, executable: bool) -> Option<Oid> {
        if self.filters {
            return None;
        }
        let tracked = self.index.get(path.as_bytes())?;
        let mtime = (metadata.mtime(), metadata.mtime_nsec());
        // The index keeps the low 32 bits of size and inode.
        #[expect(clippy::cast_possible_truncation, reason = "compared as the index keeps them")]
        let (size, inode) = (metadata.size() as u32, metadata.ino() as u32);
        let same = tracked.mtime == mtime
            && tracked.size == size
            && tracked.inode == inode
            && (tracked.mode & EXECUTABLE_BITS != 0) == executable;
        // Written after, or in the same moment as, the index: a change of equal length could go unseen ("racily clean").
        let racy = mtime >= self.index_written;
        (same && !racy).then_some(tracked.blob)
    }

    fn has_tracked_below(&self, folder: &str) -> bool {
        let start = format!("{folder}/").into_bytes();
        self.index.range(start.clone()..).next().is_some_and(|(path, _)| path.starts_with(&start))
    }

    fn is_ignored(&self, path: &str, is_folder: bool) -> bool {
        // A trailing slash tells git that the path is a folder, for rules such as `data/`.
        let below = join(&self.folder.to_string_lossy(), path);
        let asked = if is_folder { format!("{below}/") } else { below };
        self.repository.is_path_ignored(asked).unwrap_or(false)
    }
}

/// Whether the configuration lets git store other bytes than the work tree holds.
fn may_filter(repository: &Repository) -> bool {
    let Ok(config) = repository.config() else { return true };
    let converts = config.get_string("core.autocrlf").is_ok_and(|value| value != "false");
    converts || config.get_string("core.attributesfile").is_ok() || repository.path().join("info/attributes").exists()
}
