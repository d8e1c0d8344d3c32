//! Waiting for what becomes of a queued message, as long as a client waits.

use crate::actor::outbox::{AfterWaiting, StopWaiting, Subject};
use crate::app::App;
use crate::delivery::pending_replies::{Outcome, PendingReply};
use crate::error::Error;

/// Waits up to `answer_within` for the outcome of the message `id`. One that is
/// on its way by then counts as delivered: the queue goes on. One of which every
/// try failed is dropped.
///
/// # Errors
/// Only when the machinery fails.
pub async fn outcome(
    app: &App,
    id: String,
    subject: Subject,
    mut listener: PendingReply,
) -> Result<Outcome, Error> {
    let answer_within = app.config.delivery.answer_within;
    let heard = tokio::time::timeout(answer_within, listener.heard()).await;
    app.waiting.forget(&id, listener);
    if let Ok(Some(outcome)) = heard {
        return Ok(outcome);
    }
    let stop = StopWaiting {
        id: id.clone(),
        subject,
        now: app.clock.now(),
    };
    Ok(match app.outbox.send(stop).await? {
        AfterWaiting::OnItsWay | AfterWaiting::Delivered => Outcome::Delivered,
        AfterWaiting::Dropped => Outcome::GivenUp,
        AfterWaiting::GivenUp => {
            let id = id.as_str();
            log::warn!(id; "a message was dropped: every try failed while its client waited");
            app.waiting.tell(id, Outcome::GivenUp);
            Outcome::GivenUp
        }
    })
}
