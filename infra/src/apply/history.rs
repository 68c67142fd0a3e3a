//! The history of an environment: one entry per apply, rollback and destroy.

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
    let keys = objects.list(&keys::history_prefix(environment)).await?;
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
    let serial = |key: &String| key.strip_prefix(&prefix)?.strip_suffix(".json")?.parse().ok();
    Ok(keys.iter().filter_map(serial).max().unwrap_or(0))
}
