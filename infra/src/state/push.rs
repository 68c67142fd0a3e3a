//! Putting a state in place by hand: one that an apply could not write and left in a file.

use liminal_schemas::keys;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::state::State;

use super::StateError;
use super::load;
use super::parse;
use crate::ports::Objects;
use crate::ports::PortError;

/// What a push did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It wrote the state.
    Written,
    /// The same state was there already.
    Unchanged,
}

/// Why a state was not put in place.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The file holds no state, or the one in place can not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The file is about something else.
    #[error("the file holds the state of environment {found}, not of {wanted}")]
    OtherEnvironment {
        /// What the file is about.
        found: EnvironmentName,
        /// What was asked for.
        wanted: EnvironmentName,
    },
    /// The two have nothing to do with each other.
    #[error("the file has lineage {found}, and the state in place {current}: they have nothing to do with each other")]
    OtherLineage {
        /// The file's.
        found: String,
        /// The state's.
        current: String,
    },
    /// The file is older.
    #[error("the file has serial {found}, and the state in place is at {current}: it is newer, and stays")]
    Older {
        /// The file's.
        found: u64,
        /// The state's.
        current: u64,
    },
    /// Somebody else wrote meanwhile.
    #[error("somebody else changed the state meanwhile; try again")]
    Moved,
    /// The store failed.
    #[error("the state can not be written")]
    Store(#[source] PortError),
    /// The state can not be written as JSON.
    #[error("the state can not be written as JSON")]
    Json(#[from] serde_json::Error),
}

/// Puts a state in place: the same lineage and a higher serial, or in place of nothing or of a damaged one.
///
/// # Errors
/// When the one in place is newer or of another lineage, or the store fails.
pub async fn push(objects: &impl Objects, environment: &EnvironmentName, file: &[u8]) -> Result<Pushed, PushError> {
    let pushed = parse("in the file", file)?;
    if pushed.environment != *environment {
        return Err(PushError::OtherEnvironment { found: pushed.environment, wanted: environment.clone() });
    }
    let key = keys::state(environment);
    let bytes = serde_json::to_vec_pretty(&pushed)?;
    let current = objects.get(&key).await.map_err(PushError::Store)?;
    match load(objects, environment).await {
        Ok(Some(loaded)) if loaded.state == pushed => return Ok(Pushed::Unchanged),
        Ok(Some(loaded)) => check_order(&pushed, &loaded.state)?,
        Ok(None) | Err(StateError::Damaged { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let written = match current {
        Some(object) => objects.put_if_match(&key, &object.etag, bytes).await,
        None => objects.put_if_absent(&key, bytes).await,
    };
    match written {
        Ok(Some(_)) => Ok(Pushed::Written),
        Ok(None) => Err(PushError::Moved),
        Err(error) => Err(PushError::Store(error)),
    }
}

fn check_order(pushed: &State, current: &State) -> Result<(), PushError> {
    if pushed.lineage != current.lineage {
        return Err(PushError::OtherLineage { found: pushed.lineage.clone(), current: current.lineage.clone() });
    }
    if pushed.serial <= current.serial {
        return Err(PushError::Older { found: pushed.serial, current: current.serial });
    }
    Ok(())
}
