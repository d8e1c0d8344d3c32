//! Which threads get the CPU first.

/// The priority of a thread among those of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Priority {
    /// That of the process.
    Normal,
    /// Behind the threads with that of the process.
    Low,
}

/// How much nicer a thread of low priority is: it gets about a tenth of a CPU that others
/// want as well.
#[cfg(target_os = "linux")]
const NICER: i32 = 10;

impl Priority {
    /// Gives it to the calling thread.
    pub(super) fn take(self) {
        // Elsewhere the whole process would have it.
        #[cfg(target_os = "linux")]
        if self == Self::Low
            && let Err(error) = rustix::process::nice(NICER)
        {
            log::debug!("cannot lower the priority of a thread: {error}");
        }
    }
}
