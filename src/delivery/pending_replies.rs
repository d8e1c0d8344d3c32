//! Clients of this instance that wait to hear what became of their message.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// What a waiting client hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The relay took the message, or may have.
    Delivered,
    /// The recipient's address was refused for good.
    Refused,
    /// The message cannot be sent, for another reason that will not pass.
    Failed,
    /// Every try failed, and the client that waited longest was told so.
    GivenUp,
}

/// Hears the outcome of one message.
#[derive(Debug)]
pub struct PendingReply(watch::Receiver<Option<Outcome>>);

impl PendingReply {
    /// The outcome, once it is known; `None` when it never will be.
    pub async fn heard(&mut self) -> Option<Outcome> {
        let outcome = self.0.wait_for(Option::is_some).await;
        outcome.ok().and_then(|outcome| *outcome)
    }
}

/// Who waits for which message.
#[derive(Debug, Default)]
pub struct PendingReplies(Mutex<HashMap<String, watch::Sender<Option<Outcome>>>>);

impl PendingReplies {
    /// Waits for the outcome of the message `id`. Whoever queues the message
    /// calls it before, so that no outcome is missed.
    pub fn listen(&self, id: &str) -> PendingReply {
        let mut all = self.lock();
        let tell = all.entry(id.to_owned()).or_default();
        PendingReply(tell.subscribe())
    }

    /// Tells all who wait for `id`; nobody may.
    pub fn tell(&self, id: &str, outcome: Outcome) {
        if let Some(tell) = self.lock().remove(id) {
            tell.send_replace(Some(outcome));
        }
    }

    /// A listener for `id` has ended.
    pub fn forget(&self, id: &str, listener: PendingReply) {
        drop(listener);
        let mut all = self.lock();
        if all.get(id).is_some_and(watch::Sender::is_closed) {
            all.remove(id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<Option<Outcome>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_who_wait_hear_the_outcome() {
        let waiting = PendingReplies::default();
        let (mut first, mut second) = (waiting.listen("a"), waiting.listen("a"));
        let mut other = waiting.listen("b");
        waiting.tell("a", Outcome::Refused);
        assert_eq!(first.heard().await, Some(Outcome::Refused));
        assert_eq!(second.heard().await, Some(Outcome::Refused));
        waiting.tell("b", Outcome::Delivered);
        assert_eq!(other.heard().await, Some(Outcome::Delivered));
    }

    #[test]
    fn nothing_is_kept_of_who_has_gone() {
        let waiting = PendingReplies::default();
        let (first, second) = (waiting.listen("a"), waiting.listen("a"));
        waiting.forget("a", first);
        assert_eq!(waiting.lock().len(), 1);
        waiting.forget("a", second);
        assert!(waiting.lock().is_empty());
        waiting.tell("a", Outcome::Delivered);
    }
}
