//! Follows a run that others carry forward, by what it leaves in the store.

use std::collections::BTreeSet;
use std::time::Duration;

use liminal_functions::executor::Stop;
use liminal_functions::ports::ObjectStore;
use liminal_functions::runner::RunEvent;
use liminal_schemas::keys;
use liminal_schemas::name::StepName;
use liminal_schemas::run::AttemptFailure;
use liminal_schemas::run::Commit;
use liminal_schemas::run::RunResult;
use liminal_schemas::unit::Unit;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use crate::error::CliError;
use crate::records::Records;
use crate::records::RunName;

/// What was told of a run already.
#[derive(Default)]
struct Told {
    started: BTreeSet<(StepName, u32)>,
    failed: BTreeSet<(StepName, u32)>,
    settled: BTreeSet<StepName>,
    expanded: BTreeSet<StepName>,
}

/// Tells what happens in a run until it ends, or nobody wants to know any more: none then.
pub(super) async fn follow<S: ObjectStore>(
    records: &Records<'_, S>,
    name: &RunName,
    every: Duration,
    events: UnboundedSender<RunEvent>,
    mut stop: watch::Receiver<Stop>,
) -> Result<Option<RunResult>, CliError> {
    let mut told = Told::default();
    loop {
        // The end is looked for before all else, so that nothing that came before it is left out.
        let result = records.result(name).await?;
        for event in told.news(records, name).await? {
            // Nobody listening is no error.
            let _ = events.send(event);
        }
        if let Some(result) = result {
            let _ = events.send(RunEvent::RunFinished { status: result.status });
            return Ok(Some(result));
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            asked = async { stop.wait_for(|stop| *stop != Stop::No).await.is_ok() } => {
                if asked {
                    return Ok(None);
                }
                tokio::time::sleep(every).await;
            }
        }
    }
}

impl Told {
    async fn news<S: ObjectStore>(
        &mut self,
        records: &Records<'_, S>,
        name: &RunName,
    ) -> Result<Vec<RunEvent>, CliError> {
        let mut news = Vec::new();
        let seen = records.steps(name).await?;
        for (step, progress) in seen {
            if let Some(settled) = progress.items {
                if !self.expanded.contains(&step)
                    && let Some(record) = records.map(name, &step).await?
                {
                    self.expanded.insert(step.clone());
                    news.push(RunEvent::Expanded { step: step.clone(), items: record.items });
                }
                news.push(RunEvent::Advanced { step: step.clone(), settled });
            }
            for attempt in progress.attempts {
                if self.started.insert((step.clone(), attempt.number)) {
                    news.push(RunEvent::Started { unit: Unit::step(step.clone()), attempt: attempt.number });
                }
                if attempt.failed && self.failed.insert((step.clone(), attempt.number)) {
                    let key = keys::attempt_failure(&name.pipeline, &name.run, &step, attempt.number);
                    if let Some(failure) = records.document::<AttemptFailure>(&key).await? {
                        let message = format!(
                            "attempt {} failed, and the step is tried again: {}",
                            attempt.number, failure.failure.message
                        );
                        news.push(RunEvent::Warning { step: Some(step.clone()), message });
                    }
                }
            }
            if progress.committed && !self.settled.contains(&step) {
                let key = keys::commit(&name.pipeline, &name.run, &step);
                if let Some(commit) = records.document::<Commit>(&key).await? {
                    self.settled.insert(step.clone());
                    news.push(RunEvent::Settled {
                        unit: Unit::step(step),
                        status: commit.status,
                        seconds: commit.ended_at.seconds_since(commit.started_at),
                        cached_from: commit.cached_from,
                    });
                }
            }
        }
        Ok(news)
    }
}
