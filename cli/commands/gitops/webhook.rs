use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::agent::checked_folder;
use super::agent::github;
use super::agent::has_own_ssh;
use crate::app::Context;
use crate::commands::apply::duration;
use crate::env_vars;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::error::While as _;
use crate::exit_code::ExitCode;
use crate::gitops::agent;
use crate::gitops::agent::AgentOptions;
use crate::gitops::agent::DriftPolicy;

/// Follow a remote whose host tells of pushes by signed requests.
///
/// An agent that fetches when it is told to, and now and then by itself. `POST /` takes deliveries that are signed as
/// GitHub signs them, with the secret in LIMINAL_WEBHOOK_SECRET or a file. What a delivery says is never applied: it only
/// lets the remote be fetched.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  liminal gitops webhook --remote https://example.com/churn.git --secret-file /run/secrets/webhook"
)]
pub(crate) struct WebhookArgs {
    /// The remote: https://, ssh://, HOST:PATH, or a folder.
    #[arg(long, value_name = "URL", allow_hyphen_values = true)]
    remote: String,
    /// The address of this machine to listen on. A proxy in front of it speaks TLS.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9465")]
    listen: SocketAddr,
    /// The file that holds the secret, instead of LIMINAL_WEBHOOK_SECRET.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The folder of the copy of the remote.
    #[arg(long, value_name = "DIR", default_value = ".liminal/agent.git")]
    home: PathBuf,
    /// The folder of the project in the repository, when it is not the root.
    #[arg(long, value_name = "FOLDER", default_value = "")]
    folder: String,
    /// How long to wait at most before the remote is fetched without being told.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    interval: Duration,
    /// What to do about resources that differ from what is recorded.
    #[arg(long, value_enum, default_value_t = DriftPolicy::Report, value_name = "WHAT")]
    drift: DriftPolicy,
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

pub(crate) async fn run(context: &Context, args: &WebhookArgs) -> CommandResult {
    let secret = match &args.secret_file {
        Some(file) => std::fs::read_to_string(file).or_failed(|| format!("{} can not be read", file.display()))?,
        None => env_vars::read(env_vars::LIMINAL_WEBHOOK_SECRET).ok_or_else(|| {
            CliError::new("there is no secret to check signatures with")
                .hint("set LIMINAL_WEBHOOK_SECRET, or name a file: --secret-file FILE")
                .exit(ExitCode::Usage)
        })?,
    };
    let options = AgentOptions {
        remote: args.remote.clone(),
        home: context.settings.directory.join(&args.home),
        folder: checked_folder(&args.folder)?,
        interval: args.interval,
        once: false,
        force: false,
        drift: args.drift,
        listen: Some(args.listen),
        timeout: args.timeout,
        own_ssh: has_own_ssh(),
        secret: Some(secret),
        deliveries: None,
        notes: args.notes,
        status_host: args.github_status.as_deref().map(github).transpose()?,
    };
    agent::run(context, &options).await
}
