//! Clients of this instance that wait to hear what became of their message.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

/// What a waiting client hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The relay took the message.
    Delivered,
    /// The message was refused for good.
    Refused,
}

/// Who waits for which message.
#[derive(Debug, Default)]
pub struct Waiting(Mutex<HashMap<String, oneshot::Sender<Outcome>>>);

impl Waiting {
    /// Waits for the outcome of the message `id`. To be called before the
    /// message is queued, so that no outcome is missed.
    pub fn listen(&self, id: &str) -> oneshot::Receiver<Outcome> {
        let (tell, hear) = oneshot::channel();
        self.lock().insert(id.to_owned(), tell);
        hear
    }

    /// Tells whoever waits for `id`; nobody may.
    pub fn tell(&self, id: &str, outcome: Outcome) {
        if let Some(tell) = self.lock().remove(id) {
            // The client may have stopped waiting at this moment.
            let _ = tell.send(outcome);
        }
    }

    /// Nobody waits for `id` any longer.
    pub fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, oneshot::Sender<Outcome>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
