//! Folders that stand for buckets: a file in one is an object, its path below the folder the key.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use liminal_schemas::map::ListedObject;
use liminal_schemas::map::ObjectFilter;
use liminal_schemas::time::UtcTime;

use crate::ports::Buckets;
use crate::ports::BucketsError;

/// What the bucket of an environment of this machine is called.
pub const OWN_BUCKET: &str = "local";

/// How deep folders are looked into.
const MAX_DEPTH: usize = 32;

/// The folders that stand for buckets.
#[derive(Clone, Debug, Default)]
pub struct FolderBuckets {
    own: PathBuf,
    others: PathBuf,
    named: BTreeMap<String, PathBuf>,
}

/// A file that is an object.
pub(super) struct FileHere {
    pub(super) key: String,
    /// What tells its content from an earlier one.
    pub(super) version: String,
    /// When it was written.
    pub(super) time: UtcTime,
    pub(super) bytes: u64,
}

impl FolderBuckets {
    /// The folder of the environment's own bucket, and that in which those of others are, by their names.
    pub const fn new(own: PathBuf, others: PathBuf) -> Self {
        Self { own, others, named: BTreeMap::new() }
    }

    /// The same, with a folder for one bucket.
    #[must_use]
    pub fn with(mut self, bucket: &str, folder: PathBuf) -> Self {
        if bucket == OWN_BUCKET {
            self.own = folder;
        } else {
            self.named.insert(bucket.to_owned(), folder);
        }
        self
    }

    fn folder(&self, bucket: &str) -> PathBuf {
        match self.named.get(bucket) {
            Some(folder) => folder.clone(),
            None if bucket == OWN_BUCKET => self.own.clone(),
            None => self.others.join(bucket),
        }
    }

    /// Copies an object to a file, read-only. False when it is gone, or another one by now.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn fetch(&self, object: &ListedObject, to: &Path) -> io::Result<bool> {
        let path = self.folder(&object.bucket).join(&object.key);
        let is_it = || version_of(&path).is_ok_and(|found| Some(&found.version) == object.version.as_ref());
        if !is_it() {
            return Ok(false);
        }
        fs::copy(&path, to)?;
        fs::set_permissions(to, fs::Permissions::from_mode(0o444))?;
        Ok(is_it())
    }
}

impl Buckets for FolderBuckets {
    async fn list(&self, filter: &ObjectFilter, most: usize) -> Result<Vec<ListedObject>, BucketsError> {
        let bucket = filter.bucket.as_deref().unwrap_or(OWN_BUCKET).to_owned();
        let folder = self.folder(&bucket);
        let (wanted, in_bucket) = (filter.clone(), bucket.clone());
        let listed = tokio::task::spawn_blocking(move || {
            if !folder.is_dir() {
                let problem = format!("{} is no folder, and would stand for the bucket here", folder.display());
                return Err(io::Error::new(io::ErrorKind::NotFound, problem));
            }
            let mut files = Vec::new();
            collect(&folder, "", 0, &mut files);
            let mut listed: Vec<ListedObject> = files
                .into_iter()
                .filter(|file| wanted.is(&file.key))
                .map(|FileHere { key, version, bytes, .. }| ListedObject {
                    bucket: in_bucket.clone(),
                    key,
                    bytes,
                    etag: None,
                    version: Some(version),
                })
                .collect();
            listed.sort_unstable_by(|one, other| one.key.cmp(&other.key));
            listed.truncate(most);
            Ok(listed)
        });
        let listed = listed.await.map_err(io::Error::other).and_then(|listed| listed);
        listed.map_err(|error| BucketsError { objects: filter.to_string(), source: error.into() })
    }
}

/// All files below a folder. Names that begin with a dot are those of other programs, which write a file under such a name
/// before they give it its own.
pub(super) fn collect(folder: &Path, prefix: &str, depth: usize, files: &mut Vec<FileHere>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.filter_map(Result::ok) {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let Ok(kind) = entry.file_type() else { continue };
        if name.starts_with('.') {
            continue;
        }
        let key = format!("{prefix}{name}");
        if kind.is_dir() {
            if depth < MAX_DEPTH {
                collect(&entry.path(), &format!("{key}/"), depth + 1, files);
            }
        } else if let Ok(found) = version_of(&entry.path()) {
            files.push(FileHere { key, ..found });
        }
    }
}

/// What tells the content of a file from an earlier one, and when it was written.
pub(super) fn version_of(path: &Path) -> io::Result<FileHere> {
    let found = fs::metadata(path)?;
    if !found.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let version = format!("{}.{:09}-{}-{}", found.mtime(), found.mtime_nsec(), found.size(), found.ino());
    let time = UtcTime::from_millis(found.mtime().saturating_mul(1000) + found.mtime_nsec() / 1_000_000);
    Ok(FileHere { key: String::new(), version, time, bytes: found.size() })
}
