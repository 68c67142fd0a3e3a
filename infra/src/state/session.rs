//! A state that is being changed: every write is one serial more and names the version it replaces.

use std::time::Duration;

use liminal_schemas::keys;
use liminal_schemas::state::State;

use super::LoadedState;
use crate::ports::Objects;
use crate::ports::PortError;

/// How long a refused write waits before each further try. A store that refuses for longer does so for good.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(200)];

/// A state under change.
pub struct StateSession<'a, O> {
    objects: &'a O,
    etag: Option<String>,
    /// The state as it will be written next.
    pub state: State,
}

/// Why a state was not written.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// Somebody else wrote it.
    #[error("somebody else changed the state meanwhile; make a new plan")]
    Moved,
    /// The store refused.
    #[error("the store refused the state")]
    Refused(#[source] PortError),
    /// The state can not be written as JSON.
    #[error("the state can not be written as JSON")]
    Json(#[from] serde_json::Error),
}

impl<'a, O: Objects> StateSession<'a, O> {
    /// Goes on from a state that was read.
    pub fn resume(objects: &'a O, loaded: LoadedState) -> Self {
        Self { objects, etag: Some(loaded.etag), state: loaded.state }
    }

    /// Starts with a state that was never written.
    pub fn begin(objects: &'a O, state: State) -> Self {
        Self { objects, etag: None, state }
    }

    /// Writes the state under the next serial.
    ///
    /// # Errors
    /// When somebody else wrote it, or the store refuses. The serial is the next one all the same, so that a spilled
    /// state counts as newer than the one it could not replace.
    pub async fn save(&mut self) -> Result<(), SaveError> {
        self.state.serial += 1;
        let key = keys::state(&self.state.environment);
        let bytes = serde_json::to_vec_pretty(&self.state)?;
        let mut pauses = PAUSES.into_iter();
        loop {
            let written = match &self.etag {
                Some(etag) => self.objects.put_if_match(&key, etag, bytes.clone()).await,
                None => self.objects.put_if_absent(&key, bytes.clone()).await,
            };
            let refusal = match written {
                Ok(Some(etag)) => {
                    self.etag = Some(etag);
                    return Ok(());
                }
                Ok(None) => None,
                Err(error) => Some(error),
            };
            // A write whose answer was lost may have landed: what is there now tells.
            match self.objects.get(&key).await {
                Ok(Some(now)) if now.bytes == bytes => {
                    self.etag = Some(now.etag);
                    return Ok(());
                }
                Ok(now) if now.as_ref().map(|object| &object.etag) != self.etag.as_ref() => {
                    return Err(SaveError::Moved);
                }
                Ok(_) | Err(_) => {}
            }
            match (pauses.next(), refusal) {
                (Some(pause), _) => tokio::time::sleep(pause).await,
                (None, Some(refusal)) => return Err(SaveError::Refused(refusal)),
                (None, None) => return Err(SaveError::Moved),
            }
        }
    }
}
