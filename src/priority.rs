//! Which threads get the CPU first.

/// How much nicer work is that gives way: it gets about a tenth of a CPU that others want
/// as well.
#[cfg(target_os = "linux")]
const NICER: i32 = 10;

/// Lets others have the CPU before the calling thread and those that it starts from then
/// on. Does nothing on systems where the whole process would give way.
pub(crate) fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICER) {
        log::debug!("cannot lower the priority of a thread: {error}");
    }
}
