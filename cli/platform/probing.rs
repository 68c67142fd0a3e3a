//! Whether what an environment is kept in can be used.

use liminal_functions::ports::ObjectStore as _;
use liminal_schemas::keys;

use super::Environment;
use super::environment::Platform;
use crate::error::CliError;
use crate::error::While as _;

impl Environment {
    /// Where its objects are, if they can be read and written.
    pub(crate) async fn probe_store(&self) -> Result<String, CliError> {
        match &self.platform {
            Platform::Local(_) => {
                let folder = self.folder();
                std::fs::create_dir_all(folder)
                    .and_then(|()| tempfile::NamedTempFile::new_in(folder).map(drop))
                    .or_failed(|| format!("{} can not be written", folder.display()))?;
                Ok(folder.display().to_string())
            }
            Platform::Aws(aws) => {
                self.store().list(keys::LIVE_PREFIX).await.or_failed(|| "the bucket can not be listed".to_owned())?;
                let place = &aws.site.place;
                Ok(format!("s3://{} in account {}, {}", place.bucket, place.account, place.region))
            }
        }
    }
}
