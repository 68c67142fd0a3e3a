//! What became of a commit, as a git note beside it.

use liminal_infra::gitops::notes;

use super::place::Place;
use super::place::short;
use super::reconcile::Outcome;
use super::reconcile::Wanted;
use crate::app::Context;
use crate::error::CliError;

/// Notes what became of a commit, where the repository is to have notes. One that can not be written keeps nothing back.
pub(crate) fn write(context: &Context, place: &Place, wanted: &Wanted<'_>, outcome: &Outcome) {
    let repository = place.repository.git();
    let Some((_, description)) = outcome.as_status().filter(|_| notes::are_kept(repository)) else { return };
    let (what, trigger) = (outcome.as_str(), wanted.trigger.as_str());
    let text = match outcome {
        Outcome::Applied | Outcome::Unchanged | Outcome::Broken => format!("{what} by {trigger}"),
        Outcome::Refused(_)
        | Outcome::Denied(_)
        | Outcome::Failed(_)
        | Outcome::Waiting(_)
        | Outcome::Skipped(_)
        | Outcome::Busy(_) => format!("{what} by {trigger}: {description}"),
    };
    if let Err(error) = notes::note(repository, wanted.commit, wanted.target.environment.as_str(), &text) {
        let failed = format!("no note of commit {} is written", short(wanted.commit));
        context.printer.warn(&CliError::because(failed, &error).summary());
    }
}
