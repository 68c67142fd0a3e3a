//! What was applied to an environment: its state, its history and its lock.

use liminal_infra::apply::history;
use liminal_infra::gitops::quarantine;
use liminal_infra::state;
use liminal_infra::state::LoadedState;
use liminal_infra::state::Pushed;
use liminal_schemas::gitops::Quarantine;
use liminal_schemas::plan::PlanPurpose;
use liminal_schemas::run::SourceVersion;
use liminal_schemas::state::HistoryEntry;
use liminal_schemas::state::LockHolder;

use super::Environment;
use super::objects::ControlObjects;
use crate::error::CliError;
use crate::error::While as _;

/// How many entries of a history are looked at for the last one that is no healing.
const LOOKED_AT: usize = 50;

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

    /// Whether the last thing that happened to this environment was a rollback from what is recorded as applied, or that its
    /// canary was taken off.
    pub(crate) async fn is_rolled_back(&self, applied: &SourceVersion) -> Result<bool, CliError> {
        let last = history::history(&ControlObjects(self.store()), self.name(), LOOKED_AT)
            .await
            .map_err(|error| CliError::because("the history can not be read", error.as_ref()))?;
        // What was healed is what was there before.
        let is_deed = |entry: &&HistoryEntry| entry.command != PlanPurpose::Heal.as_str() && entry.result.is_done();
        let mut deeds = last.iter().filter(is_deed);
        let back = [PlanPurpose::Rollback, PlanPurpose::Abort];
        let is_rollback = |entry: &HistoryEntry| back.iter().any(|purpose| entry.command == purpose.as_str());
        Ok(deeds.next().is_some_and(|entry| is_rollback(entry) && entry.applied.source == *applied))
    }

    /// The commit that this environment does not take.
    pub(crate) async fn quarantine(&self) -> Result<Option<Quarantine>, CliError> {
        quarantine::load(&ControlObjects(self.store()), self.name())
            .await
            .map_err(|error| CliError::because("the quarantine can not be read", error.as_ref()))
    }

    /// Keeps a commit from being tried again.
    pub(crate) async fn put_in_quarantine(&self, failed: &Quarantine) -> Result<(), CliError> {
        quarantine::put(&ControlObjects(self.store()), self.name(), failed)
            .await
            .map_err(|error| CliError::because("the quarantine can not be written", error.as_ref()))
    }

    /// Ends a quarantine.
    pub(crate) async fn lift_quarantine(&self) -> Result<(), CliError> {
        quarantine::lift(&ControlObjects(self.store()), self.name())
            .await
            .map_err(|error| CliError::because("the quarantine can not be ended", error.as_ref()))
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
