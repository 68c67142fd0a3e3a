//! How a worker of the model finds its next effect on the way from settled steps to those after them, and to the result.

use super::worker::At;
use super::worker::Worker;
use super::world::Model;
use super::world::State;
use super::world::Verdict;
use super::world::bit;
use super::world::lowest;

impl Model {
    pub(super) fn go_on(&self, state: &State, me: &mut Worker, from: u8) {
        (me.open, me.gone, me.children, me.sent) = (from, 0, 0, 0);
        self.settle_children(state, me);
    }

    /// Finds the next effect on the way from settled steps to their children.
    pub(super) fn settle_children(&self, state: &State, me: &mut Worker) {
        loop {
            if let Some(child) = lowest(me.children & !me.sent) {
                if me.known & bit(child) == 0 {
                    me.at = At::ReadFor(child);
                    return;
                }
                me.children &= !bit(child);
                me.open |= bit(child);
            } else if let Some(step) = lowest(me.open) {
                me.open &= !bit(step);
                let is_new = me.gone & bit(step) == 0;
                me.gone |= bit(step);
                me.children = if is_new { self.children[usize::from(step)] } else { 0 };
            } else {
                return self.finish(state, me);
            }
        }
    }

    /// The first step whose commit is not known: those that nothing follows come first.
    pub(super) fn last_first(&self, known: u8) -> Option<u8> {
        let open = self.steps().filter(|step| known & bit(*step) == 0);
        open.min_by_key(|step| self.children[usize::from(*step)] != 0)
    }

    pub(super) fn finish(&self, state: &State, me: &mut Worker) {
        (me.open, me.gone, me.children, me.sent) = (0, 0, 0, 0);
        me.at = self.outcome(state, me.known).map_or(At::ReadOpenStep, At::WriteResult);
    }

    /// Finds the next effect of a sweeper: it skips what does not run, and then looks after what does.
    pub(super) fn tend(&self, state: &State, me: &mut Worker) {
        let due = || self.steps().filter(|step| me.due & bit(*step) != 0);
        let skipped = due().find_map(|step| match self.next(state, step, me.known) {
            Verdict::Write(ended) if ended.cause.is_some() => Some(At::SweepWrite(step, ended)),
            _ => None,
        });
        match skipped.or_else(|| due().next().map(At::SweepAttempts)) {
            Some(at) => me.at = at,
            None if me.open == 0 => self.finish(state, me),
            None => self.go_on(state, me, me.open),
        }
    }
}
