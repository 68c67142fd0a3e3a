//! The hooks of a repository that is pushed to: what they are, and what they do.

use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use liminal_infra::gitops::decide::Decision;
use liminal_schemas::gitops::Trigger;

use super::note;
use super::place::Place;
use super::place::short;
use super::push::Update;
use super::reconcile::Outcome;
use super::reconcile::Reconciler;
use super::reconcile::Wanted;
use super::reconcile::tell;
use super::targets;
use super::targets::Unknown;
use crate::app::Context;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::error::While as _;
use crate::exit_code::ExitCode;
use crate::project;

/// The hook as it stands in a repository. It is the same in every one: the path of the program is in the repository's
/// configuration, and what was pushed comes on the standard input, so that no name of a ref ever gets near a shell.
const SCRIPT: &str = r#"#!/bin/sh
# Written by `liminal gitops install-hook`, which writes it again.
program=$(git config --get liminal.program) || program=liminal
# Git's own variables are for programs that work on this repository, which installers of packages do not.
unset $(git rev-parse --local-env-vars)
exec "$program" gitops receive KIND
"#;

/// What tells our own hooks from those of others.
const MARK: &str = "# Written by `liminal gitops install-hook`";

/// The key of git's configuration that names the program which hooks start.
pub(crate) const PROGRAM_KEY: &str = "liminal.program";

/// The option of `git push -o` that passes the guards by.
pub(crate) const FORCE_OPTION: &str = "liminal-force";

/// How long a push waits for somebody else who applies to the same environment.
const LOCK_TIMEOUT: Duration = Duration::from_secs(120);

/// Which hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Before refs move: what it refuses is not pushed.
    PreReceive,
    /// After refs moved.
    PostReceive,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::PreReceive => "pre-receive",
            Self::PostReceive => "post-receive",
        }
    }
}

/// Writes a hook into a repository. One that somebody else wrote stays, and is an error.
pub(crate) fn install(repository: &Path, kind: Kind) -> Result<PathBuf, CliError> {
    let folder = repository.join("hooks");
    let path = folder.join(kind.as_str());
    match std::fs::read_to_string(&path) {
        Ok(text) if !text.contains(MARK) => {
            return Err(CliError::new(format!("{} is there already, and is not liminal's", path.display()))
                .hint(format!("call `liminal gitops receive {}` from it, with its standard input", kind.as_str()))
                .hint("or move it away, and install again"));
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(CliError::because(format!("{} can not be read", path.display()), &error)),
    }
    let failed = || format!("{} can not be written", path.display());
    std::fs::create_dir_all(&folder).or_failed(failed)?;
    let mut file = tempfile::NamedTempFile::new_in(&folder).or_failed(failed)?;
    std::io::Write::write_all(&mut file, SCRIPT.replace("KIND", kind.as_str()).as_bytes()).or_failed(failed)?;
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    file.as_file().set_permissions(permissions).or_failed(failed)?;
    file.persist(&path).or_failed(failed)?;
    Ok(path)
}

/// Applies what was pushed. Every environment gets its turn, whatever becomes of the others.
pub(crate) async fn after(context: &Context, place: &Place, updates: &[Update], force: bool) -> CommandResult {
    let mut exit = ExitCode::Ok;
    let stopped = AtomicBool::new(false);
    for update in updates {
        let Some(targets) = find(context, place, update, &mut exit) else { continue };
        for (target, commit) in &targets {
            let (trigger, lock_timeout) = (Trigger::Hook, LOCK_TIMEOUT);
            let wanted = Wanted { target, commit, force, trigger, lock_timeout };
            let outcome = match Reconciler::connect(context, place, &wanted, &stopped).await {
                Ok(reconciler) => reconciler.reconcile().await,
                Err(error) => Err(error),
            };
            let code = match outcome {
                Ok(outcome) => {
                    note::write(context, place, &wanted, &outcome);
                    tell(context, &wanted, &outcome)
                }
                Err(error) => {
                    context.printer.complain(&error.render(&context.printer.err));
                    error.exit
                }
            };
            exit = worse(exit, code);
        }
    }
    Ok(exit)
}

/// Checks what is about to be pushed, and refuses what could not be applied.
pub(crate) async fn before(context: &Context, place: &Place, updates: &[Update], force: bool) -> CommandResult {
    let mut exit = ExitCode::Ok;
    let stopped = AtomicBool::new(false);
    for update in updates {
        let Some(targets) = find(context, place, update, &mut exit) else { continue };
        for (target, commit) in &targets {
            let (trigger, lock_timeout) = (Trigger::Hook, LOCK_TIMEOUT);
            let wanted = Wanted { target, commit, force, trigger, lock_timeout };
            let reconciler = Reconciler::connect(context, place, &wanted, &stopped).await?;
            let outcome = match reconciler.decide().await?.0 {
                Decision::Refuse(refusal) => Some(Outcome::Refused(refusal)),
                Decision::Skip(_) => None,
                Decision::Act(_) => match reconciler.read()? {
                    None => Some(Outcome::Broken),
                    Some(project) => {
                        let plan = reconciler.plan(&project).await?;
                        reconciler.check_policies(&project, &plan).err().map(Outcome::Denied)
                    }
                },
            };
            match outcome {
                Some(outcome) => exit = worse(exit, tell(context, &wanted, &outcome)),
                None => context.printer.data(&format!("{}: commit {} is fine\n", target.environment, short(commit))),
            }
        }
    }
    Ok(exit)
}

/// The environments that follow a branch which moves, with the commit it moves to. None after saying why there are none.
fn find<'u>(
    context: &Context,
    place: &Place,
    update: &'u Update,
    exit: &mut ExitCode,
) -> Option<Vec<(liminal_schemas::definition::EnvironmentSettings, &'u str)>> {
    let Some(commit) = update.commit.as_deref() else {
        context
            .printer
            .data(&format!("branch {} is gone: environments that follow it stay as they are\n", update.branch));
        return None;
    };
    match targets::following(place, &update.branch, commit) {
        Ok(targets) if targets.is_empty() => {
            context.printer.data(&format!("no environment follows branch {}\n", update.branch));
            None
        }
        Ok(targets) => Some(targets.into_iter().map(|target| (target, commit)).collect()),
        Err(Unknown::Broken(report)) => {
            project::show(context, &report);
            let error = CliError::new(format!("the definition at commit {} is broken", short(commit)))
                .hint("what is live stays as it is; push a commit that mends the definition");
            context.printer.complain(&error.render(&context.printer.err));
            *exit = worse(*exit, ExitCode::Error);
            None
        }
        Err(Unknown::Unreadable(error)) => {
            context.printer.complain(&error.render(&context.printer.err));
            *exit = worse(*exit, ExitCode::Error);
            None
        }
    }
}

/// The exit code of two things that were done: that of the first which went wrong.
fn worse(one: ExitCode, other: ExitCode) -> ExitCode {
    if one == ExitCode::Ok { other } else { one }
}
