//! An environment as commands see it: objects, time and names, whatever carries it out. What differs from platform to
//! platform is behind [`Platform`].

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use liminal_functions::clock::SystemClock;
use liminal_functions::clock::SystemNonces;
use liminal_functions::executor::Stop;
use liminal_functions::ports::Clock as _;
use liminal_functions::ports::Nonces as _;
use liminal_functions::ports::ObjectStore as _;
use liminal_schemas::aws::AwsPlace;
use liminal_schemas::delivery::CanaryLimits;
use liminal_schemas::delivery::Delivery;
use liminal_schemas::delivery::Template;
use liminal_schemas::graph::Graph;
use liminal_schemas::keys;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::name::RunId;
use liminal_schemas::platform::PlatformSpec;
use liminal_schemas::release::Release;
use liminal_schemas::state::LivePointer;
use liminal_schemas::time::UtcTime;
use tokio::sync::watch;

use super::aws;
use super::aws::Aws;
use super::local::Local;
use super::store::Store;
use crate::app::Context;
use crate::error::CliError;
use crate::error::While as _;
use crate::interrupt;
use crate::project;
use crate::project::Project;
use crate::records::Records;
use crate::settings::Settings;

/// An environment of a project.
pub(crate) struct Environment {
    /// What carries it out.
    pub(super) platform: Platform,
    store: Store,
    folder: PathBuf,
    settings: Settings,
    delivery: Delivery,
    /// The project and what carries it out, as the definition says it.
    spec: (Option<ProjectName>, PlatformSpec),
    pub(super) directory: PathBuf,
}

/// What carries an environment out.
pub(super) enum Platform {
    /// This machine.
    Local(Local),
    /// An account and region of AWS.
    Aws(Box<Aws>),
}

/// Who sees to it that a run goes on.
pub(crate) enum Carrier {
    /// A process, described in a few words: `process 17 on host since …`.
    Process(String),
    /// The functions and tasks of the cloud.
    Cloud,
    /// Nobody, until somebody resumes it.
    Nobody,
}

impl Environment {
    /// The environment of the project that the settings point to. Of the definition, only its environments are read.
    pub(crate) async fn of_project(context: &Context) -> Result<Self, CliError> {
        let directory = project::locate(&context.settings.directory)?;
        let (project, platform, delivery) = project::platform(context, &directory)?;
        Self::on(context, &directory, project, &platform, &delivery).await
    }

    /// The environment of a project that was read.
    pub(crate) async fn of(context: &Context, project: &Project) -> Result<Self, CliError> {
        let resolved = &project.loaded.resolved;
        let name = Some(resolved.project.clone());
        Self::on(context, &project.directory, name, &resolved.platform, &resolved.delivery).await
    }

    /// The environment of a project whose files lie in a folder, or in a bare repository.
    pub(crate) async fn on(
        context: &Context,
        directory: &Path,
        project: Option<ProjectName>,
        platform: &PlatformSpec,
        delivery: &Delivery,
    ) -> Result<Self, CliError> {
        let spec = (project.clone(), platform.clone());
        let folder = directory.join(".liminal").join(context.settings.environment.as_str());
        let (platform, store) = match platform {
            PlatformSpec::Local => {
                let local = Local::open(context, folder.clone())?;
                let store = Store::Directory(local.store());
                (Platform::Local(local), store)
            }
            PlatformSpec::Aws(spec) => {
                let project = project.ok_or_else(|| CliError::new("the definition names no project"))?;
                let aws = Aws::connect(context, spec, &project).await?;
                let store = Store::Bucket(aws.store());
                (Platform::Aws(Box::new(aws)), store)
            }
        };
        let (settings, delivery, directory) = (context.settings.clone(), delivery.clone(), directory.to_owned());
        Ok(Self { platform, store, folder, settings, delivery, spec, directory })
    }

    /// Whether a plan for it must be approved before it is carried out.
    pub(crate) const fn is_protected(&self) -> bool {
        self.delivery.protected
    }

    /// How what is new is tried in it, unless somebody says otherwise.
    pub(crate) const fn canary_limits(&self) -> CanaryLimits {
        self.delivery.canary
    }

    /// The template that it is made from; none for one that stays.
    pub(crate) const fn template(&self) -> Option<&Template> {
        self.delivery.template.as_ref()
    }

    /// Another environment of the same settings: one that is made from the same template, or the template itself.
    pub(super) async fn sibling(&self, context: &Context, name: EnvironmentName) -> Result<Self, CliError> {
        let mut settings = context.settings.clone();
        settings.environment = name;
        let context = Context { settings, printer: context.printer.clone() };
        let (project, platform) = &self.spec;
        Self::on(&context, &self.directory, project.clone(), platform, &self.delivery).await
    }

    /// Its objects.
    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    /// What runs left in it.
    pub(crate) const fn records(&self) -> Records<'_, Store> {
        Records::new(&self.store)
    }

    /// Flags and environment.
    pub(super) const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Its name.
    pub(super) const fn name(&self) -> &EnvironmentName {
        &self.settings.environment
    }

    /// The folder of this machine that is the environment's own.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where in the cloud it is; none on this machine.
    pub(super) fn place(&self) -> Option<&AwsPlace> {
        match &self.platform {
            Platform::Local(_) => None,
            Platform::Aws(aws) => Some(&aws.site.place),
        }
    }

    /// What time it is.
    #[expect(clippy::unused_self, reason = "one clock is as good as another")]
    pub(crate) fn now(&self) -> UtcTime {
        SystemClock.now()
    }

    /// Who sees to it that an open run goes on.
    pub(crate) fn carrier(&self, run: &RunId) -> Carrier {
        match &self.platform {
            Platform::Local(local) => local.driver(run).map_or(Carrier::Nobody, |driver| {
                Carrier::Process(format!("process {} on {} since {}", driver.pid, driver.host, driver.since))
            }),
            Platform::Aws(_) => Carrier::Cloud,
        }
    }

    /// Whether somebody sees to it that an open run goes on.
    pub(crate) fn is_carried(&self, run: &RunId) -> bool {
        match self.carrier(run) {
            Carrier::Process(_) | Carrier::Cloud => true,
            Carrier::Nobody => false,
        }
    }

    /// How often something that goes on is looked at.
    pub(crate) const fn poll_interval(&self) -> Duration {
        match &self.platform {
            Platform::Local(_) => Duration::from_millis(150),
            Platform::Aws(_) => aws::POLL,
        }
    }

    /// Listens for signals from now on.
    pub(crate) fn listen(&self, context: &Context) -> Result<watch::Receiver<Stop>, CliError> {
        let first = match &self.platform {
            Platform::Local(_) => interrupt::ENDS_STEPS,
            Platform::Aws(_) => interrupt::ENDS_WATCHING,
        };
        interrupt::listen(&context.printer, first)
    }

    /// A run id that sorts by time, to the millisecond: `20261124-230239-q7x7k2`.
    pub(crate) fn new_run_id(&self) -> Result<RunId, CliError> {
        const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let now = self.now();
        let time: String = now.to_string().chars().filter(char::is_ascii_digit).take(14).collect();
        let (day, clock) = time.split_at(time.len().min(8));
        let millis = usize::try_from(now.millis().rem_euclid(1000)).unwrap_or(0);
        let fraction: String = [DIGITS[millis / 36], DIGITS[millis % 36]].map(char::from).iter().collect();
        let random: String = SystemNonces.nonce().chars().take(4).collect();
        RunId::new(format!("{day}-{clock}-{fraction}{random}")).or_failed(|| "the clock gives no run id".to_owned())
    }

    /// The graph of a release.
    #[expect(clippy::unused_self, reason = "reads well beside its siblings")]
    pub(crate) fn graph(&self, release: &Release) -> Result<Graph, CliError> {
        Graph::new(&release.steps).or_failed(|| format!("the release of {} can not be used", release.pipeline))
    }

    /// The release that is live.
    pub(crate) async fn live_release(&self, pipeline: &PipelineName) -> Result<Release, CliError> {
        let key = keys::live(pipeline);
        let object = self.store.get(&key).await.or_failed(|| format!("{key} can not be read"))?;
        let Some(object) = object else {
            return Err(CliError::new(format!("pipeline {pipeline} is not live in {}", self.name()))
                .hint("`liminal apply` makes it live"));
        };
        let pointer: LivePointer = serde_json::from_slice(&object.bytes).or_failed(|| format!("{key} is damaged"))?;
        self.records().release(pipeline, &pointer.revision).await
    }
}
