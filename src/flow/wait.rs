//! Waits for the outcome of a queued message while a client waits.

use super::{FlowError, NotSent};
use crate::actor::outbox::{StopWaiting, StopWaitingOutcome, Subject};
use crate::app::App;
use crate::delivery::pending_replies::{Outcome, PendingReply};
use crate::domain::message::MessageId;

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
