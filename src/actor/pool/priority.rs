//! Which threads of a pool get the CPU first.

use crate::priority;

/// The priority of a thread among those of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Priority {
    /// That of the process.
    Normal,
    /// Behind the threads with that of the process.
    Low,
}

impl Priority {
    /// Gives it to the calling thread.
    pub(super) fn take(self) {
        if self == Self::Low {
            priority::give_way();
        }
    }
}
