//! Bind and unbind.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::validate::later;
use crate::actor::associations::{Bind, OnbindNotification, Unbind};
use crate::actor::sessions::ValidatedSession;
use crate::actor::signer::Sign;
use crate::app::App;
use crate::domain::association::Association;
use crate::domain::ids::Mxid;
use crate::domain::session::Proof;
use crate::domain::threepid::ThreePid;
use crate::error::Error;
use crate::random;

/// Binds what was proven to a user; answers the signed association (BND-02).
///
/// # Errors
/// Only when the machinery fails; nothing is bound then.
pub async fn bind(app: &App, proof: Proof, mxid: Mxid) -> Result<Map<String, Value>, Error> {
    let association = Association::new(proof.into_threepid(), mxid, app.clock.now());
    let signed = app
        .signer
        .send(Sign {
            object: association.to_object(),
        })
        .await?;
    let notice = OnbindNotification {
        id: random::alphanumeric(32)?,
        expires_at: later(association.ts, app.config.delivery.onbind_give_up),
    };
    app.associations
        .send(Bind {
            association,
            signed: signed.clone(),
            notice,
        })
        .await?;
    app.notifier.wake();
    app.tell_peers();
    Ok(signed)
}

/// Removes the binding of a 3PID to a user, if there is one; of what is no 3PID
/// there is none.
///
/// # Errors
/// Only when the machinery fails.
pub async fn unbind(app: &App, threepid: Option<ThreePid>, mxid: Mxid) -> Result<(), Error> {
    let Some(threepid) = threepid else {
        return Ok(());
    };
    let now = app.clock.now();
    let unbind = Unbind {
        threepid,
        mxid,
        now,
    };
    if app.associations.send(unbind).await? {
        app.tell_peers();
    }
    Ok(())
}

/// Binds what a session has validated.
///
/// # Errors
/// See BND-06; nothing is bound then.
pub async fn bind_session(
    app: Arc<App>,
    session: ValidatedSession,
    mxid: Mxid,
) -> Result<Map<String, Value>, Error> {
    let proof = app.sessions.send(session).await?.map_err(Error::session)?;
    bind(&app, proof, mxid).await
}
