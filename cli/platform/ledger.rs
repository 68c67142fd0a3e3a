//! What was applied to an environment: its state, its history and its lock.

use std::collections::BTreeMap;

use liminal_functions::clock::SystemNonces;
use liminal_functions::ports::Nonces as _;
use liminal_functions::ports::ObjectStore as _;
use liminal_infra::apply::history;
use liminal_infra::gitops::quarantine;
use liminal_infra::state;
use liminal_infra::state::LoadedState;
use liminal_infra::state::Pushed;
use liminal_schemas::canary::CanaryEnd;
use liminal_schemas::gitops::Quarantine;
use liminal_schemas::gitops::Trigger;
use liminal_schemas::keys;
use liminal_schemas::name::PipelineName;
use liminal_schemas::plan::PlanPurpose;
use liminal_schemas::run::SourceVersion;
use liminal_schemas::state::Applied;
use liminal_schemas::state::HistoryEntry;
use liminal_schemas::state::HistoryResult;
use liminal_schemas::state::LockHolder;
use liminal_schemas::state::STATE_SCHEMA;
use liminal_schemas::state::TriedRelease;

use super::Environment;
use super::objects::ControlObjects;
use crate::error::CliError;
use crate::error::While as _;

/// How many entries of a history are looked at for the last one that is no healing.
const LOOKED_AT: usize = 50;

/// All entries of a history.
const ALL: usize = usize::MAX;

/// How much of a reason a history keeps, in characters.
const REASON_CHARS: usize = 300;

/// Something that was not done.
pub(crate) struct Undone<'a> {
    /// What was to be done.
    pub(crate) command: &'a str,
    /// What it would have been made from.
    pub(crate) source: SourceVersion,
    /// What set it going.
    pub(crate) trigger: Option<Trigger>,
    /// What came of it instead.
    pub(crate) result: HistoryResult,
    /// Why.
    pub(crate) reason: String,
}

impl Environment {
    /// The state of this environment.
    pub(crate) async fn state(&self) -> Result<Option<LoadedState>, CliError> {
        state::load(&ControlObjects(self.store()), self.name())
            .await
            .or_failed(|| "the state can not be read".to_owned())
    }

    /// What happened to this environment, newest first: what was done, what failed, and canaries that came off by
    /// themselves.
    pub(crate) async fn history(&self) -> Result<Vec<HistoryEntry>, CliError> {
        let mut entries = history::history(&ControlObjects(self.store()), self.name(), ALL)
            .await
            .map_err(|error| CliError::because("the history can not be read", error.as_ref()))?;
        entries.extend(self.aborted_canaries().await?);
        entries.sort_by_key(|entry| std::cmp::Reverse((entry.applied.at, entry.serial)));
        Ok(entries)
    }

    /// What was done to this environment, newest first.
    pub(crate) async fn deeds(&self) -> Result<Vec<HistoryEntry>, CliError> {
        history::done(&ControlObjects(self.store()), self.name(), ALL)
            .await
            .map_err(|error| CliError::because("the history can not be read", error.as_ref()))
    }

    /// The canaries that came off by what became of their runs, as entries of a history.
    async fn aborted_canaries(&self) -> Result<Vec<HistoryEntry>, CliError> {
        let prefix = keys::CANARY_ENDS_PREFIX;
        let ends = self.store().list(prefix).await.or_failed(|| format!("{prefix} can not be listed"))?;
        let mut entries = Vec::new();
        for key in ends {
            let name = key.strip_prefix(prefix).and_then(|name| name.split('/').next());
            let Some(pipeline) = name.and_then(|name| PipelineName::new(name).ok()) else { continue };
            let Some(end) = self.records().document::<CanaryEnd>(&key).await? else { continue };
            let tried = TriedRelease { revision: end.aborted.revision, share: None };
            entries.push(HistoryEntry {
                schema: STATE_SCHEMA,
                serial: 0,
                command: "canary".to_owned(),
                applied: Applied { source: SourceVersion::default(), at: end.aborted.at, by: None, trigger: None },
                pipelines: BTreeMap::new(),
                canaries: BTreeMap::from([(pipeline, tried)]),
                result: HistoryResult::Aborted,
                reason: Some(end.aborted.reason),
            });
        }
        Ok(entries)
    }

    /// Writes down that something was not done. A history that can not be written keeps nobody from hearing why.
    pub(crate) async fn record_undone(&self, undone: Undone<'_>) {
        let Undone { command, source, trigger, result, reason } = undone;
        let serial = self.state().await.ok().flatten().map_or(0, |loaded| loaded.state.serial);
        let reason: String = reason.lines().next().unwrap_or_default().chars().take(REASON_CHARS).collect();
        let by = self.settings().user.clone();
        let entry = HistoryEntry {
            schema: STATE_SCHEMA,
            serial,
            command: command.to_owned(),
            applied: Applied { source, at: self.now(), by, trigger },
            pipelines: BTreeMap::new(),
            canaries: BTreeMap::new(),
            result,
            reason: Some(reason),
        };
        let nonce: String = SystemNonces.nonce().chars().take(8).collect();
        drop(history::write_undone(&ControlObjects(self.store()), self.name(), &entry, &nonce).await);
    }

    /// Whether the last thing that happened to this environment was a rollback from what is recorded as applied, or that its
    /// canary was taken off.
    pub(crate) async fn is_rolled_back(&self, applied: &SourceVersion) -> Result<bool, CliError> {
        let last = history::done(&ControlObjects(self.store()), self.name(), LOOKED_AT)
            .await
            .map_err(|error| CliError::because("the history can not be read", error.as_ref()))?;
        // What was healed is what was there before.
        let is_deed = |entry: &&HistoryEntry| entry.command != PlanPurpose::Heal.as_str();
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
