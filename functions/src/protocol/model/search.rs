//! The search: every state that a run can come to, breadth first, so that what goes wrong is shown in the fewest steps.

use std::collections::HashMap;
use std::collections::VecDeque;

use super::worker::At;
use super::worker::Worker;
use super::world::Model;
use super::world::State;
use super::world::bit;

/// The most states that are kept: a model that outgrows its bounds fails and does not take all memory.
const MAX_STATES: usize = 6_000_000;

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Receive(u8, u8),
    Sweep(u8),
    Act(u8),
    Fail(u8),
    Crash(u8),
    Copy(u8),
    Lose(u8),
    /// The lease of an attempt, counted from 0, runs out.
    Expire(u8, u8),
}

/// How much was searched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Explored {
    pub(super) states: usize,
    pub(super) transitions: usize,
    /// Those in which nothing is left to do.
    pub(super) ends: usize,
}

/// A promise that is broken, and how it comes to that.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) promise: &'static str,
    pub(super) course: Vec<String>,
}

impl Model {
    /// All that can happen in a state, and whether it is a fault.
    fn actions(&self, state: &State) -> Vec<(Action, bool)> {
        let mut actions = Vec::new();
        let (faults, bounds) = (state.faults, self.bounds);
        let may = |so_far: u8, bound: u8| so_far < bound && faults.total() < self.total;
        for (index, worker) in (0..).zip(&state.workers) {
            if worker.at == At::Idle {
                let there = self.steps().filter(|step| state.messages[usize::from(*step)] > 0);
                actions.extend(there.map(|step| (Action::Receive(index, step), false)));
                // Messages alone end a run of which none is lost.
                if faults.losses > 0 && state.result.is_none() {
                    actions.push((Action::Sweep(index), false));
                }
                continue;
            }
            actions.push((Action::Act(index), false));
            if matches!(worker.at, At::Execute(_)) && self.fragile & bit(worker.step) != 0 {
                actions.push((Action::Fail(index), true));
            }
            if may(faults.crashes, bounds.crashes) {
                actions.push((Action::Crash(index), true));
            }
        }
        for step in self.steps() {
            let copies = state.messages[usize::from(step)];
            let is_held = state.workers.iter().any(|worker| worker.holds && worker.step == step);
            if (copies == 1 || copies == 0 && is_held) && may(faults.copies, bounds.copies) {
                actions.push((Action::Copy(step), true));
            }
            if copies > 0 && may(faults.losses, bounds.losses) {
                actions.push((Action::Lose(step), true));
            }
            for (number, attempt) in (0..).zip(state.attempts[usize::from(step)].iter().flatten()) {
                let counts =
                    !attempt.lease_over && attempt.failed.is_none() && state.commits[usize::from(step)].is_none();
                if counts && (attempt.by.is_none() || may(faults.overruns, bounds.overruns)) {
                    actions.push((Action::Expire(step, number), attempt.by.is_some()));
                }
            }
        }
        actions
    }

    fn after(&self, before: &State, action: Action) -> State {
        let mut state = *before;
        match action {
            Action::Receive(index, step) => {
                state.messages[usize::from(step)] -= 1;
                state.workers[usize::from(index)] = Worker::received(step);
                self.read_what_is_there(&mut state, index);
            }
            Action::Sweep(index) => state.workers[usize::from(index)] = Worker::sweeps(),
            Action::Act(index) => self.step(&mut state, index, false),
            Action::Fail(index) => self.step(&mut state, index, true),
            Action::Crash(index) => {
                let worker = state.workers[usize::from(index)];
                if worker.holds {
                    state.send(worker.step);
                }
                state.rest(index);
                state.faults.crashes += 1;
            }
            Action::Copy(step) => {
                state.send(step);
                state.faults.copies += 1;
            }
            Action::Lose(step) => {
                state.messages[usize::from(step)] -= 1;
                state.faults.losses += 1;
            }
            Action::Expire(step, number) => {
                if let Some(attempt) = &mut state.attempts[usize::from(step)][usize::from(number)] {
                    attempt.lease_over = true;
                    state.faults.overruns += u8::from(attempt.by.is_some());
                }
            }
        }
        state.in_order()
    }

    /// The promise that a state breaks, if it does.
    fn broken(&self, state: &State) -> Option<&'static str> {
        let settled = self.steps().filter(|step| state.commits[usize::from(*step)].is_some());
        let settled = settled.fold(0, |settled, step| settled | bit(step));
        for step in self.steps() {
            let waits = self.parents[usize::from(step)] & !settled != 0;
            if waits && state.attempts[usize::from(step)].iter().any(Option::is_some) {
                return Some("no attempt opens before all parents are committed");
            }
            if waits && settled & bit(step) != 0 {
                return Some("no step is committed before all its parents are");
            }
        }
        if state.result.is_some() && state.result != self.outcome(state, settled) {
            return Some("the result is that of all commits");
        }
        let [one, other] = &state.workers;
        let both = matches!((one.at, other.at), (At::Execute(_), At::Execute(_))) && one.step == other.step;
        if both && (one.at == other.at || state.faults.overruns == 0) {
            return Some("no two workers are at a step while leases hold");
        }
        None
    }

    fn broken_between(before: &State, after: &State) -> Option<&'static str> {
        let kept = |(before, after): (&_, &_)| Option::is_none(before) || before == after;
        if !before.commits.iter().zip(&after.commits).all(kept) {
            return Some("a commit never changes");
        }
        let same = before.result.is_none() || before.result == after.result;
        (!same).then_some("a result never changes")
    }

    /// Goes through every state.
    pub(super) fn explore(&self) -> Result<Explored, Broken> {
        let start = self.start();
        let mut numbers = HashMap::from([(start, 0_u32)]);
        let mut came_by: Vec<(u32, Option<Action>)> = vec![(0, None)];
        let mut open = VecDeque::from([(0_u32, start)]);
        let (mut transitions, mut ends) = (0, 0);
        // Who comes to a state without a fault, for the way back from the ends.
        let (mut calm, mut done) = (Vec::new(), Vec::new());
        while let Some((number, state)) = open.pop_front() {
            let broken = |promise, last: Option<Action>| Err(self.course(promise, &came_by, number, last));
            if let Some(promise) = self.broken(&state) {
                return broken(promise, None);
            }
            let actions = self.actions(&state);
            if actions.iter().all(|(_, is_fault)| *is_fault) {
                if state.result.is_none() {
                    return broken("something is left to do until the result is there", None);
                }
                ends += 1;
            }
            if state.result.is_some() {
                done.push(number);
            }
            for (action, is_fault) in actions {
                let after = self.after(&state, action);
                transitions += 1;
                if let Some(promise) = Self::broken_between(&state, &after) {
                    return Err(self.course(promise, &came_by, number, Some(action)));
                }
                let next = u32::try_from(numbers.len()).expect("fewer than the most");
                let reached = *numbers.entry(after).or_insert(next);
                if reached == next {
                    assert!(numbers.len() <= MAX_STATES, "the model outgrows its bounds");
                    came_by.push((number, Some(action)));
                    open.push_back((next, after));
                }
                if !is_fault {
                    calm.push((reached, number));
                }
            }
        }
        match first_lost(numbers.len(), calm, done) {
            Some(lost) => Err(self.course("the result can still be reached once faults stop", &came_by, lost, None)),
            None => Ok(Explored { states: numbers.len(), transitions, ends }),
        }
    }

    /// Tells how a state was come to.
    fn course(
        &self,
        promise: &'static str,
        came_by: &[(u32, Option<Action>)],
        number: u32,
        last: Option<Action>,
    ) -> Broken {
        let mut actions: Vec<Action> = last.into_iter().collect();
        let mut at = number as usize;
        while let (before, Some(action)) = came_by[at] {
            actions.push(action);
            at = before as usize;
        }
        let mut state = self.start();
        let mut course = Vec::new();
        for action in actions.into_iter().rev() {
            course.push(match action {
                Action::Act(index) | Action::Fail(index) | Action::Crash(index) => {
                    let worker = state.workers[usize::from(index)];
                    format!("{action:?}: {:?} for step {}", worker.at, worker.step)
                }
                Action::Receive(..) | Action::Sweep(_) | Action::Copy(_) | Action::Lose(_) | Action::Expire(..) => {
                    format!("{action:?}")
                }
            });
            state = self.after(&state, action);
        }
        Broken { promise, course }
    }
}

/// The first state from which no end is reached, of edges given as where to and where from.
fn first_lost(states: usize, mut edges: Vec<(u32, u32)>, mut reached: Vec<u32>) -> Option<u32> {
    edges.sort_unstable();
    let mut ends = vec![false; states];
    reached.iter().for_each(|state| ends[*state as usize] = true);
    while let Some(state) = reached.pop() {
        let from = edges.partition_point(|(to, _)| *to < state);
        for (_, before) in edges[from..].iter().take_while(|(to, _)| *to == state) {
            if !std::mem::replace(&mut ends[*before as usize], true) {
                reached.push(*before);
            }
        }
    }
    ends.iter().position(|ends| !ends).and_then(|state| u32::try_from(state).ok())
}
