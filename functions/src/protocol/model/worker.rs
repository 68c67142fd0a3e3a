//! A worker of the model: the runner, one effect on store or queue after another, with what it remembers in between.
//!
//! It does what `runner::{mod, attempt, settle, heal}` do, in their order. A commit that is there when its turn to be read
//! comes is read at once: it never changes, so that nothing which happens before the read could make a difference.

use liminal_schemas::run::CommitStatus;
use liminal_schemas::run::RunStatus;

use super::Flaw;
use super::world::Attempt;
use super::world::Ended;
use super::world::Model;
use super::world::State;
use super::world::Verdict;
use super::world::Why;
use super::world::bit;
use super::world::lowest;
use crate::protocol::attempt::AttemptDecision;
use crate::protocol::attempt::Retry;
use crate::protocol::sweeping::Care;

/// The effect that a worker has next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum At {
    #[default]
    Idle,
    ReadOwnCommit,
    ReadParent,
    ListAttempts,
    /// Writes down attempts that ended without a word, as bits, before the next one opens.
    NoteLost(u8, u8),
    Open(u8),
    Execute(u8),
    NoteFailure(u8),
    SendAgain,
    Write(Ended),
    /// Reads a parent of a child, or the child's own commit once all parents are known.
    ReadFor(u8),
    WriteChild(u8, Ended),
    SendChild(u8),
    ReadOpenStep,
    WriteResult(RunStatus),
    PutBack,
    Acknowledge,
    /// Sends to all children, with a flaw.
    SendTooEarly(Ended),
    SweepCommits,
    SweepAttempts(u8),
    SweepWrite(u8, Ended),
    SweepSend(u8),
}

/// A worker, with its memory. Sets of steps are bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Worker {
    pub(super) at: At,
    pub(super) step: u8,
    /// Whether it has a message that is not acknowledged.
    pub(super) holds: bool,
    /// The steps whose commits it knows.
    pub(super) known: u8,
    /// Settled steps that are still to be gone on from, those it has gone on from, and the children left of the current one.
    pub(super) open: u8,
    pub(super) gone: u8,
    pub(super) children: u8,
    pub(super) sent: u8,
    /// The steps a sweeper has still to look at.
    pub(super) due: u8,
}

impl Worker {
    pub(super) fn received(step: u8) -> Self {
        Self { at: At::ReadOwnCommit, step, holds: true, ..Self::default() }
    }

    pub(super) fn sweeps() -> Self {
        Self { at: At::SweepCommits, ..Self::default() }
    }
}

impl Model {
    /// Lets a worker have its next effect. An attempt succeeds or, if `fails`, does not.
    pub(super) fn step(&self, state: &mut State, index: u8, fails: bool) {
        let mut worker = state.workers[usize::from(index)];
        let me = &mut worker;
        let step = me.step;
        let is_there = |state: &State, step: u8| state.commits[usize::from(step)].is_some();
        match me.at {
            At::Idle => {}
            At::ReadOwnCommit if !is_there(state, step) => self.read_parents(state, me),
            At::ReadOwnCommit if self.has(Flaw::NothingFollowsASettledStep) => me.at = At::Acknowledge,
            At::ReadOwnCommit => {
                me.known |= bit(step);
                self.go_on(state, me, bit(step));
            }
            At::ReadParent => match lowest(self.parents[usize::from(step)] & !me.known) {
                Some(parent) if is_there(state, parent) => {
                    me.known |= bit(parent);
                    self.read_parents(state, me);
                }
                _ => self.begin(state, me),
            },
            At::ListAttempts => {
                me.at = match self.decide(state, step) {
                    AttemptDecision::Wait { .. } => At::PutBack,
                    AttemptDecision::GiveUp { .. } => At::Write(Ended::by(0, CommitStatus::Failed)),
                    AttemptDecision::Open { attempt, lost } => {
                        let lost = lost.iter().fold(0, |bits, lost| bits | (1 << (lost - 1)));
                        note_or_open(lost, u8::try_from(attempt).expect("few"))
                    }
                };
            }
            At::NoteLost(lost, attempt) => {
                let first = lost.trailing_zeros();
                if let Some(made) = &mut state.attempts[usize::from(step)][first as usize] {
                    made.failed.get_or_insert(Why::Lost);
                }
                me.at = note_or_open(lost & !(1 << first), attempt);
            }
            At::Open(attempt) => {
                let place = &mut state.attempts[usize::from(step)][usize::from(attempt) - 1];
                me.at = if place.is_none() { At::Execute(attempt) } else { At::ListAttempts };
                place.get_or_insert(Attempt { by: Some(index), lease_over: false, failed: None });
            }
            At::Execute(attempt) => {
                let ended = Ended::by(attempt, CommitStatus::Succeeded);
                me.at = match fails {
                    true => At::NoteFailure(attempt),
                    false if self.has(Flaw::ChildrenAreSentBeforeTheCommit) => At::SendTooEarly(ended),
                    false => At::Write(ended),
                };
            }
            At::NoteFailure(attempt) => {
                let place = &mut state.attempts[usize::from(step)][usize::from(attempt) - 1];
                let noted = place.as_mut().map(|made| *made.failed.get_or_insert(Why::Failed));
                me.at = match self.retry(state, step, attempt) {
                    // It was given up for lost, and somebody else goes on.
                    _ if noted != Some(Why::Failed) => At::Acknowledge,
                    Retry::After(_) => At::SendAgain,
                    Retry::Never => At::Write(Ended::by(attempt, CommitStatus::Failed)),
                };
            }
            At::SendAgain => {
                state.send(step);
                me.at = At::Acknowledge;
            }
            At::Write(ended) => {
                self.write(state, me, step, ended);
                me.holds &= !self.has(Flaw::AcknowledgedBeforeTheSends);
                let sent = self.has(Flaw::ChildrenAreSentBeforeTheCommit) && ended.status == CommitStatus::Succeeded;
                if sent { self.finish(state, me) } else { self.go_on(state, me, bit(step)) }
            }
            At::SendTooEarly(ended) => {
                let children = self.children[usize::from(step)];
                self.steps().filter(|child| children & bit(*child) != 0).for_each(|child| state.send(child));
                me.at = At::Write(ended);
            }
            At::ReadFor(child) => {
                let read = lowest(self.parents[usize::from(child)] & !me.known).unwrap_or(child);
                if is_there(state, read) {
                    me.known |= bit(read);
                    self.settle_children(state, me);
                } else if read != child && !self.has(Flaw::ParentsAreNotWaitedFor) {
                    me.children &= !bit(child);
                    self.settle_children(state, me);
                } else {
                    match self.next(state, child, me.known) {
                        Verdict::Start => me.at = At::SendChild(child),
                        Verdict::Write(ended) => me.at = At::WriteChild(child, ended),
                        Verdict::Nothing => {
                            me.children &= !bit(child);
                            self.settle_children(state, me);
                        }
                    }
                }
            }
            At::WriteChild(child, ended) => {
                self.write(state, me, child, ended);
                self.settle_children(state, me);
            }
            At::SendChild(child) => {
                state.send(child);
                me.sent |= bit(child);
                self.settle_children(state, me);
            }
            At::ReadOpenStep => match self.last_first(me.known) {
                Some(open) if is_there(state, open) => {
                    me.known |= bit(open);
                    self.finish(state, me);
                }
                _ if self.has(Flaw::RunsEndEarly) => me.at = At::WriteResult(RunStatus::Succeeded),
                _ => leave(me),
            },
            At::WriteResult(status) => {
                state.result.get_or_insert(status);
                leave(me);
            }
            At::PutBack => {
                state.send(step);
                me.at = At::Idle;
            }
            At::Acknowledge => me.at = At::Idle,
            At::SweepCommits => {
                me.known = self.steps().filter(|step| is_there(state, *step)).fold(0, |bits, step| bits | bit(step));
                let due = self.steps().filter(|step| me.known & bit(*step) == 0);
                me.due = due
                    .filter(|step| self.next(state, *step, me.known) != Verdict::Nothing)
                    .fold(0, |bits, step| bits | bit(step));
                self.tend(state, me);
            }
            At::SweepAttempts(cared) => match (self.care(state, cared), self.next(state, cared, me.known)) {
                (Care::Leave, _) => {
                    me.due &= !bit(cared);
                    self.tend(state, me);
                }
                (Care::Send | Care::GiveUp { .. }, Verdict::Write(ended)) => me.at = At::SweepWrite(cared, ended),
                (Care::GiveUp { .. }, _) => me.at = At::SweepWrite(cared, Ended::by(0, CommitStatus::Failed)),
                (Care::Send, _) => me.at = At::SweepSend(cared),
            },
            At::SweepWrite(cared, ended) => {
                self.write(state, me, cared, ended);
                me.open |= bit(cared);
                me.due &= !bit(cared);
                self.tend(state, me);
            }
            At::SweepSend(cared) => {
                state.send(cared);
                me.due &= !bit(cared);
                self.tend(state, me);
            }
        }
        state.workers[usize::from(index)] = worker;
        if worker.at == At::Idle {
            state.rest(index);
        }
        self.read_what_is_there(state, index);
    }

    /// Reads on, as long as what is to be read is there.
    pub(super) fn read_what_is_there(&self, state: &mut State, index: u8) {
        let me = &state.workers[usize::from(index)];
        let unknown = |step: u8| lowest(self.parents[usize::from(step)] & !me.known);
        let read = match me.at {
            At::ReadOwnCommit => Some(me.step),
            At::ReadParent => unknown(me.step),
            At::ReadFor(child) => Some(unknown(child).unwrap_or(child)),
            At::ReadOpenStep => self.last_first(me.known),
            _ => None,
        };
        if read.is_some_and(|read| state.commits[usize::from(read)].is_some()) {
            self.step(state, index, false);
        }
    }

    /// Creates the commit of a step, or finds the one that is there.
    fn write(&self, state: &mut State, me: &mut Worker, step: u8, ended: Ended) {
        let place = &mut state.commits[usize::from(step)];
        if place.is_none() || self.has(Flaw::CommitsReplace) {
            *place = Some(ended);
        }
        me.known |= bit(step);
    }

    fn read_parents(&self, state: &State, me: &mut Worker) {
        match self.parents[usize::from(me.step)] & !me.known {
            0 => self.begin(state, me),
            _ => me.at = At::ReadParent,
        }
    }

    fn begin(&self, state: &State, me: &mut Worker) {
        me.at = match self.next(state, me.step, me.known) {
            Verdict::Nothing => At::Acknowledge,
            Verdict::Start => At::ListAttempts,
            Verdict::Write(ended) => At::Write(ended),
        };
    }
}

fn note_or_open(lost: u8, attempt: u8) -> At {
    if lost == 0 { At::Open(attempt) } else { At::NoteLost(lost, attempt) }
}

pub(super) fn leave(me: &mut Worker) {
    me.at = if me.holds { At::Acknowledge } else { At::Idle };
}
