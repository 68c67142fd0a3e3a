//! The objects of an environment, wherever it keeps them: one type, so that whatever reads records is written once.

use std::io::Read as _;
use std::io::Seek as _;
use std::io::SeekFrom;
use std::path::Path;
use std::sync::Arc;

use liminal_functions::aws::store::S3Store;
use liminal_functions::local::store::DirectoryStore;
use liminal_functions::ports::Etag;
use liminal_functions::ports::Object;
use liminal_functions::ports::ObjectStore;
use liminal_functions::ports::Put;
use liminal_functions::ports::StoreError;
use liminal_functions::ports::Swap;

use super::effects;
use super::effects::EffectStore;

/// The objects of an environment.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    /// Files on this machine.
    Directory(Arc<EffectStore<DirectoryStore>>),
    /// Objects in a bucket.
    Bucket(Arc<EffectStore<S3Store>>),
}

impl Store {
    /// An object as other programs name it: a path, or an address.
    pub(crate) fn uri(&self, key: &str) -> String {
        match self {
            Self::Directory(store) => effects::plain(store).root().join(key).display().to_string(),
            Self::Bucket(store) => effects::plain(store).place().uri(key),
        }
    }

    /// What an object has from a byte on; none when there is no such object. For logs that grow: what was read before is
    /// not read again.
    pub(crate) async fn read_from(&self, key: &str, from: u64) -> Result<Option<Vec<u8>>, StoreError> {
        match self {
            Self::Directory(store) => {
                let path = effects::plain(store).path_of(key)?;
                let io = |source| StoreError::Io { key: key.to_owned(), action: "read", source };
                file_from(&path, from).map_err(io)
            }
            Self::Bucket(store) => effects::plain(store).get_from(key, from).await,
        }
    }
}

fn file_from(path: &Path, from: u64) -> std::io::Result<Option<Vec<u8>>> {
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

impl ObjectStore for Store {
    async fn get(&self, key: &str) -> Result<Option<Object>, StoreError> {
        match self {
            Self::Directory(store) => store.get(key).await,
            Self::Bucket(store) => store.get(key).await,
        }
    }

    async fn put_if_absent(&self, key: &str, bytes: &[u8]) -> Result<Put, StoreError> {
        match self {
            Self::Directory(store) => store.put_if_absent(key, bytes).await,
            Self::Bucket(store) => store.put_if_absent(key, bytes).await,
        }
    }

    async fn put_if_match(&self, key: &str, bytes: &[u8], etag: &Etag) -> Result<Swap, StoreError> {
        match self {
            Self::Directory(store) => store.put_if_match(key, bytes, etag).await,
            Self::Bucket(store) => store.put_if_match(key, bytes, etag).await,
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        match self {
            Self::Directory(store) => store.list(prefix).await,
            Self::Bucket(store) => store.list(prefix).await,
        }
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        match self {
            Self::Directory(store) => store.delete(key).await,
            Self::Bucket(store) => store.delete(key).await,
        }
    }

    async fn exists(&self, key: &str) -> Result<bool, StoreError> {
        match self {
            Self::Directory(store) => store.exists(key).await,
            Self::Bucket(store) => store.exists(key).await,
        }
    }
}
