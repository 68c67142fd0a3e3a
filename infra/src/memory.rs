//! Ports in memory, with faults on demand: what the tests of the control plane run on.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use liminal_schemas::aws::resource::CloudResource;
use liminal_schemas::release::PythonSpec;
use liminal_schemas::state::ResourceAddress;
use liminal_schemas::state::ResourceKind;
use liminal_schemas::time::UtcTime;

use crate::ports::Clock;
use crate::ports::Object;
use crate::ports::Objects;
use crate::ports::PortError;
use crate::ports::PythonEnvironments;
use crate::ports::Resources;

/// Objects in memory.
#[derive(Debug, Default)]
pub struct MemoryObjects {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    objects: BTreeMap<String, Object>,
    versions: u64,
    effects_left: Option<usize>,
    read_only: Option<String>,
    effects: usize,
}

/// The error of a fault that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store refused")]
pub struct InjectedFault;

impl MemoryObjects {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on lets so many writes and deletes pass and refuses all that follow, as if the process had died.
    pub fn fail_after(&self, effects: usize) {
        self.inner().effects_left = Some(effects);
    }

    /// From now on refuses every write below a prefix.
    pub fn refuse_writes_to(&self, prefix: &str) {
        self.inner().read_only = Some(prefix.to_owned());
    }

    /// Ends all faults.
    pub fn heal(&self) {
        let mut inner = self.inner();
        inner.effects_left = None;
        inner.read_only = None;
    }

    /// How many writes and deletes were tried so far.
    pub fn effects(&self) -> usize {
        self.inner().effects
    }

    /// Puts an object there, whatever was there before.
    pub fn overwrite(&self, key: &str, bytes: &[u8]) {
        self.inner().write(key, bytes.to_vec());
    }

    /// All objects, by key.
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        self.inner().objects.iter().map(|(key, object)| (key.clone(), object.bytes.clone())).collect()
    }
}

impl Inner {
    fn permit(&mut self, key: &str) -> Result<(), PortError> {
        self.effects += 1;
        if self.read_only.as_ref().is_some_and(|prefix| key.starts_with(prefix)) {
            return Err(InjectedFault.into());
        }
        match &mut self.effects_left {
            Some(0) => Err(InjectedFault.into()),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn write(&mut self, key: &str, bytes: Vec<u8>) -> String {
        self.versions += 1;
        let etag = format!("v{}", self.versions);
        self.objects.insert(key.to_owned(), Object { bytes, etag: etag.clone() });
        etag
    }
}

impl Objects for MemoryObjects {
    async fn get(&self, key: &str) -> Result<Option<Object>, PortError> {
        Ok(self.inner().objects.get(key).cloned())
    }

    async fn put_if_absent(&self, key: &str, bytes: Vec<u8>) -> Result<Option<String>, PortError> {
        let mut inner = self.inner();
        inner.permit(key)?;
        if inner.objects.contains_key(key) {
            return Ok(None);
        }
        Ok(Some(inner.write(key, bytes)))
    }

    async fn put_if_match(&self, key: &str, etag: &str, bytes: Vec<u8>) -> Result<Option<String>, PortError> {
        let mut inner = self.inner();
        inner.permit(key)?;
        if inner.objects.get(key).is_none_or(|object| object.etag != etag) {
            return Ok(None);
        }
        Ok(Some(inner.write(key, bytes)))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, PortError> {
        let inner = self.inner();
        let from = inner.objects.range(prefix.to_owned()..);
        Ok(from.map(|(key, _)| key.clone()).take_while(|key| key.starts_with(prefix)).collect())
    }

    async fn delete(&self, key: &str) -> Result<(), PortError> {
        let mut inner = self.inner();
        inner.permit(key)?;
        inner.objects.remove(key);
        Ok(())
    }

    async fn exists(&self, key: &str) -> Result<bool, PortError> {
        Ok(self.inner().objects.contains_key(key))
    }
}

/// Python environments that are nothing but a name.
#[derive(Debug, Default)]
pub struct MemoryPython {
    made: Mutex<BTreeSet<ResourceAddress>>,
}

impl MemoryPython {
    fn made(&self) -> MutexGuard<'_, BTreeSet<ResourceAddress>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PythonEnvironments for MemoryPython {
    async fn ensure(&self, spec: &PythonSpec, _: Option<&[u8]>) -> Result<(), PortError> {
        self.made().insert(ResourceAddress { kind: ResourceKind::Python, digest: spec.digest() });
        Ok(())
    }

    async fn exists(&self, address: &ResourceAddress) -> Result<bool, PortError> {
        Ok(self.made().contains(address))
    }

    async fn remove(&self, address: &ResourceAddress) -> Result<(), PortError> {
        self.made().remove(address);
        Ok(())
    }
}

/// Cloud resources that are nothing but documents, kept as objects, so that faults of the store are faults of theirs. What
/// their service names lastingly is one thing here too, whatever its document; the rest is left to `others`.
#[derive(Debug)]
pub struct MemoryCloud<'a, R> {
    /// Where they are kept.
    pub objects: &'a MemoryObjects,
    /// What addresses stand for.
    pub documents: BTreeMap<ResourceAddress, CloudResource>,
    /// Makes resources that are in no cloud.
    pub others: R,
}

/// Where cloud resources are kept in memory.
pub const CLOUD_PREFIX: &str = "cloud/";

/// What a cloud in memory refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemoryCloudError {
    /// Nobody said what an address stands for.
    #[error("no document says what {0} is made of")]
    NoDocument(ResourceAddress),
    /// Something that it needs is not there.
    #[error("{made} needs {missing}, which is not there")]
    Missing {
        /// What was to be made.
        made: ResourceAddress,
        /// What is not there.
        missing: ResourceAddress,
    },
}

impl<R: Resources> MemoryCloud<'_, R> {
    fn is_cloud(address: &ResourceAddress) -> bool {
        !matches!(address.kind, ResourceKind::Package | ResourceKind::Python)
    }

    fn document(&self, address: &ResourceAddress) -> Result<&CloudResource, MemoryCloudError> {
        self.documents.get(address).ok_or_else(|| MemoryCloudError::NoDocument(address.clone()))
    }

    fn key(resource: &CloudResource) -> String {
        format!("{CLOUD_PREFIX}{}/{}", resource.spec.kind().as_str(), resource.spec.name())
    }

    async fn is_whole(&self, address: &ResourceAddress) -> Result<bool, PortError> {
        let resource = self.document(address)?;
        let there = self.objects.get(&Self::key(resource)).await?;
        Ok(match there {
            Some(object) => object.bytes == serde_json::to_vec(&resource.spec)?,
            None => false,
        })
    }
}

impl<R: Resources> Resources for MemoryCloud<'_, R> {
    async fn create(&self, address: &ResourceAddress) -> Result<(), PortError> {
        if !Self::is_cloud(address) {
            return self.others.create(address).await;
        }
        let resource = self.document(address)?;
        let there = self.present(&resource.needs).await?;
        if let Some(missing) = resource.needs.difference(&there).next() {
            return Err(MemoryCloudError::Missing { made: address.clone(), missing: missing.clone() }.into());
        }
        let (key, bytes) = (Self::key(resource), serde_json::to_vec(&resource.spec)?);
        let mut inner = self.objects.inner();
        inner.permit(&key)?;
        inner.write(&key, bytes);
        Ok(())
    }

    async fn present(&self, asked: &BTreeSet<ResourceAddress>) -> Result<BTreeSet<ResourceAddress>, PortError> {
        let (cloud, others): (BTreeSet<_>, BTreeSet<_>) = asked.iter().cloned().partition(Self::is_cloud);
        let mut present = self.others.present(&others).await?;
        for address in cloud {
            if self.is_whole(&address).await? {
                present.insert(address);
            }
        }
        Ok(present)
    }

    async fn delete(&self, address: &ResourceAddress) -> Result<(), PortError> {
        if !Self::is_cloud(address) {
            return self.others.delete(address).await;
        }
        self.objects.delete(&Self::key(self.document(address)?)).await
    }
}

/// A clock that goes on by one millisecond whenever it is asked.
#[derive(Debug)]
pub struct MemoryClock {
    now: Mutex<UtcTime>,
}

impl MemoryClock {
    /// A clock that starts at a moment.
    pub fn starting_at(now: UtcTime) -> Self {
        Self { now: Mutex::new(now) }
    }

    /// Lets time pass.
    pub fn advance(&self, millis: i64) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.plus_millis(millis);
    }
}

impl Clock for MemoryClock {
    fn now(&self) -> UtcTime {
        self.advance(1);
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
