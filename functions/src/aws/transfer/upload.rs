//! Uploads. What is at a content address already is not sent again.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use aws_sdk_s3::operation::upload_part::UploadPartOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::primitives::SdkBody;
use aws_sdk_s3::types::ChecksumAlgorithm;
use aws_sdk_s3::types::CompletedMultipartUpload;
use aws_sdk_s3::types::CompletedPart;
use aws_smithy_types::base64;
use liminal_schemas::digest::Digest;
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use sha2::Digest as _;
use sha2::Sha256;

use super::Addressed;
use super::MAX_PARTS;
use super::PART_BYTES;
use super::PARTS_AT_ONCE;
use super::PARTS_FROM;
use super::Share;
use super::Task;
use super::Transfer;
use super::TransferError;
use crate::aws::error::AwsError;
use crate::aws::error::explain;
use crate::aws::retry;

/// From this size on it is asked first whether the object is there, in bytes: sending less costs no more than asking.
const ASK_FROM: u64 = 256 << 10;

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
        let (found, parts) = self.send_parts(path, object, upload).await?;
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

    /// Sends a file in parts, each of which is read once, and gives the digest of what was sent.
    async fn send_parts(
        &self,
        path: &Path,
        object: &Addressed,
        upload: &Upload,
    ) -> Result<(Digest, Vec<CompletedPart>), TransferError> {
        let size = part_bytes(object.bytes);
        let mut source = Source { file: File::open(path).map_err(not_read(path))?, hasher: Sha256::new() };
        let mut under_way: VecDeque<Task<Result<CompletedPart, TransferError>>> = VecDeque::new();
        let mut parts = Vec::new();
        let (mut number, mut left) = (0, object.bytes);
        while left > 0 {
            if under_way.len() >= PARTS_AT_ONCE
                && let Some(first) = under_way.pop_front()
            {
                parts.push(first.done().await??);
            }
            let share = self.share(size).await;
            let length = usize::try_from(size.min(left)).unwrap_or(usize::MAX);
            let read = Task(tokio::task::spawn_blocking(move || source.take(length)));
            let part;
            (source, part) = read.done().await?.map_err(not_read(path))?;
            if part.is_empty() {
                // The file is shorter than it was, as its digest will tell.
                break;
            }
            left = left.saturating_sub(part.len() as u64);
            number += 1;
            let (this, key, upload) = (self.clone(), object.key.clone(), upload.clone());
            under_way.push_back(Task::start(async move {
                let _share = share;
                let sent = this.send_part(&upload, number, part.into()).await.map_err(failed(&key, "sent"))?;
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
        Ok((Digest::from_bytes(source.hasher.finalize().into()), parts))
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
            .customize()
            // All parts together are checked against the digest, so they need not be hashed once more for the signature.
            .disable_payload_signing()
            .send()
            .await
            .map_err(explain("UploadPart"))
    }
}

/// A file that is sent part by part, and hashed meanwhile.
struct Source {
    file: File,
    hasher: Sha256,
}

impl Source {
    /// The next part: `length` bytes, or less at the end of the file.
    fn take(mut self, length: usize) -> io::Result<(Self, Vec<u8>)> {
        let mut part = Vec::with_capacity(length);
        while part.len() < length {
            match rustix::io::read(&self.file, spare_capacity(&mut part)) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.hasher.update(&part);
        Ok((self, part))
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

fn not_read(path: &Path) -> impl FnOnce(io::Error) -> TransferError {
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
