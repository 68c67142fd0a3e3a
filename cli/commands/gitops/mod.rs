//! The commands of GitOps: a git repository is the place where environments are changed.

mod agent;
mod ci;
mod install_hook;
mod receive;
mod receiver;
mod webhook;

use crate::app::Context;
use crate::error::CommandResult;

/// Let commits of a git repository be applied by themselves.
///
/// The definition says which branch an environment follows, by `branch:`. A hook applies what is pushed; an agent follows a
/// remote, by itself or when its host tells of a push. What is live
/// stays as it is whenever a commit is broken, refused, or older than what is applied.
#[derive(Debug, clap::Args)]
pub(crate) struct GitopsArgs {
    #[command(subcommand)]
    command: GitopsCommand,
}

#[derive(Debug, clap::Subcommand)]
enum GitopsCommand {
    Agent(agent::AgentArgs),
    Ci(ci::CiArgs),
    InstallHook(install_hook::InstallHookArgs),
    Receive(receive::ReceiveArgs),
    Receiver(receiver::ReceiverArgs),
    Webhook(webhook::WebhookArgs),
}

pub(crate) async fn run(context: &Context, args: &GitopsArgs) -> CommandResult {
    match &args.command {
        GitopsCommand::Agent(args) => agent::run(context, args).await,
        GitopsCommand::Ci(args) => ci::run(context, args),
        GitopsCommand::InstallHook(args) => install_hook::run(context, args),
        GitopsCommand::Receive(args) => receive::run(context, args).await,
        GitopsCommand::Receiver(args) => receiver::run(context, args).await,
        GitopsCommand::Webhook(args) => webhook::run(context, args).await,
    }
}
