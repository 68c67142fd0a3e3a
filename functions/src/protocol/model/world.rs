//! The world of the model: what is stored, what is under way, and the graph that a run goes through.
//!
//! Every decision is made by the functions of the core; the model only brings its small states into their form.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;

use liminal_schemas::graph::Graph;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::run::AttemptFailure;
use liminal_schemas::run::AttemptRecord;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::run::RunStatus;
use liminal_schemas::run::SkipReason;
use liminal_schemas::step::Action as StepAction;
use liminal_schemas::step::FailureClass;
use liminal_schemas::step::StepSpec;
use liminal_schemas::time::UtcTime;

use super::Flaw;
use super::worker::Worker;
use crate::protocol::advance;
use crate::protocol::advance::Next;
use crate::protocol::advance::Settled;
use crate::protocol::attempt;
use crate::protocol::attempt::AttemptDecision;
use crate::protocol::attempt::History;
use crate::protocol::attempt::Retry;
use crate::protocol::sweeping;
use crate::protocol::sweeping::Care;
use crate::simulated::pipeline::release;

/// The most steps of a graph.
pub(super) const STEPS: u8 = 4;
/// The most attempts at a step: more than the bounds on faults let come about.
const ATTEMPTS: usize = 6;
/// The most copies of a message on their way at once; what is sent beyond them adds nothing that these do not do.
const COPIES: u8 = 2;

/// The moment at which everything is decided. The other times lie around it so that pauses are over and messages that a
/// sweeper may send are due.
const NOW: i64 = 10_000_000;
const LEASE_RUNS: i64 = NOW + 60_000;
const LEASE_OVER: i64 = NOW - 10_000;
const FAILED_AT: i64 = NOW - 150_000;
const READY_SINCE: i64 = NOW - 130_000;

/// How a step ended: a commit as far as the model looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ended {
    pub(super) status: CommitStatus,
    /// The step whose end kept this one from running.
    pub(super) cause: Option<u8>,
    /// The attempt that wrote it; 0 when none did.
    pub(super) attempt: u8,
}

impl Ended {
    pub(super) fn by(attempt: u8, status: CommitStatus) -> Self {
        Self { status, cause: None, attempt }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Why {
    Failed,
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Attempt {
    /// The worker that is at it, while it lives.
    pub(super) by: Option<u8>,
    pub(super) lease_over: bool,
    pub(super) failed: Option<Why>,
}

/// How many faults there were, or may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Faults {
    pub(super) crashes: u8,
    pub(super) copies: u8,
    pub(super) losses: u8,
    /// Leases that ran out though their worker was still at it.
    pub(super) overruns: u8,
}

impl Faults {
    pub(super) fn total(self) -> u8 {
        self.crashes + self.copies + self.losses + self.overruns
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) commits: [Option<Ended>; STEPS as usize],
    pub(super) attempts: [[Option<Attempt>; ATTEMPTS]; STEPS as usize],
    pub(super) result: Option<RunStatus>,
    pub(super) messages: [u8; STEPS as usize],
    pub(super) workers: [Worker; 2],
    pub(super) faults: Faults,
}

impl State {
    pub(super) fn send(&mut self, step: u8) {
        let copies = &mut self.messages[usize::from(step)];
        *copies = (*copies + 1).min(COPIES);
    }

    /// Frees a worker, done or dead, of all that it had in hand.
    pub(super) fn rest(&mut self, index: u8) {
        self.workers[usize::from(index)] = Worker::default();
        for attempt in self.attempts.iter_mut().flatten().flatten().filter(|attempt| attempt.by == Some(index)) {
            attempt.by = None;
        }
    }

    /// The same state with the workers in order: nothing depends on which of them is which.
    pub(super) fn in_order(mut self) -> Self {
        if self.workers[1] < self.workers[0] {
            self.workers.swap(0, 1);
            self.attempts.iter_mut().flatten().flatten().for_each(|attempt| attempt.by = attempt.by.map(|by| 1 - by));
        }
        self
    }
}

/// What is to be done about a step, as the core said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Nothing,
    Start,
    Write(Ended),
}

pub(super) fn bit(step: u8) -> u8 {
    1 << step
}

pub(super) fn lowest(steps: u8) -> Option<u8> {
    (0..STEPS).find(|step| steps & bit(*step) != 0)
}

/// A step, and the commits that the core is shown when it is asked about it.
type Question = (u8, [Option<Ended>; STEPS as usize]);

/// A run of one graph, with how much may go wrong in it.
pub(super) struct Model {
    specs: BTreeMap<StepName, StepSpec>,
    names: Vec<StepName>,
    graph: Graph,
    /// The parents and children of each step, as sets of bits.
    pub(super) parents: Vec<u8>,
    pub(super) children: Vec<u8>,
    /// The steps that may fail.
    pub(super) fragile: u8,
    pub(super) bounds: Faults,
    /// The most faults of all kinds.
    pub(super) total: u8,
    pub(super) flaw: Option<Flaw>,
    known_verdicts: RefCell<HashMap<Question, Verdict>>,
}

impl Model {
    pub(super) fn new(steps: &[(&'static str, StepSpec)], fragile: &[&str], bounds: Faults, total: u8) -> Self {
        let specs = release(steps.iter().cloned()).steps;
        let graph = Graph::new(&specs).expect("a graph");
        let names: Vec<StepName> = specs.keys().cloned().collect();
        let bits = |of: BTreeSet<&StepName>| {
            (0..STEPS).zip(&names).filter(|(_, name)| of.contains(name)).fold(0, |bits, (step, _)| bits | bit(step))
        };
        Self {
            parents: names.iter().map(|name| bits(graph.parents(name).collect())).collect(),
            children: names.iter().map(|name| bits(graph.children(name).collect())).collect(),
            fragile: bits(names.iter().filter(|name| fragile.contains(&name.as_str())).collect()),
            specs,
            graph,
            names,
            bounds,
            total,
            flaw: None,
            known_verdicts: RefCell::default(),
        }
    }

    pub(super) fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    pub(super) fn steps(&self) -> impl Iterator<Item = u8> + use<> {
        (0..STEPS).take(self.names.len())
    }

    /// A run that was started: the first steps have their messages.
    pub(super) fn start(&self) -> State {
        let mut state = State {
            commits: [None; STEPS as usize],
            attempts: [[None; ATTEMPTS]; STEPS as usize],
            result: None,
            messages: [0; STEPS as usize],
            workers: [Worker::default(); 2],
            faults: Faults::default(),
        };
        let first = advance::advance(&self.graph, &self.specs, &BTreeMap::new());
        for step in self.steps().filter(|step| first.ready.contains(self.name(*step))) {
            state.send(step);
        }
        state
    }

    fn name(&self, step: u8) -> &StepName {
        &self.names[usize::from(step)]
    }

    fn spec(&self, step: u8) -> &StepSpec {
        &self.specs[self.name(step)]
    }

    fn settled(&self, state: &State, known: u8) -> BTreeMap<StepName, Settled> {
        let known = self.steps().filter(|step| known & bit(*step) != 0);
        let settled = |ended: Ended| Settled {
            status: ended.status,
            skipped: ended.cause.map(|cause| SkipReason::Upstream(self.name(cause).clone())),
            cancelled: false,
        };
        known.filter_map(|step| Some((self.name(step).clone(), settled(state.commits[usize::from(step)]?)))).collect()
    }

    /// What the core says about a step to a worker that knows of these commits. Gates are decided on the spot.
    pub(super) fn next(&self, state: &State, step: u8, known: u8) -> Verdict {
        let mut commits = state.commits;
        self.steps().filter(|step| known & bit(*step) == 0).for_each(|step| commits[usize::from(step)] = None);
        *self.known_verdicts.borrow_mut().entry((step, commits)).or_insert_with(|| {
            let settled = self.settled(state, known);
            match advance::next(&self.graph, self.name(step), self.spec(step), &settled) {
                Next::Settled | Next::Wait(_) => Verdict::Nothing,
                Next::Skip(SkipReason::Upstream(cause)) => {
                    let cause = self.steps().find(|step| *self.name(*step) == cause);
                    Verdict::Write(Ended { status: CommitStatus::Skipped, cause, attempt: 0 })
                }
                Next::Skip(reason) => panic!("no graph of the model leads to {reason}"),
                Next::Start => match self.spec(step).action {
                    StepAction::Gate { .. } => Verdict::Write(Ended::by(0, CommitStatus::Rejected)),
                    StepAction::Run { .. } | StepAction::Call { .. } | StepAction::Register { .. } => Verdict::Start,
                },
            }
        })
    }

    pub(super) fn outcome(&self, state: &State, known: u8) -> Option<RunStatus> {
        advance::outcome(self.specs.keys(), &self.settled(state, known))
    }

    /// The attempts at a step up to a number, as the core sees them.
    fn history(&self, state: &State, step: u8, until: usize) -> History {
        let mut history = History::default();
        for (attempt, made) in (1..).zip(state.attempts[usize::from(step)].iter().flatten().take(until)) {
            history.attempts.push(AttemptRecord {
                schema: RUN_SCHEMA,
                run: RunId::new("20261124-000000-test").expect("valid"),
                step: self.name(step).clone(),
                item: None,
                attempt,
                nonce: String::new(),
                worker: String::new(),
                started_at: UtcTime::from_millis(READY_SINCE),
                lease_until: UtcTime::from_millis(if made.lease_over { LEASE_OVER } else { LEASE_RUNS }),
            });
            let failure = match made.failed {
                None => continue,
                Some(Why::Failed) => attempt::failure(FailureClass::User, "it failed"),
                Some(Why::Lost) => attempt::lost_worker(),
            };
            let ended_at = UtcTime::from_millis(FAILED_AT);
            history.failures.push(AttemptFailure { schema: RUN_SCHEMA, attempt, failure, ended_at });
        }
        history
    }

    pub(super) fn decide(&self, state: &State, step: u8) -> AttemptDecision {
        let history = self.history(state, step, ATTEMPTS);
        attempt::decide(&self.spec(step).retries, &history, UtcTime::from_millis(NOW), |_| false)
    }

    pub(super) fn care(&self, state: &State, step: u8) -> Care {
        let (ready, now) = (UtcTime::from_millis(READY_SINCE), UtcTime::from_millis(NOW));
        sweeping::care(&self.spec(step).retries, &self.history(state, step, ATTEMPTS), ready, now, |_| false)
    }

    /// What follows the failure of the last of so many attempts.
    pub(super) fn retry(&self, state: &State, step: u8, attempts: u8) -> Retry {
        let failure = attempt::failure(FailureClass::User, "it failed");
        attempt::retry(&self.spec(step).retries, &self.history(state, step, attempts.into()), &failure, 0.0)
    }
}
