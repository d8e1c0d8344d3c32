//! Waits for the outcome of a queued message while a client waits.

use std::net::IpAddr;

use super::{FlowError, NotSent};
use crate::actor::outbox::{StopWaiting, StopWaitingOutcome, Subject};
use crate::app::App;
use crate::delivery::pending_replies::{Outcome, PendingReply};
use crate::domain::counter::Refusal;
use crate::domain::message::MessageId;
use crate::domain::rate::sharers;
use crate::domain::time::duration_ms;
use crate::permits::Share;

/// Counts one more request of a client that waits for a message. It ends when the
/// result is dropped.
///
/// # Errors
/// [`FlowError::Limited`] when too many of the client wait.
pub(super) fn enter(app: &App, client: Option<IpAddr>) -> Result<Share, FlowError> {
    let name = "requests of one client that wait for a message";
    let delegating = &app.config.limits.delegating_homeservers;
    // A client without an address is not limited.
    let networks = client.map_or_else(Vec::new, |ip| sharers(ip, delegating));
    app.limiters
        .waits
        .try_acquire(networks, 1)
        .map_err(|_none| too_many(app, name))
}

/// Joins those that wait for a message that an earlier request has queued.
///
/// # Errors
/// [`FlowError::Limited`] when there are too many.
pub(super) fn join(app: &App, id: &MessageId) -> Result<PendingReply, FlowError> {
    let name = "requests that wait for one message";
    app.pending_replies
        .join(id)
        .ok_or_else(|| too_many(app, name))
}

/// The others have their answer by then.
fn too_many(app: &App, limit: &'static str) -> FlowError {
    let wait_ms = duration_ms(app.config.delivery.answer_within).max(1);
    FlowError::Limited(Refusal::new(limit, wait_ms))
}

/// Waits up to `answer_within` for the outcome of a message. If it is being
/// delivered by then, the client is told that it was sent, and the queue goes on.
/// If every try has failed by then, it is dropped.
///
/// # Errors
/// In the result of the wait: why the message was not sent.
pub(super) async fn for_outcome(
    app: &App,
    id: &MessageId,
    subject: Subject,
    mut reply: PendingReply,
) -> Result<Result<(), NotSent>, FlowError> {
    let answer_within = app.config.delivery.answer_within;
    let outcome = tokio::time::timeout(answer_within, reply.outcome()).await;
    app.pending_replies.unsubscribe(id, reply);
    if let Ok(Some(outcome)) = outcome {
        return Ok(match outcome {
            Outcome::Delivered => Ok(()),
            Outcome::Refused => Err(NotSent::AddressRefused),
            Outcome::Failed => Err(NotSent::Failed),
            Outcome::GivenUp => Err(NotSent::GaveUp),
        });
    }
    let stop = StopWaiting {
        id: id.clone(),
        subject,
        now: app.clock.now(),
    };
    Ok(match app.outbox.send(stop).await? {
        StopWaitingOutcome::Acknowledged | StopWaitingOutcome::Delivered => Ok(()),
        StopWaitingOutcome::Dropped => Err(NotSent::GaveUp),
        StopWaitingOutcome::GivenUp(kind) => {
            app.metrics.dropped(kind.worker(), "gave_up");
            log::warn!(id = id.as_str(); "message dropped: every try failed while its client waited");
            // Other clients may wait for the same message.
            app.pending_replies.publish(id, Outcome::GivenUp);
            Err(NotSent::GaveUp)
        }
    })
}
