//! Whether a message may have been received already.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the receiver of a message may have the whole of it: until then, an attempt can
/// be given up without a risk of sending the message twice.
#[derive(Debug, Default)]
pub struct Handover(AtomicBool);

impl Handover {
    /// The end of the message is about to be sent.
    pub(super) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// The receiver said that it did not take the message.
    pub(super) fn undo(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether the receiver may have the message.
    #[must_use]
    pub fn may_be_done(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
