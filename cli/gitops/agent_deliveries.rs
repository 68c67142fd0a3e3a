//! An agent that a receiver on AWS tells of pushes.

use std::path::Path;
use std::time::Duration;

use liminal_functions::ports::Receipt;
use liminal_schemas::definition::EnvironmentSettings;

use super::agent::Agent;
use super::deliveries::Deliveries;
use super::place::Place;
use super::targets;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;

/// How long to wait before a queue is asked again that can not be used.
const PAUSE: Duration = Duration::from_secs(10);

/// What is said of the queue is said under this name.
const ABOUT: &str = "deliveries";

impl Agent<'_> {
    /// The queue of the receiver, as the definition on the default branch has its environment now. While that can not be
    /// told, it is the one that was known.
    pub(super) async fn find_deliveries(&self, home: &Path, known: Option<Deliveries>) -> Option<Deliveries> {
        let environment = self.options.deliveries.as_ref()?;
        let Some(listed) = listed(home) else { return known };
        match Deliveries::find(known, environment, &listed).await {
            Ok(deliveries) => Some(deliveries),
            Err(error) => {
                self.complain(&error);
                None
            }
        }
    }

    /// Waits until the receiver tells of a push; for ever where there is none.
    pub(super) async fn told(&self, deliveries: Option<&Deliveries>) -> Vec<Receipt> {
        let Some(deliveries) = deliveries else { return std::future::pending().await };
        loop {
            match deliveries.receive().await {
                Ok(taken) => {
                    self.say(ABOUT, "", "");
                    if !taken.is_empty() {
                        return taken;
                    }
                }
                Err(error) => {
                    self.complain(
                        &CliError::because("the receiver can not be listened to", &error).hint(
                            "`liminal gitops receiver create` makes it; the remote is fetched by itself meanwhile",
                        ),
                    );
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Lets messages go after the pass that they asked for. They come again soon when the remote could not be fetched, or
    /// somebody else was at it.
    pub(super) async fn let_go(&self, deliveries: Option<&Deliveries>, held: Vec<Receipt>, outcome: &CommandResult) {
        let Some(deliveries) = deliveries.filter(|_| !held.is_empty()) else { return };
        let unfetched = self.status.lock().error.is_some();
        let busy = matches!(outcome, Ok(ExitCode::LockHeld));
        let let_go = if unfetched || busy { deliveries.put_back(&held).await } else { deliveries.done(&held).await };
        if let Err(error) = let_go {
            // They come again by themselves, for a pass that changes nothing.
            self.complain(&CliError::because("the receiver was not told that its messages are seen to", &error));
        }
    }

    fn complain(&self, error: &CliError) {
        self.say(ABOUT, "", &error.render(&self.context.printer.err));
    }
}

/// The environments that the definition on the default branch lists; none while that can not be told, which the pass says.
fn listed(home: &Path) -> Option<Vec<EnvironmentSettings>> {
    let place = Place::open(home).ok()?;
    let commit = place.repository.branch_commit(&place.repository.default_branch()?)?;
    targets::listed(&place, &commit).ok()
}
