//! Fargate tasks carried out on this machine, for emulators of AWS that only record them.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use liminal_functions::executor::Stop;
use liminal_infra::aws::RunningTask;
use liminal_infra::aws::running_tasks;
use liminal_infra::aws::stop_task;
use liminal_schemas::aws::Arch;
use liminal_schemas::aws::names;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Aws;
use super::RunnerFile;
use crate::app::Context;
use crate::error::CliError;
use crate::error::While as _;

/// How often it is looked for tasks.
const POLL: Duration = Duration::from_millis(500);

/// A task that was carried out.
struct Ended {
    arn: String,
    how: String,
}

impl Aws {
    /// Carries out the tasks that are said to run, until nobody wants it any longer; with `once`, those that are there now.
    pub(in crate::platform) async fn emulate_tasks(
        &self,
        context: &Context,
        once: bool,
        mut stop: watch::Receiver<Stop>,
    ) -> Result<(), CliError> {
        let runner = RunnerFile::find(own_arch())?;
        let cluster = self.spec.fargate.cluster.as_deref().unwrap_or(names::DEFAULT_CLUSTER);
        let mut taken: BTreeSet<String> = BTreeSet::new();
        let mut under_way = JoinSet::new();
        loop {
            let tasks = running_tasks(&self.site, cluster).await;
            let tasks = tasks.or_failed(|| format!("the tasks of cluster {cluster} can not be listed"))?;
            for task in tasks.into_iter().filter(|task| taken.insert(task.arn.clone())) {
                context.printer.say(&format!("task {}: {}", short(&task.arn), task.command.join(" ")));
                under_way.spawn(carry_out(runner.clone(), task, self.spec.region.clone()));
            }
            if once && under_way.is_empty() {
                return Ok(());
            }
            tokio::select! {
                Some(ended) = under_way.join_next() => {
                    let ended = ended.or_failed(|| "a task can not be waited for".to_owned())?;
                    context.printer.say(&format!("task {}: {}", short(&ended.arn), ended.how));
                    let stopped = stop_task(&self.site, cluster, &ended.arn, &ended.how).await;
                    stopped.or_failed(|| format!("the end of task {} can not be told", short(&ended.arn)))?;
                }
                () = tokio::time::sleep(POLL) => {}
                // Dropping them ends the programs.
                _ = stop.wait_for(|stop| *stop != Stop::No) => return Ok(()),
            }
        }
    }
}

async fn carry_out(runner: RunnerFile, task: RunningTask, region: String) -> Ended {
    let mut command = Command::new(&runner.path);
    command.args(&task.command).envs(&task.environment).env("AWS_REGION", region);
    // What it prints it also keeps in the bucket, where `liminal logs` reads it.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let how = match command.status().await {
        Ok(status) => format!("ended with {status}"),
        Err(error) => format!("{} did not start: {error}", runner.path.display()),
    };
    Ended { arn: task.arn, how }
}

/// What this machine runs.
const fn own_arch() -> Arch {
    if cfg!(target_arch = "aarch64") { Arch::Arm64 } else { Arch::X86_64 }
}

/// The part of a task's ARN that tells it from others.
fn short(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
