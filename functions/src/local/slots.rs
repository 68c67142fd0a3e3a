//! How many steps run at once.

/// The slots that steps run in.
pub(super) struct Slots {
    all: u32,
    free: u32,
}

impl Slots {
    pub(super) fn new(jobs: u32) -> Self {
        let all = jobs.max(1);
        Self { all, free: all }
    }

    pub(super) fn are_taken(&self) -> bool {
        self.free == 0
    }

    /// Takes so many slots, or all there are if that is less; none if they are not free.
    pub(super) fn take(&mut self, wanted: u32) -> Option<u32> {
        let wanted = wanted.clamp(1, self.all);
        self.free = self.free.checked_sub(wanted)?;
        Some(wanted)
    }

    pub(super) fn free(&mut self, taken: u32) {
        self.free = self.all.min(self.free + taken);
    }
}
