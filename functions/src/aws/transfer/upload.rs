//! Uploads. What is at a content address already is not sent again.

use std::path::Path;
use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::primitives::Length;
use aws_sdk_s3::types::ChecksumAlgorithm;
use aws_sdk_s3::types::CompletedMultipartUpload;
use aws_sdk_s3::types::CompletedPart;
use aws_smithy_types::base64;
use liminal_schemas::digest::Digest;

use super::MAX_PARTS;
use super::PART_BYTES;
use super::PARTS_FROM;
use super::Share;
use super::Task;
use super::Transfer;
use super::TransferError;
use crate::attempt::outputs::hash_file;
use crate::aws::error::AwsError;
use crate::aws::error::explain;
use crate::aws::retry;

/// From this size on it is asked first whether the object is there, in bytes: sending less costs no more than asking.
const ASK_FROM: u64 = 256 << 10;

/// How much of a part is read from its file at once, in bytes.
const READ_BYTES: usize = 256 << 10;

/// How many parts of an upload are sent at once.
const PARTS_AT_ONCE: usize = 8;

/// What a part takes of the budget, in bytes: it is read as it is sent.
const PART_MEMORY: u64 = 2 << 20;

/// How an upload came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uploaded {
    /// The object is new, or new again.
    Sent,
    /// It was there, and nothing was sent.
    WasThere,
}

impl Transfer {
    /// Sends a file to the address of its digest. Its content is hashed again on the way.
    ///
    /// # Errors
    /// When the file is not what its digest says any more, or a service fails. No object is there then that was not before.
    pub async fn upload(&self, path: &Path, key: &str, digest: &Digest, bytes: u64) -> Result<Uploaded, TransferError> {
        if bytes < PARTS_FROM {
            let share = self.share(bytes).await;
            return self.upload_whole(share, path, key, digest, bytes).await;
        }
        if self.is_there(key, bytes).await? {
            return Ok(Uploaded::WasThere);
        }
        self.upload_in_parts(path, key, digest, bytes).await?;
        Ok(Uploaded::Sent)
    }

    /// Sends content that is in memory to the address of its digest.
    ///
    /// # Errors
    /// When a service fails.
    pub async fn upload_bytes(&self, content: Vec<u8>, key: &str, digest: &Digest) -> Result<Uploaded, TransferError> {
        let _share = self.share(content.len() as u64).await;
        self.send(content, key, digest).await
    }

    /// Sends a file that goes in one piece, with a share that is at hand.
    pub(in crate::aws) async fn upload_whole(
        &self,
        _share: Share,
        path: &Path,
        key: &str,
        digest: &Digest,
        bytes: u64,
    ) -> Result<Uploaded, TransferError> {
        if bytes >= ASK_FROM && self.is_there(key, bytes).await? {
            return Ok(Uploaded::WasThere);
        }
        let content = tokio::fs::read(path).await;
        let content =
            content.map_err(|source| TransferError::File { path: path.to_owned(), action: "read", source })?;
        let found = Digest::of_bytes(&content);
        if found != *digest {
            return Err(TransferError::Changed { path: path.to_owned(), expected: *digest, found });
        }
        self.send(content, key, digest).await
    }

    async fn send(&self, content: Vec<u8>, key: &str, digest: &Digest) -> Result<Uploaded, TransferError> {
        let full = self.place.key(key)?;
        // A copy is cheap: the SDK's own form of bytes is shared.
        let content = aws_sdk_s3::primitives::SdkBody::from(content);
        let mut tries = 0;
        loop {
            tries += 1;
            // S3 checks the content against the digest, so it need not be hashed once more for the signature.
            let sent = self
                .client
                .put_object()
                .bucket(self.place.bucket())
                .set_expected_bucket_owner(self.place.owner().map(str::to_owned))
                .key(&full)
                .if_none_match("*")
                .checksum_sha256(base64::encode(digest.bytes()))
                .body(ByteStream::new(content.try_clone().unwrap_or_else(aws_sdk_s3::primitives::SdkBody::empty)))
                .customize()
                .disable_payload_signing()
                .send()
                .await
                .map_err(explain("PutObject"));
            match sent {
                Ok(_) => return Ok(Uploaded::Sent),
                // Whoever wrote it, it is the same content.
                Err(error) if error.is_status(412) => return Ok(Uploaded::WasThere),
                Err(error) if error.is_status(409) && tries < retry::CONFLICT_TRIES => retry::pause(tries).await,
                Err(error) if error.is_status(409) => {
                    let contended = AwsError::Contended { operation: "PutObject", tries };
                    return Err(failed(key, "sent")(contended));
                }
                Err(error) => return Err(failed(key, "sent")(error)),
            }
        }
    }

    /// Whether an object of that size is there. Content was checked when it was written.
    async fn is_there(&self, key: &str, bytes: u64) -> Result<bool, TransferError> {
        let found = self
            .client
            .head_object()
            .bucket(self.place.bucket())
            .set_expected_bucket_owner(self.place.owner().map(str::to_owned))
            .key(self.place.key(key)?)
            .send()
            .await
            .map_err(explain("HeadObject"));
        match found {
            Ok(found) => Ok(found.content_length.and_then(|length| u64::try_from(length).ok()) == Some(bytes)),
            Err(error) if error.is_status(404) => Ok(false),
            Err(error) => Err(failed(key, "looked up")(error)),
        }
    }

    async fn upload_in_parts(&self, path: &Path, key: &str, digest: &Digest, bytes: u64) -> Result<(), TransferError> {
        let full: Arc<str> = self.place.key(key)?.into();
        let begun = self
            .client
            .create_multipart_upload()
            .bucket(self.place.bucket())
            .set_expected_bucket_owner(self.place.owner().map(str::to_owned))
            .key(&*full)
            .set_checksum_algorithm(self.checks_parts.then_some(ChecksumAlgorithm::Crc32))
            .send()
            .await
            .map_err(explain("CreateMultipartUpload"))
            .map_err(failed(key, "sent"))?;
        let upload: Arc<str> = begun.upload_id.unwrap_or_default().into();
        let finished = self.send_parts(path, key, &full, &upload, digest, bytes).await;
        if finished.is_err() {
            // What counts is the failure. Uploads that are left over are removed by the rules of the bucket.
            let _ = self
                .client
                .abort_multipart_upload()
                .bucket(self.place.bucket())
                .set_expected_bucket_owner(self.place.owner().map(str::to_owned))
                .key(&*full)
                .upload_id(&*upload)
                .send()
                .await;
        }
        finished
    }

    async fn send_parts(
        &self,
        path: &Path,
        key: &str,
        full: &Arc<str>,
        upload: &Arc<str>,
        digest: &Digest,
        bytes: u64,
    ) -> Result<(), TransferError> {
        let hashed = path.to_owned();
        let hash = Task(tokio::task::spawn_blocking(move || hash_file(&hashed)));
        let size = part_bytes(bytes);
        let mut under_way: Vec<Task<Result<CompletedPart, TransferError>>> = Vec::new();
        let mut parts = Vec::new();
        for (number, start) in (1..).zip((0..bytes).step_by(usize::try_from(size).unwrap_or(usize::MAX))) {
            if under_way.len() >= PARTS_AT_ONCE {
                parts.push(under_way.remove(0).done().await??);
            }
            let share = self.share(PART_MEMORY).await;
            let (this, path, key) = (self.clone(), path.to_owned(), key.to_owned());
            let (full, upload, length) = (Arc::clone(full), Arc::clone(upload), size.min(bytes - start));
            under_way.push(Task::start(async move {
                let _share = share;
                let body = ByteStream::read_from()
                    .path(&path)
                    .buffer_size(READ_BYTES)
                    .offset(start)
                    .length(Length::Exact(length))
                    .build()
                    .await
                    .map_err(|error| TransferError::File {
                        path,
                        action: "read",
                        source: std::io::Error::other(error),
                    })?;
                let sent = this
                    .client
                    .upload_part()
                    .bucket(this.place.bucket())
                    .set_expected_bucket_owner(this.place.owner().map(str::to_owned))
                    .key(&*full)
                    .upload_id(&*upload)
                    .part_number(number)
                    .body(body)
                    .send()
                    .await
                    .map_err(explain("UploadPart"))
                    .map_err(failed(&key, "sent"))?;
                Ok(CompletedPart::builder()
                    .part_number(number)
                    .set_e_tag(sent.e_tag)
                    .set_checksum_crc32(sent.checksum_crc32.filter(|_| this.checks_parts))
                    .build())
            }));
        }
        for part in under_way {
            parts.push(part.done().await??);
        }
        let hashed = hash.done().await?;
        let (found, _) =
            hashed.map_err(|source| TransferError::File { path: path.to_owned(), action: "read", source })?;
        if found != *digest {
            return Err(TransferError::Changed { path: path.to_owned(), expected: *digest, found });
        }
        self.client
            .complete_multipart_upload()
            .bucket(self.place.bucket())
            .set_expected_bucket_owner(self.place.owner().map(str::to_owned))
            .key(&**full)
            .upload_id(&**upload)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
            .send()
            .await
            .map_err(explain("CompleteMultipartUpload"))
            .map_err(failed(key, "sent"))?;
        Ok(())
    }
}

/// The size of a part, so that there are not more than S3 takes.
fn part_bytes(bytes: u64) -> u64 {
    PART_BYTES.max(bytes.div_ceil(MAX_PARTS))
}

pub(super) fn failed(key: &str, action: &'static str) -> impl Fn(AwsError) -> TransferError {
    let key = key.to_owned();
    move |source| TransferError::Service { key: key.clone(), action, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_upload_has_more_parts_than_s3_takes() {
        for bytes in [PARTS_FROM, 1 << 30, (PART_BYTES * MAX_PARTS) + 1, 50 << 40] {
            assert!(bytes.div_ceil(part_bytes(bytes)) <= MAX_PARTS, "{bytes} bytes");
        }
    }
}
