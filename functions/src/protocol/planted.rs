//! Bugs that tests plant on purpose, to show that the simulation finds them. Outside of tests there are none.

/// A bug of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A commit replaces the one that is there.
    CommitsReplace,
    /// A step starts though a step before it is open.
    ParentsAreNotWaitedFor,
    /// A live attempt of somebody else is taken for dead.
    LeasesDoNotCount,
    /// A block is taken for whole when one of its items is still open.
    BlocksCloseEarly,
    /// A step that is settled already is not gone on from when its message comes again.
    NothingFollowsASettledStep,
    /// The result of a run is written when the last step is settled, whatever became of the others.
    RunsEndEarly,
}

#[cfg(not(test))]
pub(crate) const fn is_planted(_: Bug) -> bool {
    false
}

#[cfg(test)]
pub(crate) use tests::is_planted;
#[cfg(test)]
pub(crate) use tests::with;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    pub(crate) fn is_planted(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }

    /// Does something on this thread with a bug planted.
    pub(crate) fn with<T>(bug: Bug, act: impl FnOnce() -> T) -> T {
        PLANTED.set(Some(bug));
        let done = act();
        PLANTED.set(None);
        done
    }
}
