//! The object store in a directory: an object is a file, its key the path.
//!
//! Objects appear whole or not at all, whenever the process is killed: content goes to a temporary file first, and a link
//! (create-only) or a rename (compare-and-swap) makes it the object. A temporary file that is left over is harmless.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;

use liminal_schemas::digest::Digest;

use crate::object_key;
use crate::ports::Etag;
use crate::ports::Object;
use crate::ports::ObjectStore;
use crate::ports::Put;
use crate::ports::StoreError;
use crate::ports::Swap;

/// Where content waits to become an object: in the same file system, under a name that no key has.
pub(super) const TEMPORARY: &str = ".tmp";

/// Where the locks of compare-and-swap are, one per key that was ever swapped.
const LOCKS: &str = ".locks";

/// How old a temporary file is before it is taken for left over. Small objects are written within milliseconds.
const LEFT_OVER_AFTER: Duration = Duration::from_secs(60 * 60);

/// Keys below these are written through to the disk before a write is said to be done: they are what `apply` and the
/// model registry promise to people. All else survives the death of the process without that, and what a loss of power
/// takes from it (records of a run, cached results) costs a run that is made again.
const DURABLE: &[&str] = &["live/", "models/", "releases/", "state/"];

/// Objects as files below a directory.
#[derive(Debug)]
pub struct DirectoryStore {
    root: PathBuf,
}

impl DirectoryStore {
    /// Opens the store in a directory, which is made if it is not there.
    ///
    /// # Errors
    /// When the directory can not be made or used.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let store = Self { root: root.into() };
        store.prepare().map_err(|source| StoreError::Io {
            key: store.root.display().to_string(),
            action: "opened as the store's directory",
            source,
        })?;
        Ok(store)
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file that is the object of a key, or would be.
    ///
    /// # Errors
    /// When the key is none that a store would take.
    pub fn path_of(&self, key: &str) -> Result<PathBuf, StoreError> {
        object_key::check(key)?;
        Ok(self.root.join(key))
    }

    /// A directory for files that are on their way to become objects, by a rename.
    pub fn temporary_dir(&self) -> PathBuf {
        self.root.join(TEMPORARY)
    }

    fn prepare(&self) -> io::Result<()> {
        let temporary = self.temporary_dir();
        fs::create_dir_all(&temporary)?;
        #[expect(clippy::disallowed_methods, reason = "file times can only be compared with the system's clock")]
        let now = SystemTime::now();
        for entry in fs::read_dir(&temporary)? {
            let entry = entry?;
            let is_old = |meta: &fs::Metadata| {
                let age = meta.modified().ok().and_then(|modified| now.duration_since(modified).ok());
                age.is_some_and(|age| age > LEFT_OVER_AFTER)
            };
            if entry.metadata().is_ok_and(|meta| meta.is_file() && is_old(&meta)) {
                // Another process may have cleaned up at the same moment.
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// Writes content to a temporary file.
    fn write_temporary(&self, key: &str, bytes: &[u8]) -> io::Result<tempfile::TempPath> {
        let create = || {
            // As any program creates files: readable by whom the user's mask says.
            let mode = fs::Permissions::from_mode(0o666);
            tempfile::Builder::new().prefix("put-").permissions(mode).tempfile_in(self.temporary_dir())
        };
        let mut file = match create() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(self.temporary_dir())?;
                create()?
            }
            other => other?,
        };
        file.write_all(bytes)?;
        if is_durable(key) {
            file.as_file().sync_all()?;
        }
        Ok(file.into_temp_path())
    }

    /// Sees to it that a new name in the directory of a file is on the disk, for keys that matter.
    fn sync_directory(&self, key: &str, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(parent) if is_durable(key) => File::open(parent)?.sync_all(),
            Some(_) | None => Ok(()),
        }
    }

    fn create(&self, key: &str, path: &Path, bytes: &[u8]) -> io::Result<bool> {
        // Most often the answer of a second writer: known without writing anything.
        if path.is_file() {
            return Ok(false);
        }
        let temporary = self.write_temporary(key, bytes)?;
        let linked = match fs::hard_link(&temporary, path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent)?;
                }
                fs::hard_link(&temporary, path)
            }
            other => other,
        };
        match linked {
            Ok(()) => {
                self.sync_directory(key, path)?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_file() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn swap(&self, key: &str, path: &Path, bytes: &[u8], etag: &Etag) -> io::Result<bool> {
        let _lock = self.lock(key)?;
        match read(path)? {
            Some(there) if etag_of(&there) == *etag => {}
            Some(_) | None => return Ok(false),
        }
        let temporary = self.write_temporary(key, bytes)?;
        temporary.persist(path).map_err(|error| error.error)?;
        self.sync_directory(key, path)?;
        Ok(true)
    }

    fn remove(&self, key: &str, path: &Path) -> io::Result<()> {
        let _lock = self.lock(key)?;
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Keeps other writers of a key out, until the file is closed: by the system itself when the process dies.
    fn lock(&self, key: &str) -> io::Result<File> {
        let locks = self.root.join(LOCKS);
        fs::create_dir_all(&locks)?;
        let path = locks.join(Digest::of_bytes(key.as_bytes()).hex());
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        file.lock()?;
        Ok(file)
    }

    fn find(&self, prefix: &str) -> io::Result<Vec<String>> {
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut found = Vec::new();
        let mut open = vec![folder.to_owned()];
        while let Some(folder) = open.pop() {
            let entries = match fs::read_dir(self.root.join(&folder)) {
                Err(error) if is_absence(&error) => continue,
                other => other?,
            };
            for entry in entries {
                let entry = entry?;
                let name = entry.file_name();
                // A file that is no object's may have any name.
                let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
                let key = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    if key.starts_with(prefix) || prefix.starts_with(&format!("{key}/")) {
                        open.push(key);
                    }
                } else if kind.is_file() && key.starts_with(prefix) {
                    found.push(key);
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

impl ObjectStore for DirectoryStore {
    async fn get(&self, key: &str) -> Result<Option<Object>, StoreError> {
        let bytes = read(&self.path_of(key)?).map_err(failed(key, "read"))?;
        Ok(bytes.map(|bytes| Object { etag: etag_of(&bytes), bytes }))
    }

    async fn put_if_absent(&self, key: &str, bytes: &[u8]) -> Result<Put, StoreError> {
        let path = self.path_of(key)?;
        let created = self.create(key, &path, bytes).map_err(failed(key, "written"))?;
        Ok(if created { Put::Created(etag_of(bytes)) } else { Put::Exists })
    }

    async fn put_if_match(&self, key: &str, bytes: &[u8], etag: &Etag) -> Result<Swap, StoreError> {
        let path = self.path_of(key)?;
        let swapped = self.swap(key, &path, bytes, etag).map_err(failed(key, "replaced"))?;
        Ok(if swapped { Swap::Swapped(etag_of(bytes)) } else { Swap::Changed })
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        object_key::check_prefix(prefix)?;
        self.find(prefix).map_err(failed(prefix, "listed"))
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let path = self.path_of(key)?;
        self.remove(key, &path).map_err(failed(key, "deleted"))
    }

    async fn exists(&self, key: &str) -> Result<bool, StoreError> {
        match fs::metadata(self.path_of(key)?) {
            Ok(meta) => Ok(meta.is_file()),
            Err(error) if is_absence(&error) => Ok(false),
            Err(error) => Err(failed(key, "looked up")(error)),
        }
    }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if is_absence(&error) || error.kind() == io::ErrorKind::IsADirectory => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn etag_of(bytes: &[u8]) -> Etag {
    Etag::new(Digest::of_bytes(bytes).hex())
}

fn is_durable(key: &str) -> bool {
    DURABLE.iter().any(|prefix| key.starts_with(prefix))
}

fn failed(key: &str, action: &'static str) -> impl FnOnce(io::Error) -> StoreError {
    let key = key.to_owned();
    move |source| StoreError::Io { key, action, source }
}
