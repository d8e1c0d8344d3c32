//! Taking what a peer sent.

use super::validate::later;
use crate::actor::associations::OnbindNotification;
use crate::actor::ingest::Ingest;
use crate::app::App;
use crate::domain::ids::ServerName;
use crate::domain::public_key::PublicKey;
use crate::domain::replication::WithId;
use crate::error::Error;
use crate::random;

/// Takes all changes of a push or none of them. Whether or not the peer waits
/// for the answer makes no difference: it sends again what it heard no answer
/// for.
///
/// # Errors
/// 400 when something is not signed by the peer or makes no sense.
pub async fn ingest(
    app: &App,
    peer: &ServerName,
    key: PublicKey,
    changes: Vec<WithId>,
) -> Result<(), Error> {
    let now = app.clock.now();
    let taken = app
        .associations
        .send(Ingest {
            peer: peer.clone(),
            key,
            changes,
            notice: OnbindNotification {
                id: random::alphanumeric(32)?,
                expires_at: later(now, app.config.delivery.onbind_give_up),
            },
            now,
        })
        .await?;
    match taken {
        Ok(0) => Ok(()),
        Ok(_) => {
            app.notifier.wake();
            Ok(())
        }
        Err(failed) => Err(Error::verification_failed(failed)),
    }
}
