use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use liminal_schemas::definition::path_problem;
use liminal_schemas::name::EnvironmentName;

use crate::app::Context;
use crate::commands::apply::duration;
use crate::env_vars;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::gitops::agent;
use crate::gitops::agent::AgentOptions;
use crate::gitops::agent::DriftPolicy;
use crate::gitops::commit_status::GitHub;

/// Follow the branches of a remote, and bring environments to their commits.
///
/// The agent keeps a bare copy of the remote in its home, and beside it a status file, agent.json. It can be killed at any
/// moment and started again: what was applied is in the state of the environments. Credentials are those of git on this
/// machine; the agent never asks for any.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  liminal gitops agent --remote git@example.com:churn.git\n  liminal gitops agent --remote https://example.com/churn.git --once"
)]
pub(crate) struct AgentArgs {
    /// The remote: https://, ssh://, HOST:PATH, or a folder.
    #[arg(long, value_name = "URL", allow_hyphen_values = true)]
    remote: String,
    /// The folder of the agent's copy.
    #[arg(long, value_name = "DIR", default_value = ".liminal/agent.git")]
    home: PathBuf,
    /// The folder of the project in the repository, when it is not the root.
    #[arg(long, value_name = "FOLDER", default_value = "")]
    folder: String,
    /// How long to wait between passes.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration, conflicts_with = "once")]
    interval: Duration,
    /// Make one pass and end.
    #[arg(long)]
    once: bool,
    /// Also take commits that are older, beside what is applied, or in quarantine.
    #[arg(long, requires = "once")]
    force: bool,
    /// Fetch as soon as the receiver of this environment on AWS is told of a push (`liminal gitops receiver`).
    #[arg(long, value_name = "ENV", conflicts_with = "once")]
    deliveries: Option<String>,
    /// What to do about resources that differ from what is recorded.
    #[arg(long, value_enum, default_value_t = DriftPolicy::Report, value_name = "WHAT")]
    drift: DriftPolicy,
    /// Answer /healthz and /metrics on this address of this machine.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Tell GitHub what became of each commit: a status beside it. The token is in GITHUB_TOKEN.
    #[arg(long, value_name = "OWNER/REPO")]
    github_status: Option<String>,
    /// Note beside each commit what became of it, in the copy: `git --git-dir HOME log --notes=liminal` shows it.
    #[arg(long)]
    notes: bool,
    /// How long a fetch may take.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    timeout: Duration,
}

pub(crate) async fn run(context: &Context, args: &AgentArgs) -> CommandResult {
    let options = AgentOptions {
        remote: args.remote.clone(),
        home: context.settings.directory.join(&args.home),
        folder: checked_folder(&args.folder)?,
        interval: args.interval,
        once: args.once,
        force: args.force,
        drift: args.drift,
        listen: args.listen,
        timeout: args.timeout,
        own_ssh: has_own_ssh(),
        secret: None,
        deliveries: args.deliveries.as_deref().map(environment_name).transpose()?,
        notes: args.notes,
        status_host: args.github_status.as_deref().map(github).transpose()?,
    };
    agent::run(context, &options).await
}

fn environment_name(name: &str) -> Result<EnvironmentName, CliError> {
    EnvironmentName::new(name)
        .map_err(|error| CliError::because("--deliveries names no environment", &error).exit(ExitCode::Usage))
}

/// The folder of a project in a repository, which leads nowhere else.
pub(super) fn checked_folder(folder: &str) -> Result<String, CliError> {
    let folder = folder.trim_matches('/');
    match path_problem(folder).filter(|_| !folder.is_empty()) {
        Some(problem) => Err(CliError::new(format!("the folder of the project {problem}")).exit(ExitCode::Usage)),
        None => Ok(folder.to_owned()),
    }
}

/// Whether git is told by its own variables which ssh to start.
pub(super) fn has_own_ssh() -> bool {
    ["GIT_SSH_COMMAND", "GIT_SSH"].iter().any(|name| env_vars::read(name).is_some())
}

/// The repository on GitHub that is told what becomes of commits.
pub(super) fn github(repository: &str) -> Result<GitHub, CliError> {
    let Some(token) = env_vars::read(env_vars::GITHUB_TOKEN) else {
        return Err(CliError::new("there is no token to tell GitHub of commits with")
            .hint("set GITHUB_TOKEN to a token that may write commit statuses")
            .exit(ExitCode::Credentials));
    };
    let api = env_vars::read(env_vars::GITHUB_API_URL).unwrap_or_else(|| "https://api.github.com".to_owned());
    GitHub::new(&api, repository, token)
}
