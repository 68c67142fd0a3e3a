//! The state of an environment: read with care, written only by compare-and-swap.

mod lock;
mod push;
mod session;

use liminal_schemas::keys;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::state::STATE_SCHEMA;
use liminal_schemas::state::State;

pub use self::lock::Lease;
pub use self::lock::LockError;
pub use self::lock::LockRequest;
pub use self::lock::acquire;
pub use self::lock::holder;
pub use self::lock::unlock;
pub use self::push::PushError;
pub use self::push::Pushed;
pub use self::push::push;
pub use self::session::SaveError;
pub use self::session::StateSession;
use crate::ports::Objects;
use crate::ports::PortError;

/// A state and the version of its object.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedState {
    /// The state.
    pub state: State,
    /// What a swap must name.
    pub etag: String,
}

/// Why a state can not be read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The store failed.
    #[error("the state {key} can not be read")]
    Store {
        /// The object.
        key: String,
        /// Why.
        source: PortError,
    },
    /// The object is no state.
    #[error(
        "the state {key} is damaged; put a good copy in its place with `liminal state push FILE`, or remove the object and apply again: what exists is adopted"
    )]
    Damaged {
        /// The object.
        key: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A newer liminal wrote it.
    #[error(
        "the state {key} has format {found}, and this liminal knows up to {STATE_SCHEMA}; use the newer liminal that wrote it"
    )]
    Newer {
        /// The object.
        key: String,
        /// Its format.
        found: u32,
    },
}

/// Just enough of a state to tell whether the rest can be understood.
#[derive(serde::Deserialize)]
struct Format {
    schema: u32,
}

/// Reads the state of an environment; none when nothing was ever applied.
///
/// # Errors
/// When the store fails, or the object is damaged or from a newer liminal.
pub async fn load(objects: &impl Objects, environment: &EnvironmentName) -> Result<Option<LoadedState>, StateError> {
    let key = keys::state(environment);
    let object = match objects.get(&key).await {
        Ok(object) => object,
        Err(source) => return Err(StateError::Store { key, source }),
    };
    let Some(object) = object else { return Ok(None) };
    Ok(Some(LoadedState { state: parse(&key, &object.bytes)?, etag: object.etag }))
}

/// Reads a state from bytes; `key` is what messages call it.
fn parse(key: &str, bytes: &[u8]) -> Result<State, StateError> {
    let damaged = |source| StateError::Damaged { key: key.to_owned(), source };
    let format: Format = serde_json::from_slice(bytes).map_err(damaged)?;
    if format.schema > STATE_SCHEMA {
        return Err(StateError::Newer { key: key.to_owned(), found: format.schema });
    }
    serde_json::from_slice(bytes).map_err(damaged)
}
