//! An environment of a test's own on an emulator.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use aws_config::BehaviorVersion;
use aws_config::Region;
use aws_config::SdkConfig;
use aws_sdk_sts::config::Credentials;
use aws_sdk_sts::config::SharedCredentialsProvider;
use liminal_emulators::Emulator;
use liminal_emulators::Moto;
use liminal_emulators::shared_ministack;
use liminal_infra::aws::AwsResources;
use liminal_infra::aws::Clients;
use liminal_infra::aws::Found;
use liminal_infra::aws::Owner;
use liminal_infra::aws::Site;
use liminal_infra::aws::inventory;
use liminal_infra::aws::locate;
use liminal_schemas::aws::AwsSpec;
use liminal_schemas::aws::names;
use liminal_schemas::aws::resource::CloudResource;
use liminal_schemas::aws::resource::ResourceSpec;
use liminal_schemas::digest::Digest;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::state::ResourceAddress;

use crate::objects::BucketObjects;
use crate::objects::NoFiles;
use crate::objects::SmallBundles;

/// One environment, with its clients.
pub(crate) struct World {
    pub(crate) site: Site,
    pub(crate) config: SdkConfig,
    pub(crate) objects: BucketObjects,
    pub(crate) bundles: SmallBundles,
    pub(crate) documents: BTreeMap<ResourceAddress, CloudResource>,
    pub(crate) packages: BTreeMap<Digest, PackageSpec>,
    pub(crate) delete_messages: bool,
}

/// An environment on each of the emulators, whose project no other test of this process has.
pub(crate) async fn worlds() -> Vec<World> {
    vec![World::on(shared_ministack()).await, World::on(shared_moto()).await]
}

pub(crate) fn shared_moto() -> &'static Emulator {
    static SHARED: OnceLock<Emulator> = OnceLock::new();
    SHARED.get_or_init(Moto::start)
}

/// A configuration for an emulator, without anything of this machine's own.
pub(crate) fn config(endpoint: &str, region: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "test")))
        .sleep_impl(aws_smithy_async_sleep())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}

fn aws_smithy_async_sleep() -> impl aws_sdk_sts::config::AsyncSleep + 'static {
    TokioSleep
}

/// Pauses by tokio's clock.
#[derive(Debug)]
struct TokioSleep;

impl aws_sdk_sts::config::AsyncSleep for TokioSleep {
    fn sleep(&self, duration: std::time::Duration) -> aws_sdk_sts::config::Sleep {
        aws_sdk_sts::config::Sleep::new(tokio::time::sleep(duration))
    }
}

pub(crate) fn settings(region: &str) -> AwsSpec {
    AwsSpec {
        region: region.to_owned(),
        account: None,
        bucket: None,
        arch: liminal_schemas::aws::Arch::X86_64,
        log_retention_days: 30,
        fargate: liminal_schemas::aws::FargateSettings::default(),
    }
}

impl World {
    pub(crate) async fn on(emulator: &Emulator) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let project = format!("shop{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let config = config(&emulator.endpoint(), emulator.region());
        let clients = Clients::with_config(&config);
        let place = locate(&clients, &settings(emulator.region())).await.expect("the emulator says who we are");
        assert_eq!(place.account, emulator.account());
        let owner = Owner {
            project: ProjectName::new(&project).expect("a name"),
            environment: EnvironmentName::new("dev").expect("a name"),
        };
        let s3 = s3(&config);
        let constraint = aws_sdk_s3::types::CreateBucketConfiguration::builder();
        let constraint = constraint.location_constraint(emulator.region().into()).build();
        // All tests of a process share the bucket of the account.
        let _ = s3.create_bucket().bucket(&place.bucket).create_bucket_configuration(constraint).send().await;
        let prefix = names::object_prefix(&owner.project, &owner.environment);
        let objects = BucketObjects { s3, bucket: place.bucket.clone(), prefix };
        Self {
            site: Site { clients, place, owner },
            config,
            objects,
            bundles: SmallBundles::default(),
            documents: BTreeMap::new(),
            packages: BTreeMap::new(),
            delete_messages: false,
        }
    }

    /// Adds a document; gives its address.
    pub(crate) fn add(&mut self, spec: ResourceSpec) -> ResourceAddress {
        let address = spec.address();
        self.documents.insert(address.clone(), CloudResource { spec, needs: [].into(), serves: None });
        address
    }

    pub(crate) fn resources(&self) -> AwsResources<'_, BucketObjects, SmallBundles> {
        AwsResources {
            site: &self.site,
            objects: &self.objects,
            bundles: &self.bundles,
            files: &NoFiles,
            packages: &self.packages,
            documents: &self.documents,
            delete_messages: self.delete_messages,
        }
    }

    /// What is ours in the account.
    pub(crate) async fn inventory(&self) -> Vec<Found> {
        inventory(&self.site, std::slice::from_ref(&self.site.place.bucket)).await.expect("the emulator lists")
    }

    pub(crate) fn is_on_moto(&self) -> bool {
        self.site.place.account == shared_moto().account()
    }

    pub(crate) fn project(&self) -> &str {
        self.site.owner.project.as_str()
    }
}

/// A client of S3 that finds buckets by path.
pub(crate) fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(config).force_path_style(true).build())
}
