//! Takes the changes that a peer pushed.

use super::FlowError;
use crate::actor::associations::OnbindNotification;
use crate::actor::ingest::Ingest;
use crate::actor::pool::Fault;
use crate::app::App;
use crate::domain::arrival::Arrival;
use crate::domain::ids::ServerName;
use crate::domain::message::MessageId;
use crate::domain::public_key::PublicKey;
use crate::domain::replication::{PeerChange, Push, Rejection, VerifiedPush, WithId};
use crate::random;

/// Takes the valid changes of a push. It need not be detached from the request: a
/// peer repeats a push that was not answered.
///
/// # Errors
/// [`FlowError::ChangesRejected`] when none of them is signed by the peer.
pub async fn ingest(
    app: &App,
    peer: &ServerName,
    key: PublicKey,
    push: Push,
) -> Result<(), FlowError> {
    let now = app.clock.now();
    let push = verified(push, peer.clone(), key).await?;
    let skipped = push.skipped.len();
    let ingest = Ingest {
        peer: peer.clone(),
        push,
        notification: OnbindNotification {
            id: MessageId::from(random::alphanumeric(32)?),
            expires_at: now.after(app.config.delivery.onbind_give_up),
        },
        arrival: Arrival {
            at: now.as_i64(),
            max_clock_skew: app.config.replication.max_clock_skew,
        },
    };
    let ingested = app.associations.send(ingest).await?;
    if ingested.notifications > 0 {
        app.onbind_worker.wake();
    }
    if ingested.repeats {
        app.wake_replicator();
    }
    app.metrics.changes_skipped(peer.as_str(), skipped);
    Ok(())
}

/// Verifies the signatures, which take too long for the thread of a request or of the
/// database: there may be hundreds.
async fn verified(push: Push, peer: ServerName, key: PublicKey) -> Result<VerifiedPush, FlowError> {
    tokio::task::spawn_blocking(move || verify(push, &peer, &key))
        .await
        .map_err(|_panicked| Fault::Internal("verifying a push panicked"))?
        .map_err(FlowError::ChangesRejected)
}

/// The valid changes, and the ids of those that are not.
///
/// # Errors
/// The ids of all that the peer's key has not signed, if that are all: the wrong key
/// is configured, and the peer is to send them again.
fn verify(push: Push, peer: &ServerName, key: &PublicKey) -> Result<VerifiedPush, Vec<String>> {
    let (mut changes, mut skipped, mut unsigned) = (Vec::new(), Vec::new(), Vec::new());
    for WithId { id, number, value } in push.changes {
        let name = peer.as_str();
        match PeerChange::verify(value, peer, key) {
            Ok(change) => changes.push((number, change)),
            Err(why) => {
                log::warn!(peer = name, id = id.as_str(); "a change of a peer is not valid: {why}");
                match why {
                    Rejection::Unsigned => unsigned.push(id),
                    Rejection::Invalid(_) => skipped.push(id),
                }
            }
        }
    }
    if changes.is_empty() && !unsigned.is_empty() {
        return Err(unsigned);
    }
    skipped.append(&mut unsigned);
    Ok(VerifiedPush {
        changes,
        skipped,
        sender_compares: push.sender_compares,
    })
}
