//! Takes the changes that a peer pushed.

use super::FlowError;
use crate::actor::associations::OnbindNotification;
use crate::actor::ingest::Ingest;
use crate::app::App;
use crate::domain::arrival::Arrival;
use crate::domain::ids::ServerName;
use crate::domain::message::MessageId;
use crate::domain::public_key::PublicKey;
use crate::domain::replication::Push;
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
    let ingest = Ingest {
        peer: peer.clone(),
        key,
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
    match app.associations.send(ingest).await? {
        Ok(ingested) => {
            if ingested.notifications > 0 {
                app.onbind_worker.wake();
            }
            if ingested.repeats {
                app.wake_replicator();
            }
            app.metrics.changes_skipped(peer.as_str(), ingested.skipped);
            Ok(())
        }
        Err(ids) => Err(FlowError::ChangesRejected(ids)),
    }
}
