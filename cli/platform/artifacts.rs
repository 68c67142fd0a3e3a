//! What steps left, brought to whoever asks for it.

use std::path::Path;

use liminal_functions::aws::artifacts::S3Artifacts;
use liminal_functions::local::artifacts::LocalArtifacts;
use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::run::Artifact;

use super::Environment;
use super::environment::Platform;
use super::store::Store;
use crate::error::CliError;
use crate::error::While as _;

/// The artifacts of an environment.
pub(crate) enum Artifacts<'a> {
    /// Files on this machine.
    Local(&'a LocalArtifacts),
    /// Objects in a bucket.
    Aws(&'a S3Artifacts, &'a Store),
}

impl Environment {
    /// Its artifacts.
    pub(crate) const fn artifacts(&self) -> Artifacts<'_> {
        match &self.platform {
            Platform::Local(local) => Artifacts::Local(local.artifacts()),
            Platform::Aws(aws) => Artifacts::Aws(aws.artifacts(), self.store()),
        }
    }
}

impl Artifacts<'_> {
    /// Copies an artifact to a path, every byte of it checked against its digest.
    pub(crate) async fn copy_out(&self, artifact: &Artifact, to: &Path) -> Result<(), CliError> {
        match self {
            Self::Local(files) => files.copy_out(artifact, to).map_err(CliError::from_failure),
            Self::Aws(objects, _) => objects.copy_out(artifact, to).await.map_err(CliError::from_failure),
        }
    }

    /// Copies a file into the environment, so that a run can take it as an input.
    pub(crate) async fn bring_in(&self, file: &Path) -> Result<Artifact, CliError> {
        match self {
            Self::Local(files) => files.bring_in(file).or_failed(|| format!("{} can not be read", file.display())),
            Self::Aws(objects, _) => objects.bring_in(file).await.map_err(CliError::from_failure),
        }
    }

    /// The content of a file artifact, checked against its digest.
    pub(crate) async fn read(&self, artifact: &Artifact) -> Result<Vec<u8>, CliError> {
        match self {
            Self::Local(files) => files.read(artifact).map_err(CliError::from_failure),
            Self::Aws(objects, _) => objects.read(artifact).await.map_err(CliError::from_failure),
        }
    }

    /// Where the object of an artifact is: a path, or an address that other programs know.
    pub(crate) fn location(&self, digest: &Digest) -> String {
        match self {
            Self::Local(files) => files.path_of(digest).display().to_string(),
            Self::Aws(_, store) => store.uri(&keys::artifact(digest)),
        }
    }
}
