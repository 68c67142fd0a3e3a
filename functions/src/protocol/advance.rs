//! Which steps come next, and how the run ended.

use std::collections::BTreeMap;

use liminal_schemas::graph::Graph;
use liminal_schemas::name::StepName;
use liminal_schemas::run::Commit;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::run::RunStatus;
use liminal_schemas::run::SkipReason;
use liminal_schemas::step::FailureClass;
use liminal_schemas::step::StepSpec;

use super::planted::Bug;
use super::planted::is_planted;

/// What the decisions need to know of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// How the step ended.
    pub status: CommitStatus,
    /// Why it was skipped, if it was.
    pub skipped: Option<SkipReason>,
    /// Whether it ended because somebody cancelled the run.
    pub cancelled: bool,
}

impl From<&Commit> for Settled {
    fn from(commit: &Commit) -> Self {
        let cancelled = commit.skipped == Some(SkipReason::Cancelled)
            || commit.failure.as_ref().is_some_and(|failure| failure.class == FailureClass::Cancelled);
        Self { status: commit.status, skipped: commit.skipped.clone(), cancelled }
    }
}

/// What is to be done about one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it is settled.
    Settled,
    /// Nothing yet: this parent is not settled.
    Wait(StepName),
    /// It runs.
    Start,
    /// It does not run.
    Skip(SkipReason),
}

/// What is to be done about a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advance {
    /// The steps that run now.
    pub ready: Vec<StepName>,
    /// The steps that do not run, and why.
    pub skip: Vec<(StepName, SkipReason)>,
    /// How the run ended, if it did.
    pub finished: Option<RunStatus>,
}

/// Decides about every step, and about the run.
pub fn advance(graph: &Graph, steps: &BTreeMap<StepName, StepSpec>, commits: &BTreeMap<StepName, Settled>) -> Advance {
    let mut advance = Advance { finished: outcome(steps.keys(), commits), ..Advance::default() };
    for (name, spec) in steps {
        match next(graph, name, spec, commits) {
            Next::Settled | Next::Wait(_) => {}
            Next::Start => advance.ready.push(name.clone()),
            Next::Skip(reason) => advance.skip.push((name.clone(), reason)),
        }
    }
    advance
}

/// Decides about one step. Of `commits`, only those of the step and its parents matter.
///
/// A step under `finally:` runs whatever came of the others, unless data that it needs was never made. Any other step
/// does not run when one before it failed, was rejected, or did not run for such a reason; a step before it whose `when:`
/// was false keeps it from running only if it needs that step's data.
pub fn next(graph: &Graph, name: &StepName, spec: &StepSpec, commits: &BTreeMap<StepName, Settled>) -> Next {
    if commits.contains_key(name) {
        return Next::Settled;
    }
    if is_planted(Bug::ParentsAreNotWaitedFor) {
        return Next::Start;
    }
    if let Some(open) = graph.parents(name).find(|parent| !commits.contains_key(*parent)) {
        return Next::Wait(open.clone());
    }
    let data_parents = spec.data_parents();
    for parent in graph.parents(name) {
        let Some(settled) = commits.get(parent) else { return Next::Wait(parent.clone()) };
        let needs_data = data_parents.contains(parent);
        if spec.finally && !needs_data {
            continue;
        }
        if let Some(reason) = obstacle(parent, settled, needs_data) {
            return Next::Skip(reason);
        }
    }
    Next::Start
}

/// Why a step can not run after a parent that ended like this, if it can not.
fn obstacle(parent: &StepName, settled: &Settled, needs_data: bool) -> Option<SkipReason> {
    match settled.status {
        CommitStatus::Succeeded | CommitStatus::Cached => None,
        CommitStatus::Failed | CommitStatus::Rejected => Some(SkipReason::Upstream(parent.clone())),
        CommitStatus::Skipped => match &settled.skipped {
            Some(SkipReason::Upstream(cause)) => Some(SkipReason::Upstream(cause.clone())),
            Some(SkipReason::Cancelled) => Some(SkipReason::Cancelled),
            Some(SkipReason::Deadline) => Some(SkipReason::Deadline),
            Some(SkipReason::Condition | SkipReason::Input(_) | SkipReason::Stopped) | None => {
                needs_data.then(|| SkipReason::Input(parent.clone()))
            }
        },
    }
}

/// How the given steps came out together, once all of them are settled. Skipped steps alone make no run fail.
pub fn outcome<'a>(
    steps: impl IntoIterator<Item = &'a StepName>,
    commits: &BTreeMap<StepName, Settled>,
) -> Option<RunStatus> {
    let mut worst = RunStatus::Succeeded;
    for step in steps {
        let settled = commits.get(step)?;
        let status = match settled.status {
            _ if settled.cancelled => RunStatus::Cancelled,
            // Nothing else may have failed: a run that was too late has.
            _ if settled.skipped == Some(SkipReason::Deadline) => RunStatus::Failed,
            CommitStatus::Failed => RunStatus::Failed,
            CommitStatus::Rejected => RunStatus::Rejected,
            CommitStatus::Succeeded | CommitStatus::Cached | CommitStatus::Skipped => RunStatus::Succeeded,
        };
        // The order of the variants is the order of severity.
        worst = worst.max(status);
    }
    Some(worst)
}
