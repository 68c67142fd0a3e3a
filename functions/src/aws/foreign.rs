//! Objects of any bucket, brought in as artifacts.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use liminal_schemas::digest::Digest;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::TriggerObject;
use liminal_schemas::step::ArtifactKind;
use sha2::Digest as _;
use sha2::Sha256;
use tokio::io::AsyncWriteExt as _;

use super::clients::Clients;
use super::error::AwsError;
use super::error::explain;
use super::place::Place;
use super::retry::BODY_TRIES;
use super::retry::pause;
use super::transfer::Addressed;
use super::transfer::Transfer;
use crate::starter::ForeignObject;
use crate::starter::ObjectSource;
use crate::starter::SourceError;

/// Brings objects from S3 into the object store of an environment. They go by a file on this machine, since what an artifact
/// is called is known once all of it was read.
#[derive(Debug)]
pub struct S3Source {
    client: aws_sdk_s3::Client,
    transfer: Transfer,
    folder: PathBuf,
    next: AtomicU64,
}

/// What was read.
struct Read {
    digest: Digest,
    bytes: u64,
    version: Option<String>,
}

/// Why a body was not read to its end.
enum Broken {
    Body(aws_sdk_s3::primitives::ByteStreamError),
    File(std::io::Error),
}

impl S3Source {
    /// Brings objects into a place. Files are kept in `folder` meanwhile.
    pub fn new(clients: &Clients, place: Place, folder: PathBuf) -> Self {
        let transfer = Transfer::new(clients, place);
        Self { client: clients.s3_for_transfers(), transfer, folder, next: AtomicU64::new(0) }
    }

    /// Copies an object to a file, and nowhere else. False when it is gone or another one by now.
    ///
    /// # Errors
    /// When it can not be read, or the file system refuses.
    pub async fn fetch(&self, object: &ForeignObject, to: &std::path::Path) -> Result<bool, SourceError> {
        Ok(self.read(object, to).await?.is_some())
    }

    /// Reads the object into a file. None when it is gone or another one by now.
    async fn read(&self, object: &ForeignObject, path: &std::path::Path) -> Result<Option<Read>, SourceError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| SourceError { uri: object.uri(), source };
        let mut tries = 0;
        loop {
            tries += 1;
            let output = match self.get(object).await {
                Ok(output) => output,
                Err(error) if is_other(&error) => return Ok(None),
                Err(error) => return Err(failed(error.into())),
            };
            let version = output.version_id().filter(|version| *version != "null").map(str::to_owned);
            let version = version.or_else(|| output.e_tag().map(|etag| etag.trim_matches('"').to_owned()));
            match write(output, path).await {
                Ok((digest, bytes)) => return Ok(Some(Read { digest, bytes, version })),
                Err(Broken::File(error)) => return Err(failed(error.into())),
                Err(Broken::Body(_)) if tries < BODY_TRIES => pause(tries).await,
                Err(Broken::Body(error)) => return Err(failed(error.into())),
            }
        }
    }

    async fn get(&self, object: &ForeignObject) -> Result<GetObjectOutput, AwsError> {
        let etag = object.etag.as_ref().filter(|_| object.version.is_none());
        let request = self.client.get_object().bucket(&object.bucket).key(&object.key);
        let request =
            request.set_version_id(object.version.clone()).set_if_match(etag.map(|etag| format!("\"{etag}\"")));
        request.send().await.map_err(explain("GetObject"))
    }
}

impl ObjectSource for S3Source {
    async fn bring_in(&self, object: &ForeignObject) -> Result<Option<TriggerObject>, SourceError> {
        let path = self.folder.join(format!("incoming-{}", self.next.fetch_add(1, Ordering::Relaxed)));
        let read = self.read(object, &path).await;
        let brought = match &read {
            Ok(Some(Read { digest, bytes, .. })) => {
                self.transfer.upload(&path, &Addressed::artifact(*digest, *bytes)).await.map(drop)
            }
            Ok(None) | Err(_) => Ok(()),
        };
        // What is left of it goes with the folder.
        let _ = tokio::fs::remove_file(&path).await;
        let Some(Read { digest, bytes, version }) = read? else { return Ok(None) };
        brought.map_err(|error| SourceError { uri: object.uri(), source: error.into() })?;
        let artifact = Artifact { digest, kind: ArtifactKind::File, bytes };
        Ok(Some(TriggerObject { uri: object.uri(), version, artifact }))
    }
}

async fn write(mut output: GetObjectOutput, path: &std::path::Path) -> Result<(Digest, u64), Broken> {
    let mut file = tokio::fs::File::create(path).await.map_err(Broken::File)?;
    let (mut hasher, mut total) = (Sha256::new(), 0);
    while let Some(chunk) = output.body.try_next().await.map_err(Broken::Body)? {
        hasher.update(&chunk);
        total += chunk.len() as u64;
        file.write_all(&chunk).await.map_err(Broken::File)?;
    }
    file.flush().await.map_err(Broken::File)?;
    Ok((Digest::from_bytes(hasher.finalize().into()), total))
}

/// Whether the object that is meant is not there any more: gone, or replaced by another one (HTTP 412).
fn is_other(error: &AwsError) -> bool {
    error.is_code("NoSuchKey") || error.is_code("NoSuchVersion") || error.is_status(404) || error.is_status(412)
}
