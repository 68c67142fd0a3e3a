//! The history of an environment: one entry per apply, rollback and destroy, and one for each that was not done.

use liminal_schemas::keys;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::state::HistoryEntry;

use crate::ports::Objects;
use crate::ports::PortError;

/// The last entries of an environment's history, newest first.
///
/// # Errors
/// When the store fails. An entry that can not be read is left out: it holds back nothing but itself.
pub async fn history(
    objects: &impl Objects,
    environment: &EnvironmentName,
    at_most: usize,
) -> Result<Vec<HistoryEntry>, PortError> {
    read(objects, objects.list(&keys::history_prefix(environment)).await?, at_most).await
}

/// The last entries of what was done, newest first: however often something failed since, it hides none of them.
///
/// # Errors
/// When the store fails.
pub async fn done(
    objects: &impl Objects,
    environment: &EnvironmentName,
    at_most: usize,
) -> Result<Vec<HistoryEntry>, PortError> {
    let prefix = keys::history_prefix(environment);
    let mut keys = objects.list(&prefix).await?;
    keys.retain(|key| serial_of(key, &prefix).is_some());
    read(objects, keys, at_most).await
}

/// Writes down something that was not done. It takes no serial, since it led to no state.
///
/// # Errors
/// When the store fails.
pub async fn write_undone(
    objects: &impl Objects,
    environment: &EnvironmentName,
    entry: &HistoryEntry,
    nonce: &str,
) -> Result<(), PortError> {
    let key = keys::history_undone(environment, entry.serial, entry.applied.at, nonce);
    objects.put_if_absent(&key, serde_json::to_vec(entry)?).await?;
    Ok(())
}

async fn read(objects: &impl Objects, keys: Vec<String>, at_most: usize) -> Result<Vec<HistoryEntry>, PortError> {
    let mut entries = Vec::new();
    for key in keys.iter().rev().take(at_most) {
        let Some(object) = objects.get(key).await? else { continue };
        entries.extend(serde_json::from_slice::<HistoryEntry>(&object.bytes).ok());
    }
    Ok(entries)
}

/// The serial of the last entry; 0 when there is none.
pub(super) async fn last_serial(objects: &impl Objects, environment: &EnvironmentName) -> Result<u64, PortError> {
    let prefix = keys::history_prefix(environment);
    let keys = objects.list(&prefix).await?;
    Ok(keys.iter().filter_map(|key| serial_of(key, &prefix)).max().unwrap_or(0))
}

fn serial_of(key: &str, prefix: &str) -> Option<u64> {
    key.strip_prefix(prefix)?.strip_suffix(".json")?.parse().ok()
}
