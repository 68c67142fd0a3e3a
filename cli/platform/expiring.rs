//! Environments that are made from a template: how long they live, where they are found again, and how they go.
//!
//! Only what has an expiry in its state is ever removed from here, and only an apply to an environment made from a template
//! writes one.

use std::time::Duration;

use liminal_functions::ports::ObjectStore as _;
use liminal_infra::apply::Lifetime;
use liminal_schemas::gitops::GITOPS_SCHEMA;
use liminal_schemas::gitops::MadeEnvironment;
use liminal_schemas::gitops::Trigger;
use liminal_schemas::keys;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::plan::Plan;
use liminal_schemas::plan::PlanPurpose;
use liminal_schemas::run::RunRecord;
use liminal_schemas::state::Expiry;

use super::ApplyOptions;
use super::Cancelled;
use super::Environment;
use super::environment::Platform;
use super::stop_flag;
use crate::app::Context;
use crate::error::CliError;
use crate::error::While as _;
use crate::exit_code::ExitCode;
use crate::interrupt;
use crate::project;
use crate::records::RunName;

/// How long the record of an environment stays of which nothing else is there, in milliseconds: whoever made it may not have
/// come further yet.
const STRAY_MILLIS: i64 = 60 * 60 * 1000;

/// How long runs have to end once their environment has expired, in milliseconds, before it goes under them.
const PATIENCE_MILLIS: i64 = 60 * 60 * 1000;

/// What became of an environment that was looked at.
pub(crate) enum Lived {
    /// Its time has not come.
    Lives,
    /// It is gone, with all its data.
    Removed,
    /// Runs of it have not ended. Looking again goes on.
    Partly,
}

impl Environment {
    /// How long it lives after an apply of a plan; none for one that stays, and for plans that make nothing.
    pub(super) fn lifetime(&self, plan: &Plan, ttl: Option<Duration>) -> Result<Option<Lifetime>, CliError> {
        if plan.purpose != PlanPurpose::Apply {
            return Ok(None);
        }
        self.checked_lifetime(ttl)
    }

    /// How long it lives after an apply; none for one that stays.
    pub(crate) fn checked_lifetime(&self, ttl: Option<Duration>) -> Result<Option<Lifetime>, CliError> {
        let name = self.name();
        match (self.template(), ttl) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(CliError::new(format!("environment {name} is made from no template, and stays"))
                .hint("`template: pr-*` in an environment lets `-e pr-1` make one that is removed after its time")
                .exit(ExitCode::Usage)),
            (Some(template), ttl) => {
                let seconds = ttl.map(|ttl| ttl.as_secs().max(1)).or(template.ttl_seconds);
                let ttl_seconds = seconds.ok_or_else(|| {
                    CliError::new(format!(
                        "environment {name} is made from a template, and nothing says how long it lives"
                    ))
                    .hint("--ttl 48h says it, or `ttl: 48h` beside `template`")
                    .exit(ExitCode::Usage)
                })?;
                Ok(Some(Lifetime { template: template.name.clone(), ttl_seconds }))
            }
        }
    }

    /// When it is removed.
    pub(crate) async fn expiry(&self) -> Result<Option<Expiry>, CliError> {
        Ok(self.state().await?.and_then(|loaded| loaded.state.expires))
    }

    /// Lets it be found by whoever removes what has expired.
    pub(super) async fn register(&self, context: &Context) -> Result<(), CliError> {
        let Some(template) = self.template() else { return Ok(()) };
        let home = self.sibling(context, template.name.clone()).await?;
        let made = MadeEnvironment { schema: GITOPS_SCHEMA, environment: self.name().clone(), since: self.now() };
        let key = keys::made_environment(self.name());
        let bytes = serde_json::to_vec(&made).or_failed(|| format!("{key} can not be written"))?;
        home.store().put_if_absent(&key, &bytes).await.or_failed(|| format!("{key} can not be written"))?;
        Ok(())
    }

    /// The environments that were made from the template which this one is, or is made from too.
    pub(crate) async fn made(&self, context: &Context) -> Result<Vec<(Self, MadeEnvironment)>, CliError> {
        let Some(template) = self.template() else { return Ok(Vec::new()) };
        let home = self.sibling(context, template.name.clone()).await?;
        let prefix = keys::MADE_ENVIRONMENTS_PREFIX;
        let listed = home.store().list(prefix).await.or_failed(|| format!("{prefix} can not be listed"))?;
        let mut made = Vec::new();
        for key in listed {
            let name = key.strip_prefix(prefix).and_then(|name| name.strip_suffix(".json"));
            let Some(name) = name.and_then(|name| EnvironmentName::new(name).ok()) else { continue };
            let record: Option<MadeEnvironment> = home.records().document(&key).await?;
            // What the template does not name is not its own.
            let Some(record) = record.filter(|_| template.fits(&name)) else { continue };
            made.push((self.sibling(context, name).await?, record));
        }
        Ok(made)
    }

    /// Removes it with all its data, if its time has come.
    pub(crate) async fn remove_if_expired(
        &self,
        context: &Context,
        record: &MadeEnvironment,
        (trigger, lock_timeout): (Option<Trigger>, Duration),
    ) -> Result<Lived, CliError> {
        let Some(loaded) = self.state().await? else {
            let age = self.now().millis().saturating_sub(record.since.millis());
            if age > STRAY_MILLIS {
                self.clear(context).await?;
            }
            return Ok(Lived::Lives);
        };
        let Some(late) = loaded.state.expires.map(|expires| self.now().millis().saturating_sub(expires.at.millis()))
        else {
            return Ok(Lived::Lives);
        };
        if late < 0 {
            return Ok(Lived::Lives);
        }
        if self.cancel_open_runs(context).await? > 0 && late < PATIENCE_MILLIS {
            return Ok(Lived::Partly);
        }
        let options = ApplyOptions { approved: true, delete_data: true, lock_timeout, trigger, ttl: None };
        self.destroy_wholly(context, &options).await?;
        self.clear_if_empty(context, &options).await
    }

    /// Removes what a destroy leaves of an environment that was made from a template: what runs needed whose records went with
    /// it, state and history, and the record by which it is found.
    pub(crate) async fn clear_if_empty(&self, context: &Context, options: &ApplyOptions) -> Result<Lived, CliError> {
        for is_last in [false, true] {
            let Some(loaded) = self.state().await? else { return Ok(Lived::Lives) };
            if self.template().is_none() || loaded.state.expires.is_none() {
                return Ok(Lived::Lives);
            }
            if loaded.state.resources.is_empty() && loaded.state.pipelines.is_empty() && loaded.state.journal.is_none()
            {
                self.clear(context).await?;
                return Ok(Lived::Removed);
            }
            if !is_last {
                self.destroy_wholly(context, options).await?;
            }
        }
        Ok(Lived::Partly)
    }

    async fn destroy_wholly(&self, context: &Context, options: &ApplyOptions) -> Result<(), CliError> {
        let plan = self.plan_destroy(true).await?;
        let stopped = stop_flag(interrupt::listen(&context.printer, interrupt::ENDS_APPLY)?);
        let directory = project::locate(&self.directory)?;
        let files = std::sync::Arc::new(project::snapshot(&directory, None)?);
        let attempted = self.attempt(context, (files, None), &plan, options, &stopped).await;
        attempted.map(drop).map_err(|failure| failure.explain(&plan))
    }

    async fn clear(&self, context: &Context) -> Result<(), CliError> {
        let Some(template) = self.template() else { return Ok(()) };
        let mut left = self.store().list("").await.or_failed(|| "what is left can not be listed".to_owned())?;
        // As long as the state is there, whoever looks next goes on at once.
        let state = keys::state(self.name());
        left.sort_by_key(|key| *key == state);
        for key in left {
            self.store().delete(&key).await.or_failed(|| format!("{key} can not be deleted"))?;
        }
        match &self.platform {
            Platform::Local(_) => {
                let folder = self.folder();
                std::fs::remove_dir_all(folder).or_failed(|| format!("{} can not be removed", folder.display()))?;
            }
            Platform::Aws(_) => {}
        }
        let home = self.sibling(context, template.name.clone()).await?;
        let key = keys::made_environment(self.name());
        home.store().delete(&key).await.or_failed(|| format!("{key} can not be deleted"))
    }

    /// Asks all runs to end that have not; gives how many still have not.
    async fn cancel_open_runs(&self, context: &Context) -> Result<usize, CliError> {
        let mut open = 0;
        let prefix = keys::OPEN_PREFIX;
        let marks = self.store().list(prefix).await.or_failed(|| format!("{prefix} can not be listed"))?;
        for mark in marks {
            let Some((pipeline, run)) = keys::run_of_mark(&mark) else { continue };
            let name = RunName { run, pipeline };
            let record: Option<RunRecord> = self.records().document(&keys::run(&name.pipeline, &name.run)).await?;
            if record.is_some() && self.records().result(&name).await?.is_none() {
                match self.cancel_run(context, &name).await? {
                    Cancelled::Ended => {}
                    Cancelled::Asked => open += 1,
                }
            }
        }
        Ok(open)
    }
}
