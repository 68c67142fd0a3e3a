//! From commit to commit: settles what needs no process, sends messages for what does, ends the run.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use liminal_schemas::keys;
use liminal_schemas::message::StepMessage;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::StepName;
use liminal_schemas::run::Commit;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::run::RunResult;
use liminal_schemas::run::RunStatus;
use liminal_schemas::run::SkipReason;
use liminal_schemas::step::FailureClass;
use liminal_schemas::time::UtcTime;
use liminal_schemas::unit::Unit;
use liminal_schemas::unit::UnitRef;

use super::Runner;
use super::context::RunContext;
use super::error::RunnerError;
use super::event::RunEvent;
use super::work::Work;
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
use crate::protocol::planted::Bug;
use crate::protocol::planted::is_planted;

/// How far a step was brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Brought {
    /// It is settled.
    Settled,
    /// It got a message.
    Sent,
    /// It waits for others.
    Waiting,
}

impl<P: Platform> Runner<P> {
    /// Goes on from steps that are settled: their children are settled in turn, or get a message.
    pub(super) async fn settle_onwards(&self, context: &RunContext, from: Vec<StepName>) -> Result<(), RunnerError> {
        self.settle_from(context, from, BTreeSet::new()).await
    }

    /// The same, where some steps got their messages. A step after many that are settled here gets one message, not many.
    async fn settle_from(
        &self,
        context: &RunContext,
        from: Vec<StepName>,
        mut sent: BTreeSet<StepName>,
    ) -> Result<(), RunnerError> {
        let mut open = from;
        let mut gone_through = BTreeSet::new();
        while let Some(step) = open.pop() {
            if !gone_through.insert(step.clone()) {
                continue;
            }
            for child in context.graph.children(&step) {
                if sent.contains(child) {
                    continue;
                }
                match self.settle_or_send(context, child).await? {
                    Brought::Settled => open.push(child.clone()),
                    Brought::Sent => drop(sent.insert(child.clone())),
                    Brought::Waiting => {}
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
        let (mut settled, mut sent) = (Vec::new(), BTreeSet::new());
        for (step, reason) in advance.skip {
            self.skip(context, &Unit::step(step.clone()), reason).await?;
            settled.push(step);
        }
        for step in advance.ready {
            match self.settle_or_send(context, &step).await? {
                Brought::Settled => settled.push(step),
                Brought::Sent => {
                    // Those of its items may be lost as well.
                    if let Some((spec, map)) = context.spec(&step).and_then(|spec| Some((spec, spec.map.as_ref()?)))
                        && let Some(record) = self.map_record(context, &step).await?
                    {
                        self.send_open_items(context, &step, spec, map, &record).await?;
                    }
                    sent.insert(step);
                }
                Brought::Waiting => {}
            }
        }
        self.settle_from(context, settled, sent).await
    }

    /// Settles a step inline, if it can be and is not yet. Otherwise it gets a message, if it is ready.
    async fn settle_or_send(&self, context: &RunContext, step: &StepName) -> Result<Brought, RunnerError> {
        let Some(spec) = context.spec(step) else { return Ok(Brought::Waiting) };
        if !self.load_parents(context, step).await? {
            return Ok(Brought::Waiting);
        }
        if self.commit_of(context, step).await?.is_some() {
            return Ok(Brought::Settled);
        }
        match context.next(step, spec) {
            Next::Settled => Ok(Brought::Settled),
            Next::Wait(_) => Ok(Brought::Waiting),
            Next::Skip(reason) => {
                self.skip(context, &Unit::step(step.clone()), reason).await?;
                Ok(Brought::Settled)
            }
            Next::Start => {
                let work = Work::step(context, step, spec);
                if let Some(late) = self.passed_deadline(context, spec) {
                    self.end_early(context, late, Some(step)).await?;
                    return Ok(Brought::Settled);
                }
                if self.settle_inline(context, &work).await?.is_none() {
                    return Ok(Brought::Settled);
                }
                self.send(context, &work.unit, Duration::ZERO).await?;
                Ok(Brought::Sent)
            }
        }
    }

    /// Sees to it that the commits of a step's parents are in memory; false as soon as one of them is not settled.
    pub(super) async fn load_parents(&self, context: &RunContext, step: &StepName) -> Result<bool, RunnerError> {
        for parent in context.graph.parents(step) {
            if self.commit_of(context, parent).await?.is_none() && !is_planted(Bug::ParentsAreNotWaitedFor) {
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

    /// Asks for a step or an item to be run.
    pub(super) async fn send(&self, context: &RunContext, unit: &Unit, delay: Duration) -> Result<(), RunnerError> {
        let mut message = StepMessage::new(context.pipeline().clone(), context.run().clone(), unit.clone());
        let Some(spec) = context.spec(&unit.step) else { return Ok(()) };
        let name = self.platform.queue_for(context.pipeline(), context.run(), &unit.step, spec);
        let queue = self.platform.queue();
        if queue.max_delay().is_some_and(|longest| longest < delay) {
            let millis = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
            message = message.not_before(self.platform.clock().now().plus_millis(millis));
        }
        queue.send(&name, &message.body(), delay).await?;
        Ok(())
    }

    /// A commit of a step or an item that ends now, with nothing in it yet.
    pub(super) fn blank(&self, context: &RunContext, unit: &Unit, status: CommitStatus, since: UtcTime) -> Commit {
        let (run, nonce) = (context.run().clone(), self.platform.nonces().nonce());
        Commit::blank(run, unit.clone(), status, nonce, (since, self.platform.clock().now()))
    }

    /// Ends a step or an item. Exactly one commit of it is ever written; it ends as that one says, whoever wrote it.
    pub(super) async fn settle(&self, context: &RunContext, commit: Commit) -> Result<Winner, RunnerError> {
        let key = keys::commit(context.pipeline(), context.run(), UnitRef { step: &commit.step, item: commit.item });
        let store = self.platform.store();
        if is_planted(Bug::CommitsReplace) {
            store.delete(&key).await?;
        }
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
            self.events.send(RunEvent::Settled {
                unit: Unit { step: commit.step, item: commit.item },
                status: commit.status,
                seconds: commit.ended_at.seconds_since(commit.started_at),
                cached_from: commit.cached_from,
            });
        }
        // Items are many, and nobody else waits for one of them: they are not kept in memory.
        match there.item {
            None => drop(context.remember(there)),
            Some(item) => context.note_settled_item(Unit::item(there.step, item), there.status),
        }
        Ok(winner)
    }

    pub(super) async fn skip(&self, context: &RunContext, unit: &Unit, reason: SkipReason) -> Result<(), RunnerError> {
        let mut commit = self.blank(context, unit, CommitStatus::Skipped, self.platform.clock().now());
        commit.skipped = Some(reason);
        self.settle(context, commit).await?;
        Ok(())
    }

    /// Fails a step one of whose records makes no sense.
    pub(super) async fn fail_poisoned(
        &self,
        context: &RunContext,
        unit: &Unit,
        problem: String,
    ) -> Result<(), RunnerError> {
        self.fail(context, unit, self.platform.clock().now(), failure(FailureClass::Poison, problem)).await
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
                if is_planted(Bug::RunsEndEarly) {
                    break;
                }
                return Ok(());
            }
        }
        let status = match context.outcome(context.release.steps.keys()) {
            Some(status) => status,
            None if is_planted(Bug::RunsEndEarly) => RunStatus::Succeeded,
            None => return Ok(()),
        };
        let commits = context.release.steps.keys().filter_map(|step| context.commit(step));
        let result = RunResult {
            schema: RUN_SCHEMA,
            run: context.run().clone(),
            status,
            steps: commits.map(|commit| (commit.step.clone(), commit.status)).collect(),
            reason: None,
            ended_at: self.platform.clock().now(),
        };
        self.write_result(context.pipeline(), result).await
    }

    /// Writes down how a run ended, unless that is known. Exactly one result of it is ever written.
    pub(super) async fn write_result(&self, pipeline: &PipelineName, result: RunResult) -> Result<(), RunnerError> {
        let (run, status) = (result.run.clone(), result.status);
        let key = keys::result(pipeline, &run);
        let put = self.platform.store().put_if_absent(&key, &documents::encode(&key, &result)?).await?;
        match put {
            Put::Created(_) => {
                if let Some(context) = self.known(pipeline, &run) {
                    context.remember_result(result);
                }
                self.events.send(RunEvent::RunFinished { status });
            }
            Put::Exists => drop(self.result(pipeline, &run).await?),
        }
        // Whoever starts what waits for the end of this run takes its mark away after that.
        if self.platform.store().exists(&keys::listeners(pipeline)).await? {
            return Ok(());
        }
        self.unmark(pipeline, &run).await
    }
}
