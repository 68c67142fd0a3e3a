//! What was applied to an environment: its state, its history and its lock.

use liminal_infra::apply::history;
use liminal_infra::state;
use liminal_infra::state::LoadedState;
use liminal_infra::state::Pushed;
use liminal_schemas::state::HistoryEntry;
use liminal_schemas::state::LockHolder;

use super::Environment;
use super::objects::ControlObjects;
use crate::error::CliError;
use crate::error::While as _;

/// All entries of a history.
const ALL: usize = usize::MAX;

impl Environment {
    /// The state of this environment.
    pub(crate) async fn state(&self) -> Result<Option<LoadedState>, CliError> {
        state::load(&ControlObjects(self.store()), self.name())
            .await
            .or_failed(|| "the state can not be read".to_owned())
    }

    /// What happened to this environment, newest first.
    pub(crate) async fn history(&self) -> Result<Vec<HistoryEntry>, CliError> {
        history::history(&ControlObjects(self.store()), self.name(), ALL)
            .await
            .map_err(|error| CliError::because("the history can not be read", error.as_ref()))
    }

    /// Who holds the lock.
    pub(crate) async fn lock_holder(&self) -> Result<Option<LockHolder>, CliError> {
        state::holder(&ControlObjects(self.store()), self.name())
            .await
            .or_failed(|| "the lock can not be read".to_owned())
    }

    /// Takes the lock away from whoever holds it.
    pub(crate) async fn unlock(&self) -> Result<(), CliError> {
        state::unlock(&ControlObjects(self.store()), self.name())
            .await
            .or_failed(|| "the lock can not be taken away".to_owned())?;
        Ok(())
    }

    /// Puts a state back that an apply had to save to a file.
    pub(crate) async fn push_state(&self, bytes: &[u8]) -> Result<&'static str, CliError> {
        let pushed = state::push(&ControlObjects(self.store()), self.name(), bytes)
            .await
            .or_failed(|| "the state was not put back".to_owned())?;
        Ok(match pushed {
            Pushed::Written => "The state is put back.",
            Pushed::Unchanged => "The state is that of the file already.",
        })
    }
}
