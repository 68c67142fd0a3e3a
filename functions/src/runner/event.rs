//! What a run tells while it runs. Progress only: the truth is in the object store.

use std::time::Duration;

use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::run::Failure;
use liminal_schemas::run::RunStatus;
use liminal_schemas::unit::Unit;
use tokio::sync::mpsc;

/// Something happened in a run.
#[derive(Clone, Debug, PartialEq)]
pub enum RunEvent {
    /// An attempt opened.
    Started {
        /// The step, or the item.
        unit: Unit,
        /// The attempt's number, from 1.
        attempt: u32,
    },
    /// An attempt failed.
    AttemptFailed {
        /// The step, or the item.
        unit: Unit,
        /// The attempt's number.
        attempt: u32,
        /// Why it failed.
        failure: Failure,
        /// The pause before the next attempt; none when there is no next one.
        retry_in: Option<Duration>,
    },
    /// The items of a step are known.
    Expanded {
        /// The step.
        step: StepName,
        /// How many there are.
        items: u32,
    },
    /// So many items of a step are settled, as far as those tell who only look on.
    Advanced {
        /// The step.
        step: StepName,
        /// How many.
        settled: u32,
    },
    /// A step or an item is settled, by a commit of this runner.
    Settled {
        /// The step, or the item.
        unit: Unit,
        /// How it ended.
        status: CommitStatus,
        /// How long it took, its last attempt alone.
        seconds: f64,
        /// The run whose result was taken.
        cached_from: Option<RunId>,
    },
    /// The run ended.
    RunFinished {
        /// How.
        status: RunStatus,
    },
    /// Something is odd, though the run goes on.
    Warning {
        /// The step that it concerns, if it concerns one.
        step: Option<StepName>,
        /// One sentence for people.
        message: String,
    },
}

/// Where events go. Nobody listening is no error.
#[derive(Clone, Debug, Default)]
pub struct Events(Option<mpsc::UnboundedSender<RunEvent>>);

impl Events {
    /// Sends events to a channel.
    pub fn to(sender: mpsc::UnboundedSender<RunEvent>) -> Self {
        Self(Some(sender))
    }

    /// Tells nobody.
    pub fn silent() -> Self {
        Self(None)
    }

    pub(crate) fn send(&self, event: RunEvent) {
        if let Some(sender) = &self.0 {
            // The listener may have gone away, which changes nothing for the run.
            let _ = sender.send(event);
        }
    }
}
