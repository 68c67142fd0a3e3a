//! What the control plane needs of the world: objects, Python environments, a clock. Ports are as narrow as their use.

use std::collections::BTreeSet;
use std::future::Future;

use liminal_schemas::release::PythonSpec;
use liminal_schemas::state::ResourceAddress;
use liminal_schemas::time::UtcTime;

/// An object and the version of it that a swap must name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The content.
    pub bytes: Vec<u8>,
    /// The version.
    pub etag: String,
}

/// What kept a port from doing its work. The message is a sentence without "failed to".
pub type PortError = Box<dyn std::error::Error + Send + Sync>;

/// Objects by key. What safety rests on: at most one of several writers of [`put_if_absent`](Self::put_if_absent) or of
/// [`put_if_match`](Self::put_if_match) with the same etag succeeds, and a reader sees whole objects only.
pub trait Objects: Sync {
    /// The object at a key, if there is one.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Object>, PortError>> + Send;

    /// Writes an object unless there is one; gives its etag, or none when there was one.
    fn put_if_absent(
        &self,
        key: &str,
        bytes: Vec<u8>,
    ) -> impl Future<Output = Result<Option<String>, PortError>> + Send;

    /// Replaces the object whose etag is known; gives the new etag, or none when it is another one, or gone.
    fn put_if_match(
        &self,
        key: &str,
        etag: &str,
        bytes: Vec<u8>,
    ) -> impl Future<Output = Result<Option<String>, PortError>> + Send;

    /// All keys that begin with a prefix, in order.
    fn list(&self, prefix: &str) -> impl Future<Output = Result<Vec<String>, PortError>> + Send;

    /// Removes an object. There may be none.
    fn delete(&self, key: &str) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Whether there is an object at a key.
    fn exists(&self, key: &str) -> impl Future<Output = Result<bool, PortError>> + Send;
}

/// Resources by address. Creating one that exists, and deleting one that does not, is no error.
pub trait Resources: Sync {
    /// Makes a resource, or adopts it when it is there.
    fn create(&self, address: &ResourceAddress) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Those of some resources that are there and whole. All are asked for at once, so that one listing can answer.
    fn present(
        &self,
        asked: &BTreeSet<ResourceAddress>,
    ) -> impl Future<Output = Result<BTreeSet<ResourceAddress>, PortError>> + Send;

    /// Removes a resource.
    fn delete(&self, address: &ResourceAddress) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Python environments of this machine, by the digest of their [`PythonSpec`].
pub trait PythonEnvironments: Sync {
    /// Makes the environment, unless it is there. `requirements` is the content of the requirements file.
    fn ensure(
        &self,
        spec: &PythonSpec,
        requirements: Option<&[u8]>,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Whether the environment is there and whole.
    fn exists(&self, address: &ResourceAddress) -> impl Future<Output = Result<bool, PortError>> + Send;

    /// Removes the environment. Others may use the same one, so that an implementation may keep it.
    fn remove(&self, address: &ResourceAddress) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// A clock.
pub trait Clock: Sync {
    /// What time it is.
    fn now(&self) -> UtcTime;
}
