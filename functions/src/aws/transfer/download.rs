//! Downloads: every byte is checked against the digest, on the way.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::AggregatedBytes;
use liminal_schemas::digest::Digest;
use sha2::Digest as _;
use sha2::Sha256;

use super::Addressed;
use super::PART_BYTES;
use super::PARTS_AT_ONCE;
use super::PARTS_FROM;
use super::Share;
use super::Task;
use super::Transfer;
use super::TransferError;
use super::upload::failed;
use crate::aws::error::AwsError;
use crate::aws::error::explain;
use crate::aws::retry;

/// What a part is until it is written: its bytes, and the share that they take.
type Part = Result<(AggregatedBytes, Share), TransferError>;

impl Transfer {
    /// Puts an object of known size into a new file with the given mode.
    ///
    /// # Errors
    /// When it is not there, or is not what its digest says: no file is left then.
    pub async fn download(&self, object: &Addressed, to: &Path, mode: u32) -> Result<(), TransferError> {
        if object.bytes < PARTS_FROM {
            let share = self.share(object.bytes).await;
            return self.download_whole(share, object, to, mode).await;
        }
        let placed = self.download_in_parts(object, to, mode).await;
        if placed.is_err() {
            // Whatever becomes of this, the failure is what counts.
            let _ = tokio::fs::remove_file(to).await;
        }
        placed
    }

    /// The content of an object, up to a limit.
    ///
    /// # Errors
    /// When it is not there, is larger, or is not what its digest says.
    pub async fn read(&self, key: &str, digest: &Digest, limit: u64) -> Result<Vec<u8>, TransferError> {
        let full = self.place.key(key)?;
        let mut tries = 0;
        loop {
            tries += 1;
            let mut answer = self.get(&full, None).await.map_err(|error| self.not_read(key, error))?;
            let (mut content, mut hasher, mut total) = (Vec::new(), Sha256::new(), 0);
            let broken = loop {
                match answer.body.next().await {
                    Some(Ok(chunk)) => {
                        hasher.update(&chunk);
                        total += chunk.len() as u64;
                        // What is too large is read on for the sake of its digest, but not kept.
                        if total <= limit {
                            content.extend_from_slice(&chunk);
                        }
                    }
                    Some(Err(error)) => break Some(error),
                    None => break None,
                }
            };
            if let Some(error) = broken {
                if tries < retry::BODY_TRIES {
                    retry::pause(tries).await;
                    continue;
                }
                return Err(failed(key, "read")(AwsError::NoAnswer { operation: "GetObject", source: error.into() }));
            }
            let found = Digest::from_bytes(hasher.finalize().into());
            return match (found == *digest, total <= limit) {
                (true, true) => Ok(content),
                (true, false) => Err(TransferError::TooLarge { key: key.to_owned(), limit }),
                (false, _) => Err(TransferError::Corrupt { key: key.to_owned(), expected: *digest, found }),
            };
        }
    }

    /// Puts an object that comes in one piece into a new file, with a share that is at hand.
    pub(in crate::aws) async fn download_whole(
        &self,
        _share: Share,
        object: &Addressed,
        to: &Path,
        mode: u32,
    ) -> Result<(), TransferError> {
        let content = self.read(&object.key, &object.digest, object.bytes).await?;
        let path = to.to_owned();
        let written = Task(tokio::task::spawn_blocking(move || create(&path, mode)?.write_all(&content)));
        written.done().await?.map_err(not_written(to))
    }

    async fn download_in_parts(&self, object: &Addressed, to: &Path, mode: u32) -> Result<(), TransferError> {
        let Addressed { key, digest, bytes } = object;
        let full = self.place.key(key)?;
        let mut sink = Sink { file: create(to, mode).map_err(not_written(to))?, hasher: Sha256::new() };
        let mut starts = (0..*bytes).step_by(usize::try_from(PART_BYTES).unwrap_or(usize::MAX));
        let mut under_way: VecDeque<Task<Part>> = VecDeque::new();
        loop {
            while under_way.len() < PARTS_AT_ONCE
                && let Some(start) = starts.next()
            {
                // Taken in the order of the parts, so that the next one to be written always has its share.
                let share = self.share(PART_BYTES).await;
                let range = format!("bytes={start}-{}", (start + PART_BYTES).min(*bytes) - 1);
                let (this, key, full) = (self.clone(), key.to_owned(), full.clone());
                under_way.push_back(Task::start(async move { Ok((this.part(&key, &full, &range).await?, share)) }));
            }
            let Some(next) = under_way.pop_front() else { break };
            let (part, share) = match next.done().await? {
                Ok(part) => part,
                // It is shorter than it should be.
                Err(TransferError::Service { source, .. }) if source.is_status(416) => {
                    return Err(self.corrupt(key, digest).await);
                }
                Err(error) => return Err(error),
            };
            let wrote = Task(tokio::task::spawn_blocking(move || sink.take(part)));
            sink = wrote.done().await?.map_err(not_written(to))?;
            drop(share);
        }
        let found = Digest::from_bytes(sink.hasher.finalize().into());
        if found != *digest {
            return Err(self.corrupt(key, digest).await);
        }
        Ok(())
    }

    /// One part, whole.
    async fn part(&self, key: &str, full: &str, range: &str) -> Result<AggregatedBytes, TransferError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let answer = self.get(full, Some(range)).await.map_err(|error| self.not_read(key, error))?;
            match answer.body.collect().await {
                Ok(part) => return Ok(part),
                Err(_) if tries < retry::BODY_TRIES => retry::pause(tries).await,
                Err(error) => {
                    let broken = AwsError::NoAnswer { operation: "GetObject", source: error.into() };
                    return Err(failed(key, "read")(broken));
                }
            }
        }
    }

    async fn get(&self, full: &str, range: Option<&str>) -> Result<GetObjectOutput, SdkError<GetObjectError>> {
        self.client
            .get_object()
            .bucket(self.place.bucket())
            .set_expected_bucket_owner(self.place.owner().map(str::to_owned))
            .key(full)
            .set_range(range.map(str::to_owned))
            .send()
            .await
    }

    fn not_read(&self, key: &str, error: SdkError<GetObjectError>) -> TransferError {
        let error = explain("GetObject")(error);
        if error.is_code("NoSuchKey") {
            return TransferError::Missing { key: key.to_owned() };
        }
        failed(key, "read")(error)
    }

    /// What to say of an object that is not what its digest says, whatever its size is.
    async fn corrupt(&self, key: &str, expected: &Digest) -> TransferError {
        match self.read(key, expected, 0).await {
            Err(error) => error,
            // Whoever replaced it has just put it right.
            Ok(_) => TransferError::Missing { key: key.to_owned() },
        }
    }
}

/// Where a download goes, part by part.
struct Sink {
    file: File,
    hasher: Sha256,
}

impl Sink {
    fn take(mut self, part: AggregatedBytes) -> io::Result<Self> {
        for segment in part.into_segments() {
            self.hasher.update(&segment);
            self.file.write_all(&segment)?;
        }
        Ok(self)
    }
}

fn create(path: &Path, mode: u32) -> io::Result<File> {
    File::options().write(true).create_new(true).mode(mode).open(path)
}

fn not_written(path: &Path) -> impl FnOnce(io::Error) -> TransferError {
    let path: PathBuf = path.to_owned();
    move |source| TransferError::File { path, action: "written", source }
}
