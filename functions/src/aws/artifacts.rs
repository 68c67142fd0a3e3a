//! Artifacts in S3: verified on their way to a step, sent on their way back. The promises are those of the local ones.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::map::ListedObject;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::DirectoryListing;
use liminal_schemas::run::Failure;
use liminal_schemas::step::ArtifactKind;
use liminal_schemas::step::FailureClass;
use tokio::task::JoinSet;

use super::clients::Clients;
use super::foreign::S3Source;
use super::place::Place;
use super::transfer::Addressed;
use super::transfer::PARTS_FROM;
use super::transfer::Transfer;
use super::transfer::TransferError;
use crate::artifact;
use crate::artifact::MAX_LISTING_BYTES;
use crate::artifact::Purpose;
use crate::attempt::failure;
use crate::attempt::outputs::FoundOutput;
use crate::attempt::outputs::hash_file;
use crate::causes::in_full;
use crate::protocol::attempt::failure as failed;
use crate::starter::ForeignObject;

/// The artifacts of an environment.
#[derive(Clone, Debug)]
pub struct S3Artifacts {
    transfer: Transfer,
    source: Arc<S3Source>,
}

impl S3Artifacts {
    /// The artifacts in a place.
    pub fn new(clients: &Clients, place: Place) -> Self {
        // Objects are fetched to where they are asked for, so that no folder is needed.
        let source = S3Source::new(clients, place.clone(), std::path::PathBuf::new());
        Self { transfer: Transfer::new(clients, place), source: Arc::new(source) }
    }

    /// Puts an artifact at `to`, every byte of it checked against its digest.
    ///
    /// # Errors
    /// When an object is missing, or is not what its name says: nothing of it is left at `to` then.
    pub async fn fetch(&self, artifact: &Artifact, to: &Path) -> Result<(), Failure> {
        self.bring(artifact, to, Purpose::Input).await
    }

    /// Puts an object of any bucket at `to`, read-only. False when it is gone, or another one by now.
    ///
    /// # Errors
    /// When it can not be read, or the file system refuses.
    pub async fn fetch_object(&self, object: &ListedObject, to: &Path) -> Result<bool, Failure> {
        let foreign = ForeignObject {
            bucket: object.bucket.clone(),
            key: object.key.clone(),
            version: object.version.clone(),
            etag: object.etag.clone(),
        };
        let read = self.source.fetch(&foreign, to).await;
        let there = read.map_err(|error| failed(FailureClass::Infrastructure, in_full(&error)))?;
        if there {
            let mode = std::fs::Permissions::from_mode(Purpose::Input.mode(false));
            let made = tokio::fs::set_permissions(to, mode).await;
            made.map_err(|error| failure::infrastructure("protecting an input", &error))?;
        }
        Ok(there)
    }

    /// Copies an artifact to `to`, where it belongs to whoever asked: writable.
    ///
    /// # Errors
    /// As for [`fetch`](Self::fetch).
    pub async fn copy_out(&self, artifact: &Artifact, to: &Path) -> Result<(), Failure> {
        self.bring(artifact, to, Purpose::Copy).await
    }

    /// The content of a file artifact, checked against its digest.
    ///
    /// # Errors
    /// As for [`fetch`](Self::fetch).
    pub async fn read(&self, artifact: &Artifact) -> Result<Vec<u8>, Failure> {
        let key = keys::artifact(&artifact.digest);
        let content = self.transfer.read(&key, &artifact.digest, artifact.bytes).await;
        content.map_err(|error| explain(&artifact.digest, error))
    }

    async fn bring(&self, artifact: &Artifact, to: &Path, purpose: Purpose) -> Result<(), Failure> {
        match artifact.kind {
            ArtifactKind::File => {
                let object = Addressed::artifact(artifact.digest, artifact.bytes);
                let placed = self.transfer.download(&object, to, purpose.mode(false)).await;
                placed.map_err(|error| explain(&artifact.digest, error))
            }
            ArtifactKind::Directory => {
                let listing = self.listing(&artifact.digest).await?;
                let fetched = self.fetch_directory(&artifact.digest, &listing, to, purpose).await;
                if fetched.is_err() {
                    // Whatever becomes of this, the failure is what counts.
                    let _ = tokio::fs::remove_dir_all(to).await;
                }
                fetched
            }
        }
    }

    async fn listing(&self, digest: &Digest) -> Result<DirectoryListing, Failure> {
        let text = self.transfer.read(&keys::artifact(digest), digest, MAX_LISTING_BYTES).await;
        let text = text.map_err(|error| explain(digest, error))?;
        serde_json::from_slice(&text).map_err(|error| artifact::no_listing(digest, &error))
    }

    async fn fetch_directory(
        &self,
        digest: &Digest,
        listing: &DirectoryListing,
        to: &Path,
        purpose: Purpose,
    ) -> Result<(), Failure> {
        let made = |error: std::io::Error| failure::infrastructure("making an input directory", &error);
        tokio::fs::create_dir(to).await.map_err(made)?;
        let mut folders = BTreeSet::new();
        for below in listing.files.keys() {
            artifact::check_listed(digest, below)?;
            if let Some((folder, _)) = below.rsplit_once('/')
                && folders.insert(folder)
            {
                tokio::fs::create_dir_all(to.join(folder)).await.map_err(made)?;
            }
        }
        let mut under_way = JoinSet::new();
        for (below, file) in &listing.files {
            let (path, mode) = (to.join(below), purpose.mode(file.executable));
            let object = Addressed::artifact(file.digest, file.bytes);
            if object.bytes >= PARTS_FROM {
                let placed = self.transfer.download(&object, &path, mode).await;
                placed.map_err(|error| explain(&object.digest, error))?;
                continue;
            }
            let share = self.transfer.share(object.bytes).await;
            let transfer = self.transfer.clone();
            under_way.spawn(async move {
                let placed = transfer.download_whole(share, &object, &path, mode).await;
                placed.map_err(|error| explain(&object.digest, error))
            });
            while let Some(ended) = under_way.try_join_next() {
                joined(ended)?;
            }
        }
        while let Some(ended) = under_way.join_next().await {
            joined(ended)?;
        }
        Ok(())
    }

    /// Sends a file of this machine, so that a run can take it as an input. The file stays as it is.
    ///
    /// # Errors
    /// When it is no regular file, changes while it is sent, or a service fails.
    pub async fn bring_in(&self, file: &Path) -> Result<Artifact, Failure> {
        let path = file.to_owned();
        let hashed = tokio::task::spawn_blocking(move || {
            if !path.metadata()?.is_file() {
                return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is no regular file"));
            }
            hash_file(&path)
        });
        let hashed = hashed.await.map_err(std::io::Error::other).flatten();
        let (digest, bytes) = hashed.map_err(|error| failure::infrastructure("reading the file", &error))?;
        let sent = self.transfer.upload(file, &Addressed::artifact(digest, bytes)).await;
        sent.map_err(|error| explain(&digest, error))?;
        Ok(Artifact { digest, kind: ArtifactKind::File, bytes })
    }

    /// Sends what an attempt left. The listing of a directory goes last, so that where it is, its files are.
    ///
    /// # Errors
    /// When a file can not be read or a service fails.
    pub async fn keep(&self, output: &FoundOutput) -> Result<(), Failure> {
        let mut under_way = JoinSet::new();
        let mut sent = BTreeSet::new();
        for (path, digest, bytes) in &output.files {
            if !sent.insert(*digest) {
                continue;
            }
            let object = Addressed::artifact(*digest, *bytes);
            if object.bytes >= PARTS_FROM {
                let kept = self.transfer.upload(path, &object).await;
                kept.map_err(|error| explain(digest, error))?;
                continue;
            }
            let share = self.transfer.share(object.bytes).await;
            let (transfer, path) = (self.transfer.clone(), path.clone());
            under_way.spawn(async move {
                let kept = transfer.upload_whole(share, &path, &object).await;
                kept.map(drop).map_err(|error| explain(&object.digest, error))
            });
            while let Some(ended) = under_way.try_join_next() {
                joined(ended)?;
            }
        }
        while let Some(ended) = under_way.join_next().await {
            joined(ended)?;
        }
        if let Some(listing) = &output.listing {
            let digest = &output.artifact.digest;
            let text = serde_json::to_vec(listing).map_err(|error| artifact::no_listing(digest, &error))?;
            let kept = self.transfer.upload_bytes(text, &keys::artifact(digest), digest).await;
            kept.map_err(|error| explain(digest, error))?;
        }
        Ok(())
    }
}

fn joined(ended: Result<Result<(), Failure>, tokio::task::JoinError>) -> Result<(), Failure> {
    ended.unwrap_or_else(|error| Err(failed(FailureClass::Infrastructure, format!("a transfer ended early: {error}"))))
}

/// A failed transfer, as the failure of an attempt.
fn explain(digest: &Digest, error: TransferError) -> Failure {
    match error {
        TransferError::Missing { .. } => artifact::missing(digest),
        TransferError::Corrupt { expected, found, .. } => artifact::corrupt(&expected, &found),
        error @ (TransferError::Key(_) | TransferError::TooLarge { .. }) => failure::poison(in_full(&error)),
        TransferError::Service { ref source, .. } if source.is_throttling() => {
            failed(FailureClass::Throttled, in_full(&error))
        }
        error @ (TransferError::Service { .. }
        | TransferError::Changed { .. }
        | TransferError::File { .. }
        | TransferError::Interrupted { .. }) => failed(FailureClass::Infrastructure, in_full(&error)),
    }
}
