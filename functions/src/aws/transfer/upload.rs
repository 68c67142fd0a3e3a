//! Uploads. What is at a content address already is not sent again.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use aws_sdk_s3::operation::upload_part::UploadPartOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::primitives::Length;
use aws_sdk_s3::primitives::SdkBody;
use aws_sdk_s3::types::ChecksumAlgorithm;
use aws_sdk_s3::types::CompletedMultipartUpload;
use aws_sdk_s3::types::CompletedPart;
use aws_smithy_types::base64;
use liminal_schemas::digest::Digest;

use super::Addressed;
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
const READ_BYTES: usize = 1 << 20;

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
    pub async fn upload(&self, path: &Path, object: &Addressed) -> Result<Uploaded, TransferError> {
        if object.bytes < PARTS_FROM {
            let share = self.share(object.bytes).await;
            return self.upload_whole(share, path, object).await;
        }
        if self.is_there(object).await? {
            return Ok(Uploaded::WasThere);
        }
        self.upload_in_parts(path, object).await?;
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
        object: &Addressed,
    ) -> Result<Uploaded, TransferError> {
        if object.bytes >= ASK_FROM && self.is_there(object).await? {
            return Ok(Uploaded::WasThere);
        }
        let content = tokio::fs::read(path).await.map_err(not_read(path))?;
        let found = Digest::of_bytes(&content);
        if found != object.digest {
            return Err(changed(path, object, found));
        }
        self.send(content, &object.key, &object.digest).await
    }

    async fn send(&self, content: Vec<u8>, key: &str, digest: &Digest) -> Result<Uploaded, TransferError> {
        let full = self.place.key(key)?;
        // A copy is cheap: the SDK's own form of bytes is shared.
        let content = SdkBody::from(content);
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
                .body(ByteStream::new(content.try_clone().unwrap_or_else(SdkBody::empty)))
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
    async fn is_there(&self, object: &Addressed) -> Result<bool, TransferError> {
        let key = &object.key;
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
            Ok(found) => Ok(found.content_length.and_then(|length| u64::try_from(length).ok()) == Some(object.bytes)),
            // Who may not list a bucket is not told what is missing in it. Sending it again does no harm.
            Err(error) if error.is_status(404) || error.is_status(403) => Ok(false),
            Err(error) => Err(failed(key, "looked up")(error)),
        }
    }

    async fn upload_in_parts(&self, path: &Path, object: &Addressed) -> Result<(), TransferError> {
        let full: Arc<str> = self.place.key(&object.key)?.into();
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
            .map_err(failed(&object.key, "sent"))?;
        let upload = Upload { full, id: begun.upload_id.unwrap_or_default().into() };
        let finished = self.finish(path, object, &upload).await;
        if finished.is_err() {
            // What counts is the failure. Uploads that are left over are removed by the rules of the bucket.
            let _ = self
                .client
                .abort_multipart_upload()
                .bucket(self.place.bucket())
                .set_expected_bucket_owner(self.place.owner().map(str::to_owned))
                .key(&*upload.full)
                .upload_id(&*upload.id)
                .send()
                .await;
        }
        finished
    }

    /// Sends all parts, and makes them the object if they are what they should be.
    async fn finish(&self, path: &Path, object: &Addressed, upload: &Upload) -> Result<(), TransferError> {
        let hashed = path.to_owned();
        let hash = Task(tokio::task::spawn_blocking(move || hash_file(&hashed)));
        let parts = self.send_parts(path, object, upload).await?;
        let (found, _) = hash.done().await?.map_err(not_read(path))?;
        if found != object.digest {
            return Err(changed(path, object, found));
        }
        self.client
            .complete_multipart_upload()
            .bucket(self.place.bucket())
            .set_expected_bucket_owner(self.place.owner().map(str::to_owned))
            .key(&*upload.full)
            .upload_id(&*upload.id)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
            .send()
            .await
            .map_err(explain("CompleteMultipartUpload"))
            .map_err(failed(&object.key, "sent"))?;
        Ok(())
    }

    async fn send_parts(
        &self,
        path: &Path,
        object: &Addressed,
        upload: &Upload,
    ) -> Result<Vec<CompletedPart>, TransferError> {
        let size = part_bytes(object.bytes);
        let step = usize::try_from(size).unwrap_or(usize::MAX);
        let mut under_way: VecDeque<Task<Result<CompletedPart, TransferError>>> = VecDeque::new();
        let mut parts = Vec::new();
        for (number, start) in (1..).zip((0..object.bytes).step_by(step)) {
            if under_way.len() >= PARTS_AT_ONCE
                && let Some(first) = under_way.pop_front()
            {
                parts.push(first.done().await??);
            }
            let share = self.share(PART_MEMORY).await;
            let (this, path, key, upload) = (self.clone(), path.to_owned(), object.key.clone(), upload.clone());
            let length = size.min(object.bytes - start);
            under_way.push_back(Task::start(async move {
                let _share = share;
                let opened = ByteStream::read_from().path(&path).buffer_size(READ_BYTES).offset(start);
                let opened = opened.length(Length::Exact(length)).build().await;
                let body = opened.map_err(|error| not_read(&path)(std::io::Error::other(error)))?;
                let sent = this.send_part(&upload, number, body).await.map_err(failed(&key, "sent"))?;
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
        Ok(parts)
    }

    async fn send_part(&self, upload: &Upload, number: i32, body: ByteStream) -> Result<UploadPartOutput, AwsError> {
        self.client
            .upload_part()
            .bucket(self.place.bucket())
            .set_expected_bucket_owner(self.place.owner().map(str::to_owned))
            .key(&*upload.full)
            .upload_id(&*upload.id)
            .part_number(number)
            .body(body)
            .send()
            .await
            .map_err(explain("UploadPart"))
    }
}

/// An upload in parts that was begun.
#[derive(Clone)]
struct Upload {
    full: Arc<str>,
    id: Arc<str>,
}

/// The size of a part, so that there are not more than S3 takes.
fn part_bytes(bytes: u64) -> u64 {
    PART_BYTES.max(bytes.div_ceil(MAX_PARTS))
}

fn not_read(path: &Path) -> impl FnOnce(std::io::Error) -> TransferError {
    let path = path.to_owned();
    move |source| TransferError::File { path, action: "read", source }
}

fn changed(path: &Path, object: &Addressed, found: Digest) -> TransferError {
    TransferError::Changed { path: path.to_owned(), expected: object.digest, found }
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
