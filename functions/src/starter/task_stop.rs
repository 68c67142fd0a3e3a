//! Fargate tasks that stopped: the attempt that one of them carried out ends with it, at once instead of with its lease.

use liminal_schemas::run::Failure;
use liminal_schemas::step::FailureClass;

use super::Report;
use super::Starter;
use super::StarterError;
use super::event::TaskStopped;
use super::source::ObjectSource;
use crate::ports::Platform;
use crate::protocol::attempt::failure;
use crate::runner::Carried;
use crate::task_command;

impl<P: Platform, O: ObjectSource> Starter<P, O> {
    /// Ends the attempt of a task that stopped without a word. A task that exits with status 0 has written down how its
    /// attempt came out, or has found that another one carries it out; so has one that is none of ours.
    pub(super) async fn end_stopped(&self, stopped: &TaskStopped, report: &mut Report) -> Result<(), StarterError> {
        if stopped.exit_code == Some(0) {
            return Ok(());
        }
        let Ok(name) = task_command::parse(&stopped.arguments) else { return Ok(()) };
        // Other environments run tasks on the same cluster, and what they are told looks alike.
        let token = task_command::token(&self.home.project, &self.home.environment, &name);
        if stopped.started_by.as_deref() != Some(task_command::started_by(&token).as_str()) {
            return Ok(());
        }
        let what = format!("task {} of {} in run {}", stopped.task, name.unit, name.run);
        let failure = why(stopped);
        let said = failure.message.clone();
        match self.runner.attempt_stopped(&name, failure).await? {
            Carried::Out => report.notes.push(format!("{what} stopped: {said}")),
            Carried::Needless(why) => report.notes.push(format!("{what} stopped, and nothing is to be done: {why}")),
        }
        Ok(())
    }
}

/// The failure of an attempt whose task stopped: the platform's, since the step's own would have been written down.
fn why(stopped: &TaskStopped) -> Failure {
    let code = stopped.code.as_deref().unwrap_or("stopped for an unknown reason");
    let mut message = format!("its Fargate task ended without a word: {code}");
    if let Some(reason) = &stopped.reason {
        message.push_str(", ");
        message.push_str(reason);
    }
    if let Some(status) = stopped.exit_code {
        message.push_str(&format!(" (exit status {status})"));
    }
    Failure { exit_code: stopped.exit_code, ..failure(FailureClass::Infrastructure, message) }
}
