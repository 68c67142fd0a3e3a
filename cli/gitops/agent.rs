//! The agent: follows the branches of a remote, brings environments to their commits, and heals what drifts.
//!
//! All it must remember is in the state of the environments, so that it can be killed at any moment and started again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use liminal_functions::clock::SystemClock;
use liminal_functions::executor::Stop;
use liminal_functions::local::store::DirectoryStore;
use liminal_functions::ports::Clock as _;
use liminal_infra::gitops::mirror::Mirror;
use liminal_infra::gitops::mirror::MirrorError;
use liminal_infra::gitops::notes::NOTES_KEY;
use liminal_infra::source::FOLDER_KEY;
use liminal_schemas::definition::EnvironmentSettings;
use liminal_schemas::gitops::Trigger;
use liminal_schemas::name::EnvironmentName;

use super::agent_endpoint::Endpoint;
use super::agent_endpoint::Telling;
use super::agent_endpoint::listen;
use super::agent_status::AgentStatus;
use super::agent_status::Followed;
use super::commit_status::CommitStatus;
use super::commit_status::GitHub;
use super::commit_status::StatusHost as _;
use super::note;
use super::place::Place;
use super::reconcile::Outcome;
use super::reconcile::Reconciler;
use super::reconcile::Told;
use super::reconcile::Wanted;
use super::reconcile::told;
use super::targets;
use super::targets::Unknown;
use super::webhook::Webhook;
use crate::app::Context;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::error::While as _;
use crate::exit_code::ExitCode;
use crate::interrupt;
use crate::platform::Environment;
use crate::platform::Lived;
use crate::platform::stop_flag;
use crate::project;

/// How many intervals may pass without a fetch before the agent counts as unwell.
const PATIENCE_INTERVALS: u32 = 3;

/// The file that says how the agent is, below its home.
const STATUS_FILE: &str = "agent.json";

/// What the agent does about drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DriftPolicy {
    /// Do not look.
    Off,
    /// Say what differs.
    Report,
    /// Put it back as it was recorded.
    Heal,
}

/// How the agent was asked to work.
pub(crate) struct AgentOptions {
    /// The remote.
    pub(crate) remote: String,
    /// The folder of the agent's copy, below which environments on this machine are kept.
    pub(crate) home: PathBuf,
    /// The folder of the project in the repository.
    pub(crate) folder: String,
    /// How long to wait between passes.
    pub(crate) interval: Duration,
    /// Whether one pass is enough.
    pub(crate) once: bool,
    /// Whether guards are passed by, for one pass.
    pub(crate) force: bool,
    /// What is done about drift.
    pub(crate) drift: DriftPolicy,
    /// Where the agent tells of itself.
    pub(crate) listen: Option<SocketAddr>,
    /// How long a fetch may take.
    pub(crate) timeout: Duration,
    /// Whether git knows by its own variables which ssh to start.
    pub(crate) own_ssh: bool,
    /// The secret that deliveries of a code host are signed with; none where nobody tells of pushes.
    pub(crate) secret: Option<String>,
    /// The environment whose receiver tells of pushes; none where no function does.
    pub(crate) deliveries: Option<EnvironmentName>,
    /// Whether git notes tell what becomes of commits.
    pub(crate) notes: bool,
    /// The host that is told what becomes of commits.
    pub(crate) status_host: Option<GitHub>,
}

impl AgentOptions {
    /// Who sets passes going.
    const fn trigger(&self) -> Trigger {
        if self.secret.is_some() || self.deliveries.is_some() { Trigger::Webhook } else { Trigger::Agent }
    }
}

pub(super) struct Agent<'a> {
    pub(super) context: &'a Context,
    pub(super) options: &'a AgentOptions,
    mirror: Mirror,
    pub(super) status: Arc<Telling>,
    stopped: Arc<AtomicBool>,
    /// What was said last of each environment: the same is not said twice in a row.
    said: Mutex<BTreeMap<String, String>>,
    /// What the code host was told last of each environment.
    told: Mutex<BTreeMap<EnvironmentName, CommitStatus>>,
}

/// Follows a remote until it is stopped, or for one pass.
pub(crate) async fn run(context: &Context, options: &AgentOptions) -> CommandResult {
    let mirror = Mirror::open(&options.home, &options.remote, options.timeout, options.own_ssh)
        .map_err(|error| explain(&error))?;
    let home = options.home.canonicalize().or_failed(|| format!("{} can not be used", options.home.display()))?;
    let _alone = alone(&home)?;
    let place = Place::open(&home)?;
    let notes = if options.notes { "true" } else { "false" };
    let values = [(FOLDER_KEY, options.folder.as_str()), (NOTES_KEY, notes)];
    place.repository.configure(&values).or_failed(|| "the copy can not be used".to_owned())?;
    let now = SystemClock.now();
    let status = AgentStatus {
        remote: mirror.address(),
        pid: std::process::id(),
        started_at: now,
        passes: 0,
        failed_fetches: 0,
        fetched_at: None,
        error: None,
        environments: BTreeMap::new(),
    };
    let patience = (options.interval * PATIENCE_INTERVALS + options.timeout).as_millis();
    let patience_millis = i64::try_from(patience).unwrap_or(i64::MAX);
    let status = Arc::new(Telling { status: Mutex::new(status), patience_millis });
    let webhook = match &options.secret {
        Some(secret) => {
            let seen = DirectoryStore::open(home.join("webhook"))
                .or_failed(|| format!("{} can not be written", home.display()))?;
            Some(Webhook::new(secret, seen, context.printer.clone())?)
        }
        None => None,
    };
    let endpoint = Arc::new(Endpoint { status: Arc::clone(&status), webhook });
    if let Some(address) = options.listen {
        listen(context, address, &home, Arc::clone(&endpoint)).await?;
    }
    let mut interrupted = interrupt::listen(&context.printer, interrupt::ENDS_APPLY)?;
    let stopped = stop_flag(interrupted.clone());
    let agent = Agent { context, options, mirror, status, stopped, said: Mutex::default(), told: Mutex::default() };
    let (mut deliveries, mut held) = (None, Vec::new());
    loop {
        let outcome = agent.pass(&home).await;
        if options.once {
            return outcome;
        }
        agent.let_go(deliveries.as_ref(), std::mem::take(&mut held), &outcome).await;
        if let Err(error) = outcome {
            agent.say("remote", "", &error.render(&context.printer.err));
        }
        deliveries = agent.find_deliveries(&home, deliveries).await;
        let stop = interrupted.wait_for(|stop| *stop != Stop::No);
        tokio::select! {
            _ = stop => {}
            () = tokio::time::sleep(options.interval) => {}
            () = endpoint.told() => {}
            taken = agent.told(deliveries.as_ref()) => held = taken,
        }
        // The flag is raised by a task of its own, which may not have come to it yet.
        if *interrupted.borrow() != Stop::No {
            context.printer.say("The agent has stopped. Started again, it goes on where it was.");
            return Ok(ExitCode::Ok);
        }
    }
}

/// Keeps a second agent out of the same home. The lock is freed by the system, however the agent ends.
fn alone(home: &Path) -> Result<std::fs::File, CliError> {
    let path = home.join("agent.lock");
    let open = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = open.or_failed(|| format!("{} can not be written", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(CliError::new(format!("another agent works in {}", home.display()))
                .hint("--home DIR gives this one a home of its own")
                .exit(ExitCode::LockHeld))
        }
        Err(std::fs::TryLockError::Error(error)) => {
            Err(CliError::because(format!("{} can not be locked", path.display()), &error))
        }
    }
}

fn explain(error: &MirrorError) -> CliError {
    let explained = CliError::because("the remote can not be followed", error);
    match error {
        MirrorError::BadAddress { .. } => explained.exit(ExitCode::Usage),
        MirrorError::Denied { .. } => explained
            .hint("`git ls-remote URL` with the same user shows the same; the agent never asks for a password")
            .hint("ssh keys, `git credential` helpers and GIT_SSH_COMMAND are used as git is set up")
            .exit(ExitCode::Credentials),
        MirrorError::UnknownHost { .. } => explained
            .hint("`ssh HOST` with the same user shows the key, to be compared with what the host tells of it, and keeps it")
            .hint("where a known host has another key now, ask whoever runs it before you let the old one go"),
        MirrorError::TimedOut { .. } => explained.hint("--timeout 5m waits longer"),
        MirrorError::NoGit(_) => explained.hint("install git, and see that it is on the PATH"),
        MirrorError::Refused { complaint, .. } if complaint.contains("shallow") => explained
            .hint("the remote is a shallow clone, whose history is cut off: follow a whole one, or `git fetch --unshallow` there"),
        MirrorError::Copy { .. } | MirrorError::Refused { .. } => explained,
    }
}

impl Agent<'_> {
    /// One pass: fetch, and see to every environment that follows a branch.
    async fn pass(&self, home: &Path) -> CommandResult {
        let fetched = self.mirror.fetch().await;
        let now = SystemClock.now();
        {
            let mut status = self.status.lock();
            status.passes += 1;
            match &fetched {
                Ok(()) => {
                    status.fetched_at = Some(now);
                    status.error = None;
                }
                Err(error) => {
                    status.failed_fetches += 1;
                    status.error = Some(CliError::because("the remote can not be followed", error).summary());
                }
            }
        }
        let outcome = match fetched {
            Ok(()) => self.reconcile_all(home).await,
            Err(error) => Err(explain(&error)),
        };
        self.write_status(home);
        outcome
    }

    async fn reconcile_all(&self, home: &Path) -> CommandResult {
        let place = Place::open(home)?;
        let default = place.repository.default_branch();
        let commit = default.as_deref().and_then(|branch| place.repository.branch_commit(branch));
        let Some(commit) = commit else {
            return Err(CliError::new(format!("{} has no commit on its default branch", self.mirror.address()))
                .hint("the definition there says which environments follow which branch; push it"));
        };
        let targets = match targets::listed(&place, &commit) {
            Ok(targets) => targets,
            Err(Unknown::Broken(report)) => return Err(project::refuse(self.context, &report)),
            Err(Unknown::Unreadable(error)) => return Err(error),
        };
        let mut exit = ExitCode::Ok;
        let mut followed = Vec::new();
        for target in &targets {
            let Some(branch) = target.delivery.branch.as_deref() else { continue };
            followed.push(target.environment.clone());
            let code = self.follow(&place, target, branch).await;
            exit = if exit == ExitCode::Ok { code } else { exit };
            if self.stopped.load(Ordering::Relaxed) {
                break;
            }
        }
        if followed.is_empty() {
            let text = "no environment follows a branch: `branch: main` in an environment of the definition lets it\n";
            self.say("remote", text, "");
        }
        for target in targets.iter().filter(|target| target.delivery.template.is_some()) {
            if let Err(error) = self.remove_expired(&place, target).await {
                let text = error.render(&self.context.printer.err);
                self.say(&format!("expired of {}", target.environment), "", &text);
                exit = if exit == ExitCode::Ok { error.exit } else { exit };
            }
        }
        self.status.lock().environments.retain(|environment, _| followed.contains(environment));
        Ok(exit)
    }

    /// Removes environments whose time has come, of those that were made from a template.
    async fn remove_expired(&self, place: &Place, target: &EnvironmentSettings) -> Result<(), CliError> {
        let mut settings = self.context.settings.clone();
        settings.environment = target.environment.clone();
        settings.directory = place.repository.path().to_owned();
        let context = Context { settings, printer: self.context.printer.clone() };
        let (project, path) = (Some(target.project.clone()), place.repository.path());
        let template = Environment::on(&context, path, project, &target.platform, &target.delivery).await?;
        for (environment, record) in template.made(&context).await? {
            let name = &record.environment;
            let terms = (Some(Trigger::Agent), Duration::from_secs(1));
            match environment.remove_if_expired(&context, &record, terms).await {
                Ok(Lived::Lives) => {}
                Ok(Lived::Removed) => self.context.printer.data(&format!("{name}: expired, and is removed\n")),
                Ok(Lived::Partly) => {
                    let text =
                        format!("{name}: expired; what runs that have not ended need is removed once they have\n");
                    self.say(&format!("expired {name}"), &text, "");
                }
                Err(error) => self.say(&format!("expired {name}"), "", &error.render(&self.context.printer.err)),
            }
        }
        Ok(())
    }

    /// Sees to one environment.
    async fn follow(&self, place: &Place, target: &EnvironmentSettings, branch: &str) -> ExitCode {
        let environment = &target.environment;
        let Some(commit) = place.repository.branch_commit(branch) else {
            let text = format!("{environment}: branch {branch} is not there, and what is live stays as it is\n");
            self.record(environment, branch, None, "skipped", &text);
            self.say(environment.as_str(), &text, "");
            return ExitCode::Ok;
        };
        let wanted = Wanted {
            target,
            commit: &commit,
            force: self.options.force,
            trigger: self.options.trigger(),
            lock_timeout: Duration::from_secs(1),
        };
        let reconciler = match Reconciler::connect(self.context, place, &wanted, &self.stopped).await {
            Ok(reconciler) => reconciler,
            Err(error) => return self.fail(environment, branch, &commit, &error),
        };
        let outcome = match reconciler.reconcile().await {
            Ok(outcome) => outcome,
            Err(error) => return self.fail(environment, branch, &commit, &error),
        };
        note::write(self.context, place, &wanted, &outcome);
        self.tell_host(environment, &commit, &outcome).await;
        let Told { data, complaint, exit } = told(self.context, &wanted, &outcome);
        let message = if complaint.is_empty() { data.clone() } else { complaint.clone() };
        self.record(environment, branch, Some(&commit), outcome.as_str(), &message);
        self.say(environment.as_str(), &data, &complaint);
        if self.options.drift == DriftPolicy::Off {
            return exit;
        }
        let heal = self.options.drift == DriftPolicy::Heal;
        match reconciler.look_for_drift(heal).await {
            Ok(seen) => {
                let mut status = self.status.lock();
                if let Some(followed) = status.environments.get_mut(environment) {
                    followed.drifted = seen.drifted;
                    followed.healed += seen.healed as u64;
                }
                drop(status);
                self.say(&format!("drift of {environment}"), &seen.text, "");
                exit
            }
            Err(error) => {
                let text = error.render(&self.context.printer.err);
                self.say(&format!("drift of {environment}"), "", &text);
                if exit == ExitCode::Ok { error.exit } else { exit }
            }
        }
    }

    /// Tells the code host what became of a commit, unless it knows. A host that does not listen keeps nothing back.
    async fn tell_host(&self, environment: &EnvironmentName, commit: &str, outcome: &Outcome) {
        let (Some(host), Some((state, description))) = (&self.options.status_host, outcome.as_status()) else { return };
        let context = format!("liminal/{environment}");
        let status = CommitStatus { commit: commit.to_owned(), state, description, context };
        if self.told.lock().unwrap_or_else(PoisonError::into_inner).get(environment) == Some(&status) {
            return;
        }
        match host.tell(&status).await {
            Ok(()) => {
                self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(environment.clone(), status);
            }
            Err(error) => {
                let error = CliError::because(format!("{environment}: the code host was not told"), &error);
                self.context.printer.warn(&error.summary());
            }
        }
    }

    fn fail(&self, environment: &EnvironmentName, branch: &str, commit: &str, error: &CliError) -> ExitCode {
        self.record(environment, branch, Some(commit), "failed", &error.summary());
        self.say(environment.as_str(), "", &error.render(&self.context.printer.err));
        error.exit
    }

    fn record(&self, environment: &EnvironmentName, branch: &str, commit: Option<&str>, outcome: &str, message: &str) {
        let mut status = self.status.lock();
        let before = status.environments.get(environment);
        let mut outcomes = before.map(|followed| followed.outcomes.clone()).unwrap_or_default();
        *outcomes.entry(outcome.to_owned()).or_default() += 1;
        let (drifted, healed) = before.map_or((0, 0), |followed| (followed.drifted, followed.healed));
        let followed = Followed {
            branch: branch.to_owned(),
            commit: commit.map(str::to_owned),
            outcome: outcome.to_owned(),
            message: message.trim().to_owned(),
            at: SystemClock.now(),
            drifted,
            outcomes,
            healed,
        };
        status.environments.insert(environment.clone(), followed);
    }

    /// Says something, unless it is what was said last of the same thing.
    pub(super) fn say(&self, about: &str, data: &str, complaint: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let text = format!("{data}{complaint}");
        if said.get(about) == Some(&text) {
            return;
        }
        self.context.printer.data(data);
        self.context.printer.complain(complaint);
        said.insert(about.to_owned(), text);
    }

    /// Writes the status file whole. One that can not be written is no reason to stop.
    fn write_status(&self, home: &Path) {
        let status = self.status.lock().clone();
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(home)?;
            serde_json::to_writer_pretty(&mut file, &status)?;
            file.persist(home.join(STATUS_FILE)).map_err(|error| error.error)?;
            Ok(())
        };
        if let Err(error) = write() {
            self.context.printer.warn(&format!("{STATUS_FILE} can not be written: {error}"));
        }
    }
}
