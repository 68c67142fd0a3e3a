//! From commit to commit: settles what needs no process, sends messages for what does, ends the run.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use liminal_schemas::keys;
use liminal_schemas::message::StepMessage;
use liminal_schemas::name::StepName;
use liminal_schemas::run::Commit;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::run::RunResult;
use liminal_schemas::run::SkipReason;
use liminal_schemas::step::FailureClass;
use liminal_schemas::time::UtcTime;

use super::Runner;
use super::context::RunContext;
use super::error::RunnerError;
use super::event::RunEvent;
use crate::documents;
use crate::ports::Clock;
use crate::ports::Nonces;
use crate::ports::ObjectStore;
use crate::ports::Platform;
use crate::ports::Put;
use crate::ports::Queue;
use crate::protocol::advance::Next;
use crate::protocol::attempt::failure;
use crate::protocol::commit::Winner;
use crate::protocol::commit::winner;

impl<P: Platform> Runner<P> {
    /// Goes on from steps that are settled: their children are settled in turn, or get a message.
    pub(super) async fn settle_onwards(&self, context: &RunContext, from: Vec<StepName>) -> Result<(), RunnerError> {
        let mut open = from;
        let mut gone_through = BTreeSet::new();
        while let Some(step) = open.pop() {
            if !gone_through.insert(step.clone()) {
                continue;
            }
            for child in context.graph.children(&step) {
                if self.settle_or_send(context, child).await? {
                    open.push(child.clone());
                }
            }
        }
        self.finish(context).await
    }

    /// Does what is to be done about every step.
    pub(super) async fn settle_frontier(&self, context: &RunContext) -> Result<(), RunnerError> {
        self.load_commits(context).await?;
        for commit in context.release.steps.keys().filter_map(|step| context.commit(step)) {
            self.leave_again(context, &commit).await?;
        }
        let advance = context.advance();
        let mut settled = Vec::new();
        for (step, reason) in advance.skip {
            self.skip(context, &step, reason).await?;
            settled.push(step);
        }
        for step in advance.ready {
            if self.settle_or_send(context, &step).await? {
                settled.push(step);
            }
        }
        self.settle_onwards(context, settled).await
    }

    /// Whether the step is settled: before, or inline now. Otherwise it gets a message, if it is ready.
    async fn settle_or_send(&self, context: &RunContext, step: &StepName) -> Result<bool, RunnerError> {
        let Some(spec) = context.spec(step) else { return Ok(false) };
        if !self.load_parents(context, step).await? {
            return Ok(false);
        }
        if self.commit_of(context, step).await?.is_some() {
            return Ok(true);
        }
        match context.next(step, spec) {
            Next::Settled => Ok(true),
            Next::Wait(_) => Ok(false),
            Next::Skip(reason) => {
                self.skip(context, step, reason).await?;
                Ok(true)
            }
            Next::Start => {
                if let Some(late) = self.passed_deadline(context, spec) {
                    self.end_early(context, late, Some(step)).await?;
                    return Ok(true);
                }
                if self.settle_inline(context, step, spec).await?.is_none() {
                    return Ok(true);
                }
                self.send(context, step, Duration::ZERO).await?;
                Ok(false)
            }
        }
    }

    /// Sees to it that the commits of a step's parents are in memory; false as soon as one of them is not settled.
    pub(super) async fn load_parents(&self, context: &RunContext, step: &StepName) -> Result<bool, RunnerError> {
        for parent in context.graph.parents(step) {
            if self.commit_of(context, parent).await?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The commit of a step, if it is settled.
    pub(super) async fn commit_of(
        &self,
        context: &RunContext,
        step: &StepName,
    ) -> Result<Option<Arc<Commit>>, RunnerError> {
        if let Some(commit) = context.commit(step) {
            return Ok(Some(commit));
        }
        let key = keys::commit(context.pipeline(), context.run(), step);
        let commit: Option<documents::Versioned<Commit>> =
            documents::read(self.platform.store(), &key, RUN_SCHEMA).await?;
        Ok(commit.map(|commit| context.remember(commit.document)))
    }

    /// Asks for a step to be run.
    pub(super) async fn send(&self, context: &RunContext, step: &StepName, delay: Duration) -> Result<(), RunnerError> {
        let mut message = StepMessage::new(context.pipeline().clone(), context.run().clone(), step.clone());
        let Some(spec) = context.spec(step) else { return Ok(()) };
        let name = self.platform.queue_for(context.pipeline(), context.run(), step, spec);
        let queue = self.platform.queue();
        if queue.max_delay().is_some_and(|longest| longest < delay) {
            let millis = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
            message = message.not_before(self.platform.clock().now().plus_millis(millis));
        }
        queue.send(&name, &message.body(), delay).await?;
        Ok(())
    }

    /// A commit of a step that ends now, with nothing in it yet.
    pub(super) fn blank(&self, context: &RunContext, step: &StepName, status: CommitStatus, since: UtcTime) -> Commit {
        Commit {
            schema: RUN_SCHEMA,
            run: context.run().clone(),
            step: step.clone(),
            status,
            nonce: self.platform.nonces().nonce(),
            attempt: None,
            cache_key: None,
            inputs: Default::default(),
            outputs: Default::default(),
            metrics: Default::default(),
            checks: Vec::new(),
            model: None,
            cached_from: None,
            skipped: None,
            failure: None,
            started_at: since,
            ended_at: self.platform.clock().now(),
        }
    }

    /// Ends a step. Exactly one commit per step is ever written; the step ends as that one says, whoever wrote it.
    pub(super) async fn settle(&self, context: &RunContext, commit: Commit) -> Result<Winner, RunnerError> {
        let key = keys::commit(context.pipeline(), context.run(), &commit.step);
        let store = self.platform.store();
        let put = store.put_if_absent(&key, &documents::encode(&key, &commit)?).await?;
        let there = match &put {
            Put::Created(_) => commit.clone(),
            Put::Exists => {
                let there: Option<documents::Versioned<Commit>> = documents::read(store, &key, RUN_SCHEMA).await?;
                there.map_or_else(|| commit.clone(), |there| there.document)
            }
        };
        let winner = winner(&put, &there, &commit.nonce);
        if winner == Winner::Ours {
            self.events.send(RunEvent::StepSettled {
                step: commit.step,
                status: commit.status,
                seconds: commit.ended_at.seconds_since(commit.started_at),
                cached_from: commit.cached_from,
            });
        }
        context.remember(there);
        Ok(winner)
    }

    pub(super) async fn skip(
        &self,
        context: &RunContext,
        step: &StepName,
        reason: SkipReason,
    ) -> Result<(), RunnerError> {
        let mut commit = self.blank(context, step, CommitStatus::Skipped, self.platform.clock().now());
        commit.skipped = Some(reason);
        self.settle(context, commit).await?;
        Ok(())
    }

    /// Fails a step one of whose records makes no sense.
    pub(super) async fn fail_poisoned(
        &self,
        context: &RunContext,
        step: &StepName,
        problem: String,
    ) -> Result<(), RunnerError> {
        let mut commit = self.blank(context, step, CommitStatus::Failed, self.platform.clock().now());
        commit.failure = Some(failure(FailureClass::Poison, problem));
        self.settle(context, commit).await?;
        Ok(())
    }

    /// Ends the run, if every step is settled.
    pub(super) async fn finish(&self, context: &RunContext) -> Result<(), RunnerError> {
        if context.result().is_some() {
            return Ok(());
        }
        // A step is settled only after all before it, so the run goes on as long as one of the last steps is open.
        let steps = context.release.steps.keys();
        let last = steps.clone().filter(|step| context.graph.children(step).next().is_none());
        for step in last.chain(steps) {
            if self.commit_of(context, step).await?.is_none() {
                return Ok(());
            }
        }
        let Some(status) = context.outcome(context.release.steps.keys()) else { return Ok(()) };
        let commits = context.release.steps.keys().filter_map(|step| context.commit(step));
        let result = RunResult {
            schema: RUN_SCHEMA,
            run: context.run().clone(),
            status,
            steps: commits.map(|commit| (commit.step.clone(), commit.status)).collect(),
            ended_at: self.platform.clock().now(),
        };
        let key = keys::result(context.pipeline(), context.run());
        let put = self.platform.store().put_if_absent(&key, &documents::encode(&key, &result)?).await?;
        match put {
            Put::Created(_) => {
                context.remember_result(result);
                self.events.send(RunEvent::RunFinished { status });
            }
            Put::Exists => {
                self.result(context.pipeline(), context.run()).await?;
            }
        }
        self.unmark(context.pipeline(), context.run()).await
    }
}
