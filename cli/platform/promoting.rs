//! What was built for one environment, brought to another.

use liminal_functions::ports::ObjectStore as _;
use liminal_schemas::digest::Digest;
use liminal_schemas::keys;

use super::Environment;
use crate::error::CliError;
use crate::error::While as _;

impl Environment {
    /// Copies those packages that the other environment has and this one lacks; gives how many these were.
    pub(crate) async fn copy_packages<'a>(
        &self,
        from: &Self,
        packages: impl Iterator<Item = &'a Digest>,
    ) -> Result<usize, CliError> {
        let mut copied = 0;
        for digest in packages {
            // The document comes last: where it is, the zip is.
            let (zip, document) = (keys::package(digest), keys::package_spec(digest));
            let exists = self.store().exists(&document).await.or_failed(|| format!("{document} can not be read"))?;
            if exists || !self.copy_object(from, &zip).await? {
                continue;
            }
            copied += usize::from(self.copy_object(from, &document).await?);
        }
        Ok(copied)
    }

    /// Copies an object; false when there is none.
    async fn copy_object(&self, from: &Self, key: &str) -> Result<bool, CliError> {
        let Some(object) = from.store().get(key).await.or_failed(|| format!("{key} can not be read"))? else {
            return Ok(false);
        };
        self.store().put_if_absent(key, &object.bytes).await.or_failed(|| format!("{key} can not be written"))?;
        Ok(true)
    }
}
