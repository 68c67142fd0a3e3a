//! One store for both planes: the control plane's port over the data plane's store.

use liminal_functions::ports;
use liminal_functions::ports::Etag;
use liminal_functions::ports::ObjectStore;
use liminal_functions::ports::Put;
use liminal_functions::ports::Swap;
use liminal_infra::ports::Object;
use liminal_infra::ports::Objects;
use liminal_infra::ports::PortError;
use liminal_schemas::time::UtcTime;

/// The control plane's view of a store.
pub(crate) struct ControlObjects<'a, S>(pub(crate) &'a S);

impl<S: ObjectStore> Objects for ControlObjects<'_, S> {
    async fn get(&self, key: &str) -> Result<Option<Object>, PortError> {
        let object = self.0.get(key).await?;
        Ok(object.map(|object| Object { bytes: object.bytes, etag: object.etag.as_str().to_owned() }))
    }

    async fn put_if_absent(&self, key: &str, bytes: Vec<u8>) -> Result<Option<String>, PortError> {
        match self.0.put_if_absent(key, &bytes).await? {
            Put::Created(etag) => Ok(Some(etag.as_str().to_owned())),
            Put::Exists => Ok(None),
        }
    }

    async fn put_if_match(&self, key: &str, etag: &str, bytes: Vec<u8>) -> Result<Option<String>, PortError> {
        match self.0.put_if_match(key, &bytes, &Etag::new(etag)).await? {
            Swap::Swapped(etag) => Ok(Some(etag.as_str().to_owned())),
            Swap::Changed => Ok(None),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, PortError> {
        Ok(self.0.list(prefix).await?)
    }

    async fn delete(&self, key: &str) -> Result<(), PortError> {
        Ok(self.0.delete(key).await?)
    }

    async fn exists(&self, key: &str) -> Result<bool, PortError> {
        Ok(self.0.exists(key).await?)
    }
}

/// One clock for both planes.
pub(crate) struct ControlClock<C>(pub(crate) C);

impl<C: ports::Clock> liminal_infra::ports::Clock for ControlClock<C> {
    fn now(&self) -> UtcTime {
        self.0.now()
    }
}
