//! Clients of this instance that wait for the outcome of a queued message.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::domain::message::MessageId;

/// How many requests wait for one message: the first one, and repetitions of a client
/// that lost its connection.
const MAX_WAITING: usize = 8;

/// How the delivery of a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The relay or provider accepted it, or may have.
    Delivered,
    /// The recipient's address was refused for good.
    Refused,
    /// It cannot be sent, for another permanent reason.
    Failed,
    /// Every try failed until the client that waited longest was answered.
    GivenUp,
}

/// Receives the outcome of one message.
#[derive(Debug)]
pub struct PendingReply(watch::Receiver<Option<Outcome>>);

impl PendingReply {
    /// Waits for the outcome; `None` when it will never be known.
    pub async fn outcome(&mut self) -> Option<Outcome> {
        let outcome = self.0.wait_for(Option::is_some).await;
        outcome.ok().and_then(|outcome| *outcome)
    }
}

/// All pending replies, by message.
#[derive(Debug, Default)]
pub struct PendingReplies(Mutex<HashMap<MessageId, watch::Sender<Option<Outcome>>>>);

impl PendingReplies {
    /// Subscribes to the outcome of a message. Subscribe before the message is
    /// queued, or its outcome may be missed.
    pub fn subscribe(&self, id: &MessageId) -> PendingReply {
        let mut replies = self.lock();
        let sender = replies.entry(id.clone()).or_default();
        PendingReply(sender.subscribe())
    }

    /// Subscribes to the outcome of a message that another request has queued; `None`
    /// when eight wait for it already.
    pub fn join(&self, id: &MessageId) -> Option<PendingReply> {
        let mut replies = self.lock();
        let sender = replies.entry(id.clone()).or_default();
        (sender.receiver_count() < MAX_WAITING).then(|| PendingReply(sender.subscribe()))
    }

    /// Publishes the outcome to all subscribers of a message.
    pub fn publish(&self, id: &MessageId, outcome: Outcome) {
        if let Some(sender) = self.lock().remove(id) {
            sender.send_replace(Some(outcome));
        }
    }

    /// Ends a subscription, and frees what the last one of a message used.
    pub fn unsubscribe(&self, id: &MessageId, reply: PendingReply) {
        drop(reply);
        let mut replies = self.lock();
        if replies.get(id).is_some_and(watch::Sender::is_closed) {
            replies.remove(id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<MessageId, watch::Sender<Option<Outcome>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> MessageId {
        MessageId::from(text.to_owned())
    }

    #[tokio::test]
    async fn every_waiting_request_receives_the_outcome() {
        let (replies, a, b) = (PendingReplies::default(), id("a"), id("b"));
        let (mut first, mut second) = (replies.subscribe(&a), replies.subscribe(&a));
        let mut other = replies.subscribe(&b);
        replies.publish(&a, Outcome::Refused);
        assert_eq!(first.outcome().await, Some(Outcome::Refused));
        assert_eq!(second.outcome().await, Some(Outcome::Refused));
        replies.publish(&b, Outcome::Delivered);
        assert_eq!(other.outcome().await, Some(Outcome::Delivered));
    }

    #[test]
    fn few_requests_wait_for_one_message() {
        let (replies, a) = (PendingReplies::default(), id("a"));
        let mut waiting = vec![replies.subscribe(&a)];
        waiting.extend((1..MAX_WAITING).map(|_| replies.join(&a).unwrap()));
        assert!(replies.join(&a).is_none());
        assert!(replies.join(&id("b")).is_some());
        replies.unsubscribe(&a, waiting.remove(0));
        assert!(replies.join(&a).is_some());
    }

    #[test]
    fn abandoned_waits_are_removed() {
        let (replies, a) = (PendingReplies::default(), id("a"));
        let (first, second) = (replies.subscribe(&a), replies.subscribe(&a));
        replies.unsubscribe(&a, first);
        assert_eq!(replies.lock().len(), 1);
        replies.unsubscribe(&a, second);
        assert!(replies.lock().is_empty());
        replies.publish(&a, Outcome::Delivered);
    }
}
