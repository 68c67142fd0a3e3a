//! Which releases a rollback makes live: one by its name, or all that came from a commit.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_infra::plan;
use liminal_infra::state::LoadedState;
use liminal_schemas::digest::Digest;
use liminal_schemas::name::PipelineName;
use liminal_schemas::plan::Plan;
use liminal_schemas::plan::PlanPurpose;
use liminal_schemas::release::Release;

use super::Environment;
use super::planning::target_of;
use crate::app::Context;
use crate::error::CliError;
use crate::error::While as _;
use crate::exit_code::ExitCode;
use crate::project;
use crate::render::units;

/// What a commit had live, by pipeline.
type Had = BTreeMap<PipelineName, Digest>;

impl Environment {
    /// The plan that makes earlier releases live. `what` is a pipeline or a git revision; `to` a release or a git revision
    /// that one pipeline goes back to.
    pub(crate) async fn plan_rollback(
        &self,
        context: &Context,
        what: Option<&str>,
        to: Option<&str>,
    ) -> Result<Plan, CliError> {
        let loaded = self
            .state()
            .await?
            .ok_or_else(|| CliError::new("nothing was applied yet, so there is nothing to roll back"))?;
        // A pipeline goes before a branch that is called the same.
        let named = what.and_then(|name| loaded.state.pipelines.get_key_value(name));
        let wanted = match (named.map(|(pipeline, _)| pipeline.clone()), what) {
            (Some(pipeline), _) => self.wanted_of(context, &loaded, pipeline, to).await?,
            (None, None) => {
                let pipeline = only_deployed(&loaded)?;
                self.wanted_of(context, &loaded, pipeline, to).await?
            }
            (None, Some(revision)) => {
                if to.is_some() {
                    return Err(CliError::new(format!("no pipeline `{revision}` is deployed"))
                        .hint(format!("deployed are {}", names(&loaded)))
                        .exit(ExitCode::Usage));
                }
                let (commit, had) = self.had(context, &loaded, revision).await?;
                let told = |name: &PipelineName, text: &str| {
                    context.printer.say(&format!("{name} {text} commit {}", units::short_commit(&commit)));
                };
                for name in loaded.state.pipelines.keys().filter(|name| !had.contains_key(*name)) {
                    told(name, "stays as it is: it was not there at");
                }
                for name in had.keys().filter(|name| !loaded.state.pipelines.contains_key(*name)) {
                    told(name, "is gone, and only an apply brings it back as it was at");
                }
                let goes = |(name, deployed): (&PipelineName, &liminal_schemas::state::DeployedPipeline)| {
                    let to = had.get(name).filter(|to| **to != deployed.live)?;
                    Some((name.clone(), Some(*to)))
                };
                loaded.state.pipelines.iter().filter_map(goes).collect()
            }
        };
        let concerned: BTreeSet<PipelineName> = wanted.keys().cloned().collect();
        let observed = self.observe_deployed(&loaded, Some(&concerned)).await?;
        plan::plan_rollback(&target_of(&loaded), Some(&loaded), &observed, &wanted, self.place())
            .or_failed(|| "there is no rollback".to_owned())
    }

    async fn wanted_of(
        &self,
        context: &Context,
        loaded: &LoadedState,
        pipeline: PipelineName,
        to: Option<&str>,
    ) -> Result<BTreeMap<PipelineName, Option<Digest>>, CliError> {
        let kept = loaded.state.pipelines.get(&pipeline).map(|deployed| deployed.retired.clone()).unwrap_or_default();
        let Some(text) = to else { return Ok(BTreeMap::from([(pipeline, None)])) };
        if let Some(release) = kept_release(&kept, text) {
            return Ok(BTreeMap::from([(pipeline, Some(release))]));
        }
        let Ok((commit, had)) = self.had(context, loaded, text).await else {
            let shorts: Vec<String> = kept.iter().map(Digest::short).collect();
            let kept =
                if shorts.is_empty() { "none is kept".to_owned() } else { format!("kept are {}", shorts.join(", ")) };
            return Err(CliError::new(format!("no kept revision begins with `{text}`, and no commit is called so"))
                .hint(kept)
                .exit(ExitCode::Usage));
        };
        match had.get(&pipeline) {
            Some(release) => Ok(BTreeMap::from([(pipeline, Some(*release))])),
            None => Err(CliError::new(format!(
                "pipeline {pipeline} was not there at commit {}",
                units::short_commit(&commit)
            ))),
        }
    }

    /// The commit that a git revision names, and what it had live here: as the history tells, else as its definition does.
    async fn had(&self, context: &Context, loaded: &LoadedState, revision: &str) -> Result<(String, Had), CliError> {
        let directory = project::locate(&context.settings.directory)?;
        let commit = project::snapshot(&directory, Some(revision))
            .map_err(|error| error.hint(format!("pipelines that are deployed: {}", names(loaded))))?
            .version()
            .commit
            .ok_or_else(|| CliError::new(format!("`{revision}` names no commit")).exit(ExitCode::Usage))?;
        let mut deeds = self.deeds().await?;
        deeds.reverse();
        let forward = [PlanPurpose::Apply.as_str(), PlanPurpose::Promote.as_str()];
        let came_from = |entry: &liminal_schemas::state::HistoryEntry| {
            let source = &entry.applied.source;
            forward.contains(&entry.command.as_str()) && !source.dirty && source.commit.as_ref() == Some(&commit)
        };
        let Some(last) = deeds.iter().rposition(came_from) else {
            // A commit that changed nothing left no entry.
            let project = project::open(context, Some(&commit))?;
            let releases = project.loaded.resolved.releases.iter();
            return Ok((commit, releases.map(|(name, release)| (name.clone(), Release::revision(release))).collect()));
        };
        let mut had = Had::new();
        for entry in deeds.iter().take(last + 1) {
            for (pipeline, revision) in &entry.pipelines {
                match revision {
                    Some(revision) => drop(had.insert(pipeline.clone(), *revision)),
                    None => drop(had.remove(pipeline)),
                }
            }
        }
        Ok((commit, had))
    }
}

fn names(loaded: &LoadedState) -> String {
    loaded.state.pipelines.keys().map(PipelineName::as_str).collect::<Vec<_>>().join(", ")
}

fn only_deployed(loaded: &LoadedState) -> Result<PipelineName, CliError> {
    let mut deployed = loaded.state.pipelines.keys();
    match (deployed.next(), deployed.next()) {
        (Some(only), None) => Ok(only.clone()),
        (_, _) => Err(CliError::new("which pipeline?")
            .hint(format!("deployed are {}", names(loaded)))
            .hint("a git revision takes all of them back: liminal rollback HEAD~1")
            .exit(ExitCode::Usage)),
    }
}

/// The kept release that a text names, whole or by its beginning.
fn kept_release(kept: &[Digest], text: &str) -> Option<Digest> {
    if let Ok(whole) = text.parse() {
        return Some(whole);
    }
    let mut near = kept.iter().filter(|digest| text.len() >= 4 && digest.hex().starts_with(text));
    match (near.next(), near.next()) {
        (Some(only), None) => Some(*only),
        (_, _) => None,
    }
}
