//! Plans of an environment, made against what is there.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use liminal_infra::desired::AwsDesired;
use liminal_infra::observe;
use liminal_infra::plan;
use liminal_infra::plan::Desired;
use liminal_infra::plan::Observed;
use liminal_infra::plan::Revised;
use liminal_infra::plan::Rollout;
use liminal_infra::plan::Target;
use liminal_infra::plan::forecast::default_params;
use liminal_infra::state::LoadedState;
use liminal_schemas::digest::Digest;
use liminal_schemas::name::PipelineName;
use liminal_schemas::plan::Plan;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::release::Release;

use super::Environment;
use super::environment::Platform;
use super::objects::ControlObjects;
use super::resources::Material;
use super::resources::recorded;
use crate::error::CliError;
use crate::error::While as _;
use crate::progress::Progress;
use crate::project::Project;

/// What is wished of a plan besides what the definition says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wishes {
    /// Whether functions keep the runner that they have.
    pub(crate) keep_runner: bool,
    /// How what is new comes to be live.
    pub(crate) rollout: Rollout,
    /// Whether a release may become live whose canary was aborted.
    pub(crate) allow_aborted: bool,
}

impl Environment {
    /// The plan that makes this environment what the definition says, with what the next runs would do.
    pub(crate) async fn plan(&self, project: &Project, wishes: Wishes) -> Result<Plan, CliError> {
        let resolved = &project.loaded.resolved;
        let revised = |(name, release): (&PipelineName, &Release)| (name.clone(), Revised::from(release.clone()));
        let mut releases: BTreeMap<PipelineName, Revised> = resolved.releases.iter().map(revised).collect();
        let mut packages = resolved.packages.clone();
        let state = self.state().await?;
        let pointers = observe::pointers(&ControlObjects(self.store()))
            .await
            .map_err(|error| CliError::because("what is live is unknown", error.as_ref()))?;
        let mut notes = Vec::new();
        for (pipeline, held) in plan::held_back(&releases, &pointers, wishes.rollout, wishes.allow_aborted) {
            let (release, its_packages) = self.release_and_packages(&pipeline, &held.live).await?;
            releases.insert(pipeline, release);
            packages.extend(its_packages);
            notes.push(held.note);
        }
        let beside = self.live_beside(&releases, &pointers, wishes.rollout).await?;
        let cloud = match &self.platform {
            Platform::Local(_) => AwsDesired::default(),
            Platform::Aws(aws) => {
                aws.desired(self.store(), (&releases, &beside), &packages, state.as_ref(), wishes.keep_runner).await?
            }
        };
        let desired = Desired {
            target: Target {
                project: resolved.project.clone(),
                environment: resolved.environment.clone(),
                source: project.snapshot.version(),
                tree: project.snapshot.tree_digest(),
                keep: resolved.keep,
            },
            releases,
            packages,
            cloud: cloud.resources,
            placements: cloud.placements,
            rollout: wishes.rollout,
            notes,
        };
        let progress = Progress::silent();
        let mut documents = recorded(state.as_ref());
        documents.extend(desired.cloud.clone());
        let files = Arc::clone(&project.snapshot);
        let material = Material { files, packages: &desired.packages, documents, delete_messages: false };
        let workshop = self.workshop(&progress, material);
        let resources = workshop.resources();
        let observed = observe::observe_beyond(pointers, &workshop.objects, &resources, &desired, state.as_ref())
            .await
            .map_err(|error| CliError::because("what is deployed can not be looked at", error.as_ref()))?;
        let mut plan = plan::plan(&desired, state.as_ref(), &observed).or_failed(|| "there is no plan".to_owned())?;
        for change in &mut plan.pipelines {
            if let Some(release) = resolved.releases.get(&change.pipeline) {
                change.forecast = self.forecast(project, release, &default_params(release), None).await?;
            }
        }
        Ok(plan)
    }

    /// A release that is in place, with its packages.
    async fn release_and_packages(
        &self,
        pipeline: &PipelineName,
        revision: &Digest,
    ) -> Result<(Revised, BTreeMap<Digest, PackageSpec>), CliError> {
        let found = observe::read_release_and_packages(&ControlObjects(self.store()), pipeline, revision)
            .await
            .map_err(|error| CliError::because("what is live can not be read", error.as_ref()))?;
        let (release, packages) = found.ok_or_else(|| {
            CliError::new(format!("the live release {} of {pipeline} is gone from the store", revision.short()))
                .hint("`liminal drift --heal` puts it back")
        })?;
        Ok((Revised { revision: *revision, release }, packages))
    }

    /// The live releases of pipelines whose new ones go on trial, where it matters to what starts runs: in the cloud.
    async fn live_beside(
        &self,
        releases: &BTreeMap<PipelineName, Revised>,
        pointers: &Observed,
        rollout: Rollout,
    ) -> Result<BTreeMap<PipelineName, Revised>, CliError> {
        let mut beside = BTreeMap::new();
        if rollout == Rollout::Whole || self.place().is_none() {
            return Ok(beside);
        }
        for (pipeline, live) in &pointers.live {
            if releases.get(pipeline).is_some_and(|revised| revised.revision != *live) {
                beside.insert(pipeline.clone(), self.release_and_packages(pipeline, live).await?.0);
            }
        }
        Ok(beside)
    }

    /// The plan that makes what is on trial live.
    pub(crate) async fn plan_promote(&self) -> Result<Plan, CliError> {
        let loaded =
            self.state().await?.ok_or_else(|| CliError::new("nothing was applied yet, so there is no canary"))?;
        let observed = self.observe_deployed(&loaded, None).await?;
        plan::plan_promote(&target_of(&loaded), &loaded, &observed, self.place())
            .or_failed(|| "nothing can be promoted".to_owned())
            .map_err(|error| error.hint("`liminal apply --canary 10%` puts what is new on trial"))
    }

    /// The plan that takes off what is on trial.
    pub(crate) async fn plan_abort(&self, reason: &str) -> Result<Plan, CliError> {
        let loaded =
            self.state().await?.ok_or_else(|| CliError::new("nothing was applied yet, so there is no canary"))?;
        let observed = observe::pointers(&ControlObjects(self.store()))
            .await
            .map_err(|error| CliError::because("what is live is unknown", error.as_ref()))?;
        plan::plan_abort(&target_of(&loaded), &loaded, &observed, reason)
            .or_failed(|| "nothing can be aborted".to_owned())
    }

    /// The plan that removes everything.
    pub(crate) async fn plan_destroy(&self, delete_data: bool) -> Result<Plan, CliError> {
        let loaded = self
            .state()
            .await?
            .ok_or_else(|| CliError::new("nothing was applied yet, so there is nothing to destroy"))?;
        let observed = self.observe_deployed(&loaded, None).await?;
        plan::plan_destroy(&target_of(&loaded), Some(&loaded), &observed, delete_data)
            .or_failed(|| "there is no plan".to_owned())
    }

    /// What is deployed, of some pipelines or of all, for plans that need no definition.
    pub(super) async fn observe_deployed(
        &self,
        loaded: &LoadedState,
        pipelines: Option<&BTreeSet<PipelineName>>,
    ) -> Result<Observed, CliError> {
        let (progress, packages) = (Progress::silent(), BTreeMap::new());
        let documents = recorded(Some(loaded));
        let material = Material { files: Arc::new(NoFiles), packages: &packages, documents, delete_messages: false };
        let workshop = self.workshop(&progress, material);
        observe::observe_deployed(&workshop.objects, &workshop.resources(), Some(loaded), pipelines)
            .await
            .map_err(|error| CliError::because("what is deployed can not be looked at", error.as_ref()))
    }
}

/// A rollback and a destroy build nothing, so that they need no files.
struct NoFiles;

impl liminal_schemas::files::ProjectFiles for NoFiles {
    fn file(
        &self,
        _: &str,
    ) -> Result<Option<liminal_schemas::files::ProjectFile>, liminal_schemas::files::RefusedFile> {
        Ok(None)
    }
    fn under(
        &self,
        _: &str,
    ) -> Result<Vec<(String, liminal_schemas::files::ProjectFile)>, (String, liminal_schemas::files::RefusedFile)> {
        Ok(Vec::new())
    }
    fn read(&self, path: &str, _: usize) -> Result<Vec<u8>, String> {
        Err(format!("{path} is not read here"))
    }
}

pub(super) fn target_of(loaded: &LoadedState) -> Target {
    let source = loaded.state.applied.as_ref().map(|applied| applied.source.clone()).unwrap_or_default();
    Target {
        project: loaded.state.project.clone(),
        environment: loaded.state.environment.clone(),
        source,
        tree: Digest::of_bytes(b""),
        keep: plan::DEFAULT_KEEP,
    }
}
