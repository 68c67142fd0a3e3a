//! The commit that failed, kept beside the state so that hook, agent and webhook all leave it alone.

use liminal_schemas::gitops::Quarantine;
use liminal_schemas::keys;
use liminal_schemas::name::EnvironmentName;

use crate::ports::Objects;
use crate::ports::PortError;

/// How often a write is tried that others keep overtaking.
const TRIES: usize = 5;

/// The commit in quarantine, if there is one. A record that can not be understood holds back nothing.
///
/// # Errors
/// When the store fails.
pub async fn load(objects: &impl Objects, environment: &EnvironmentName) -> Result<Option<Quarantine>, PortError> {
    let object = objects.get(&keys::quarantine(environment)).await?;
    Ok(object.and_then(|object| serde_json::from_slice(&object.bytes).ok()))
}

/// Puts a commit into quarantine, in place of the one before.
///
/// # Errors
/// When the store fails.
pub async fn put(
    objects: &impl Objects,
    environment: &EnvironmentName,
    quarantine: &Quarantine,
) -> Result<(), PortError> {
    let key = keys::quarantine(environment);
    let bytes = serde_json::to_vec(quarantine)?;
    for _ in 0..TRIES {
        let written = match objects.get(&key).await? {
            Some(object) => objects.put_if_match(&key, &object.etag, bytes.clone()).await?,
            None => objects.put_if_absent(&key, bytes.clone()).await?,
        };
        if written.is_some() {
            return Ok(());
        }
    }
    Err(format!("{key} is written by others all the time").into())
}

/// Ends a quarantine.
///
/// # Errors
/// When the store fails.
pub async fn lift(objects: &impl Objects, environment: &EnvironmentName) -> Result<(), PortError> {
    objects.delete(&keys::quarantine(environment)).await
}
