//! An environment's objects in the bucket, as plainly as a test needs them, and bundles of a few bytes.

use std::io::Write as _;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectError;
use liminal_infra::aws::BuiltBundle;
use liminal_infra::aws::BundleFacts;
use liminal_infra::aws::BundleSource;
use liminal_infra::ports::Object;
use liminal_infra::ports::Objects;
use liminal_infra::ports::PortError;
use liminal_schemas::aws::resource::BundleSpec;
use liminal_schemas::digest::Digest;
use liminal_schemas::files::ProjectFile;
use liminal_schemas::files::ProjectFiles;
use liminal_schemas::files::RefusedFile;

/// Objects below a prefix of a bucket.
pub(crate) struct BucketObjects {
    pub(crate) s3: Client,
    pub(crate) bucket: String,
    pub(crate) prefix: String,
}

impl BucketObjects {
    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}

impl Objects for BucketObjects {
    async fn get(&self, key: &str) -> Result<Option<Object>, PortError> {
        match self.s3.get_object().bucket(&self.bucket).key(self.key(key)).send().await {
            Ok(answer) => {
                let etag = answer.e_tag().unwrap_or_default().to_owned();
                Ok(Some(Object { bytes: answer.body.collect().await?.to_vec(), etag }))
            }
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn put_if_absent(&self, key: &str, bytes: Vec<u8>) -> Result<Option<String>, PortError> {
        if self.exists(key).await? {
            return Ok(None);
        }
        let request = self.s3.put_object().bucket(&self.bucket).key(self.key(key)).body(bytes.into());
        Ok(Some(request.send().await?.e_tag.unwrap_or_default()))
    }

    async fn put_if_match(&self, _: &str, _: &str, _: Vec<u8>) -> Result<Option<String>, PortError> {
        panic!("no resource is swapped")
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, PortError> {
        let request = self.s3.list_objects_v2().bucket(&self.bucket).prefix(self.key(prefix));
        let mut pages = request.into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.try_next().await? {
            keys.extend(
                page.contents().iter().filter_map(|object| object.key()?.strip_prefix(&self.prefix)).map(str::to_owned),
            );
        }
        Ok(keys)
    }

    async fn delete(&self, key: &str) -> Result<(), PortError> {
        self.s3.delete_object().bucket(&self.bucket).key(self.key(key)).send().await?;
        Ok(())
    }

    async fn exists(&self, key: &str) -> Result<bool, PortError> {
        Ok(self.list(key).await?.iter().any(|found| found == key))
    }
}

/// Builds zips that hold one handler, or some more bytes, and counts them.
#[derive(Debug, Default)]
pub(crate) struct SmallBundles {
    pub(crate) built: AtomicUsize,
    /// How many bytes more.
    pub(crate) padding: usize,
}

impl BundleSource for SmallBundles {
    async fn build(&self, spec: &BundleSpec) -> Result<BuiltBundle, PortError> {
        self.built.fetch_add(1, Ordering::Relaxed);
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        zip.start_file("liminal_handler.py", options)?;
        writeln!(zip, "# {}\ndef handle(event, context):\n    return None", spec.packer)?;
        zip.start_file("padding", options)?;
        zip.write_all(&vec![7; self.padding])?;
        let bytes = zip.finish()?.into_inner();
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(&bytes)?;
        let length = bytes.len() as u64;
        let facts = BundleFacts { sha256: Digest::of_bytes(&bytes), zipped_bytes: length, unzipped_bytes: length };
        Ok(BuiltBundle { file: file.into_temp_path(), facts })
    }
}

/// A project without files.
pub(crate) struct NoFiles;

impl ProjectFiles for NoFiles {
    fn file(&self, _: &str) -> Result<Option<ProjectFile>, RefusedFile> {
        Ok(None)
    }

    fn under(&self, _: &str) -> Result<Vec<(String, ProjectFile)>, (String, RefusedFile)> {
        Ok(Vec::new())
    }

    fn read(&self, path: &str, _: usize) -> Result<Vec<u8>, String> {
        Err(format!("there is no {path}"))
    }
}
