//! Bundles in the bucket: the zip, and beside it what is known of it. Nothing is built or sent when both are there.

use std::future::Future;
use std::path::Path;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumAlgorithm;
use aws_sdk_s3::types::CompletedMultipartUpload;
use aws_sdk_s3::types::CompletedPart;
use aws_smithy_types::byte_stream::Length;
use liminal_schemas::aws::resource::BundleSpec;
use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use serde::Deserialize;
use serde::Serialize;
use tempfile::TempPath;

use super::error::AwsError;
use super::error::failed;
use super::retry::patiently;
use super::site::Site;
use crate::ports::Objects;
use crate::ports::PortError;

/// What is longer than this many bytes is sent in parts, each as long as this: S3 wants at least 5 MiB, and what gets lost
/// is sent again.
const PART_BYTES: u64 = 8 << 20;

/// How many parts are under way at once.
const PARALLEL_PARTS: usize = 4;

/// Builds bundles.
pub trait BundleSource: Sync {
    /// Builds the zip that a document describes.
    fn build(&self, spec: &BundleSpec) -> impl Future<Output = Result<BuiltBundle, PortError>> + Send;
}

/// A bundle that is built.
#[derive(Debug)]
pub struct BuiltBundle {
    /// The zip, which goes when this does.
    pub file: TempPath,
    /// What is known of it.
    pub facts: BundleFacts,
}

/// What is known of a bundle: kept beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleFacts {
    /// The sha256 of the zip.
    pub sha256: Digest,
    /// How long it is, in bytes.
    pub zipped_bytes: u64,
    /// What its files take together, in bytes.
    pub unzipped_bytes: u64,
}

impl BundleFacts {
    /// The sha256 as Lambda tells it in `CodeSha256`: in base64.
    pub fn code_sha256(&self) -> String {
        aws_smithy_types::base64::encode(self.sha256.bytes())
    }
}

/// Why a bundle is of no use.
#[derive(Debug, thiserror::Error)]
enum BundleProblem {
    #[error("bundle {} is not in the bucket; run the command again", .0.short())]
    Absent(Digest),
    #[error("the zip {path} can not be read")]
    File { path: String, source: aws_sdk_s3::primitives::ByteStreamError },
    #[error("the zip {path} can not be read")]
    Length { path: String, source: std::io::Error },
}

/// Builds a bundle and puts it into the bucket, unless it is there.
pub(super) async fn create(
    site: &Site,
    objects: &impl Objects,
    source: &impl BundleSource,
    digest: &Digest,
    spec: &BundleSpec,
) -> Result<(), PortError> {
    let (zip, facts) = (keys::bundle(digest), keys::bundle_facts(digest));
    if objects.exists(&facts).await? && objects.exists(&zip).await? {
        return Ok(());
    }
    let built = source.build(spec).await?;
    // What is there without its facts may be another build of the same document: it is replaced. The facts come last:
    // where they are, the zip is.
    upload(site, &site.object_key(&zip), &built.file).await?;
    let document = serde_json::to_vec(&built.facts)?;
    objects.delete(&facts).await?;
    objects.put_if_absent(&facts, document).await?;
    Ok(())
}

/// Removes a bundle.
pub(super) async fn delete(objects: &impl Objects, digest: &Digest) -> Result<(), PortError> {
    // The facts go first: a zip without them counts as absent and is written again when needed.
    objects.delete(&keys::bundle_facts(digest)).await?;
    objects.delete(&keys::bundle(digest)).await
}

/// What is known of a bundle.
pub(super) async fn facts(objects: &impl Objects, digest: &Digest) -> Result<BundleFacts, PortError> {
    let object = objects.get(&keys::bundle_facts(digest)).await?.ok_or(BundleProblem::Absent(*digest))?;
    let what = keys::bundle_facts(digest);
    Ok(serde_json::from_slice(&object.bytes).map_err(|source| AwsError::Json { what, source })?)
}

async fn upload(site: &Site, key: &str, file: &Path) -> Result<(), PortError> {
    let path = || file.display().to_string();
    let length =
        tokio::fs::metadata(file).await.map_err(|source| BundleProblem::Length { path: path(), source })?.len();
    if length <= PART_BYTES {
        let body = part(file, 0, length).await?;
        let request = site.clients.transfers.put_object().bucket(&site.place.bucket).key(key).body(body);
        request.send().await.map_err(failed("s3:PutObject", key))?;
        return Ok(());
    }
    let request = site.clients.transfers.create_multipart_upload().bucket(&site.place.bucket).key(key);
    // S3 takes the checksums of the parts, which the SDK sends, only for the algorithm that the upload was begun with.
    let request = request.set_checksum_algorithm(site.place.endpoint.is_none().then_some(ChecksumAlgorithm::Crc32));
    let answer = request.send().await.map_err(failed("s3:PutObject", key))?;
    let upload = answer.upload_id.ok_or_else(|| AwsError::incomplete("s3:PutObject", key, "the upload id"))?;
    let outcome = upload_parts(site, key, file, length, &upload).await;
    if outcome.is_err() {
        // As far as it goes: what is left is removed by the bucket's lifecycle rule.
        let request = site.clients.transfers.abort_multipart_upload().bucket(&site.place.bucket).key(key);
        let _ = request.upload_id(&upload).send().await;
    }
    outcome
}

async fn upload_parts(site: &Site, key: &str, file: &Path, length: u64, upload: &str) -> Result<(), PortError> {
    let offsets: Vec<u64> = (0..length).step_by(usize::try_from(PART_BYTES).unwrap_or(usize::MAX)).collect();
    let mut parts = Vec::with_capacity(offsets.len());
    let mut window = tokio::task::JoinSet::new();
    let mut waiting = (1..).zip(offsets);
    loop {
        while window.len() < PARALLEL_PARTS {
            let Some((number, offset)) = waiting.next() else { break };
            let body = part(file, offset, PART_BYTES.min(length - offset)).await?;
            let request = site.clients.transfers.upload_part().bucket(&site.place.bucket).key(key).upload_id(upload);
            let sent = request.part_number(number).body(body).send();
            let key = key.to_owned();
            window.spawn(async move {
                let answer = sent.await.map_err(failed("s3:PutObject", &key))?;
                let part = CompletedPart::builder().part_number(number).set_e_tag(answer.e_tag);
                Ok::<_, AwsError>(part.set_checksum_crc32(answer.checksum_crc32).build())
            });
        }
        let Some(sent) = window.join_next().await else { break };
        parts.push(sent??);
    }
    parts.sort_by_key(CompletedPart::part_number);
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    patiently(async || {
        let request = site.clients.transfers.complete_multipart_upload().bucket(&site.place.bucket).key(key);
        let request = request.upload_id(upload).multipart_upload(parts.clone());
        request.send().await.map_err(failed("s3:PutObject", key))
    })
    .await?;
    Ok(())
}

async fn part(file: &Path, offset: u64, length: u64) -> Result<ByteStream, BundleProblem> {
    let stream = ByteStream::read_from().path(file).offset(offset).length(Length::Exact(length)).build().await;
    stream.map_err(|source| BundleProblem::File { path: file.display().to_string(), source })
}
