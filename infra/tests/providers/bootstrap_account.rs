//! An account that bootstrap is tried in, as others see it.

use aws_config::SdkConfig;
use aws_sdk_s3::types::LifecycleRule;
use liminal_emulators::Emulator;
use liminal_emulators::MiniStack;
use liminal_emulators::Moto;
use liminal_infra::aws::Clients;
use liminal_infra::aws::bootstrap::BootstrapError;
use liminal_infra::aws::bootstrap::Done;
use liminal_infra::aws::bootstrap::Part;
use liminal_infra::aws::bootstrap::bootstrap;
use liminal_infra::aws::bootstrap::template::Deployer;
use liminal_infra::aws::locate;
use liminal_schemas::aws::AwsPlace;
use serde_json::Value;

use crate::world::config;
use crate::world::s3;
use crate::world::settings;

pub(crate) const HOST: &str = "token.actions.githubusercontent.com";
pub(crate) const SUBJECT: &str = "repo:shop/models:environment:production";

/// An account that nothing else is done in.
pub(crate) struct Account {
    pub(crate) emulator: Emulator,
    pub(crate) config: SdkConfig,
    pub(crate) clients: Clients,
    pub(crate) place: AwsPlace,
}

impl Account {
    pub(crate) async fn on(emulator: Emulator) -> Self {
        let config = config(&emulator.endpoint(), emulator.region());
        let clients = Clients::with_config(&config);
        let place = locate(&clients, &settings(emulator.region())).await.expect("the emulator says who we are");
        Self { emulator, config, clients, place }
    }

    pub(crate) fn deployer(&self) -> Deployer {
        let provider = format!("arn:aws:iam::{}:oidc-provider/{HOST}", self.place.account);
        Deployer { provider, host: HOST.to_owned(), subject: SUBJECT.to_owned() }
    }

    /// The role of that deployer.
    pub(crate) fn role(&self) -> String {
        self.deployer().role_name(&self.place)
    }

    pub(crate) async fn try_bootstrap(&self) -> Result<Vec<Part>, BootstrapError> {
        bootstrap(&self.clients, &self.place, Some(&self.deployer()), &mut |_| {}).await
    }

    /// What was done about each part, by the kind of it.
    pub(crate) async fn bootstrap(&self) -> Vec<(String, Done)> {
        let parts = self.try_bootstrap().await.unwrap_or_else(|error| panic!("{error}: {error:?}"));
        let kind = |what: &str| what.rsplit_once(' ').map_or(what, |(kind, _)| kind).to_owned();
        parts.into_iter().map(|part| (kind(&part.what), part.done)).collect()
    }

    pub(crate) async fn is_left_alone(&self) {
        let done = self.bootstrap().await;
        assert!(done.iter().all(|(_, done)| *done == Done::Unchanged), "{done:?}");
    }

    /// The next run mends this of one part, and nothing else; the run after it mends nothing.
    pub(crate) async fn is_mended(&self, kind: &str, what: &[&'static str]) {
        let mut done = self.bootstrap().await;
        done.retain(|(_, done)| *done != Done::Unchanged);
        assert_eq!(done, [(kind.to_owned(), Done::Mended(what.to_vec()))]);
        self.is_left_alone().await;
    }

    pub(crate) fn s3(&self) -> aws_sdk_s3::Client {
        s3(&self.config)
    }

    pub(crate) fn iam(&self) -> aws_sdk_iam::Client {
        aws_sdk_iam::Client::new(&self.config)
    }

    pub(crate) fn ecr(&self) -> aws_sdk_ecr::Client {
        aws_sdk_ecr::Client::new(&self.config)
    }

    pub(crate) fn ecs(&self) -> aws_sdk_ecs::Client {
        aws_sdk_ecs::Client::new(&self.config)
    }

    /// What the AWS CLI says.
    pub(crate) fn aws(&self, args: &[&str]) -> Value {
        let mut command = liminal_emulators::tools().aws(&self.emulator);
        let output = command.args(args).args(["--output", "json"]).output().expect("the AWS CLI runs");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    pub(crate) async fn rules(&self) -> Vec<LifecycleRule> {
        let request = self.s3().get_bucket_lifecycle_configuration().bucket(&self.place.bucket);
        request.send().await.expect("rules").rules.unwrap_or_default()
    }

    pub(crate) async fn put_rules(&self, rules: Vec<LifecycleRule>) {
        let configuration = aws_sdk_s3::types::BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build();
        let request = self.s3().put_bucket_lifecycle_configuration().bucket(&self.place.bucket);
        request.lifecycle_configuration(configuration.expect("complete")).send().await.expect("rules");
    }
}

pub(crate) async fn accounts() -> Vec<Account> {
    vec![Account::on(MiniStack::start()).await, Account::on(Moto::start()).await]
}
