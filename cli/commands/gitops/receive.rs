use std::io::Read as _;

use crate::app::Context;
use crate::env_vars;
use crate::error::CommandResult;
use crate::error::While as _;
use crate::gitops::hook;
use crate::gitops::hook::FORCE_OPTION;
use crate::gitops::hook::Kind;
use crate::gitops::place::Place;
use crate::gitops::push;

/// The most that is read of what git tells of a push.
const MAX_INPUT_BYTES: u64 = 4 << 20;

/// Do what a hook is to do: called by the hooks that `install-hook` writes.
///
/// Reads lines `OLD NEW REF` from the standard input, as git writes them, in the folder of the repository.
#[derive(Debug, clap::Args)]
pub(crate) struct ReceiveArgs {
    /// Which hook it is called by.
    #[arg(value_enum)]
    kind: Kind,
}

pub(crate) async fn run(context: &Context, args: &ReceiveArgs) -> CommandResult {
    let mut text = String::new();
    let mut input = std::io::stdin().lock().take(MAX_INPUT_BYTES);
    input.read_to_string(&mut text).or_failed(|| "what was pushed can not be read".to_owned())?;
    let updates = push::updates(&text).or_failed(|| "what was pushed can not be understood".to_owned())?;
    let quarantine = env_vars::read("GIT_QUARANTINE_PATH").map(std::path::PathBuf::from);
    let place = Place::open(&context.settings.directory)?.with_quarantine(quarantine)?;
    let force = env_vars::push_options().iter().any(|option| option == FORCE_OPTION);
    match args.kind {
        Kind::PreReceive => hook::before(context, &place, &updates, force).await,
        Kind::PostReceive => hook::after(context, &place, &updates, force).await,
    }
}
