//! The `aws` platform as commands use it: an account, a region and a bucket, found and checked once per command.

mod account;
mod bundles;
mod desired;
mod follow;
mod results;
mod run;
mod runner_file;
mod tasks;

use std::sync::Arc;

use liminal_functions::aws::artifacts::S3Artifacts;
use liminal_functions::aws::clients::Clients;
use liminal_functions::aws::clients::Connection;
use liminal_functions::aws::place::Place;
use liminal_functions::aws::store::S3Store;
use liminal_infra::aws::Site;
use liminal_schemas::aws::AwsSpec;
use liminal_schemas::aws::names;
use liminal_schemas::name::ProjectName;

pub(crate) use self::account::explain as explain_account;
pub(super) use self::bundles::Bundles;
pub(super) use self::results::Results;
pub(super) use self::run::POLL;
pub(super) use self::runner_file::RunnerFile;
use super::effects::EffectStore;
use super::effects::Effects;
use crate::app::Context;
use crate::error::CliError;

/// What an environment is on AWS.
pub(super) struct Aws {
    /// The settings of the environment.
    pub(super) spec: AwsSpec,
    /// Where resources are made, and for whom.
    pub(super) site: Site,
    clients: Clients,
    store: Arc<EffectStore<S3Store>>,
    artifacts: S3Artifacts,
    effects: Effects,
}

impl Aws {
    /// Finds out whose the credentials are, and whether that is where the environment is. Nothing is changed.
    pub(super) async fn connect(context: &Context, spec: &AwsSpec, project: &ProjectName) -> Result<Self, CliError> {
        let site = account::site(context, spec, project).await?;
        let clients = Clients::connect(Connection { region: Some(spec.region.clone()), ..Connection::default() }).await;
        let prefix = names::object_prefix(&site.owner.project, &site.owner.environment);
        let place = Place::new(&site.place.bucket, prefix).owned_by(&site.place.account);
        let effects = Effects::new();
        let store = Arc::new(effects.of(S3Store::new(&clients, place.clone())));
        let artifacts = S3Artifacts::new(&clients, place);
        Ok(Self { spec: spec.clone(), site, clients, store, artifacts, effects })
    }

    /// Its objects.
    pub(super) fn store(&self) -> Arc<EffectStore<S3Store>> {
        Arc::clone(&self.store)
    }

    /// Its artifacts.
    pub(super) const fn artifacts(&self) -> &S3Artifacts {
        &self.artifacts
    }

    /// Where its resources are, and whose.
    pub(super) const fn site(&self) -> &Site {
        &self.site
    }

    /// The counter of effects.
    pub(super) const fn effects(&self) -> &Effects {
        &self.effects
    }
}
