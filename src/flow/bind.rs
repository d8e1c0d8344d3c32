//! Bind and unbind.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::FlowError;
use super::charges::{self, Requester};
use crate::actor::associations::{Bind, BindOutcome, OnbindNotification, Unbind};
use crate::actor::pool::Fault;
use crate::actor::sessions::ValidatedSession;
use crate::actor::signer::Sign;
use crate::app::App;
use crate::domain::association::Association;
use crate::domain::counter::Limit;
use crate::domain::ids::Mxid;
use crate::domain::message::MessageId;
use crate::domain::session::Proof;
use crate::domain::threepid::ThreePid;
use crate::random;

/// How often a binding is dated again. After the first time, each one means that another
/// request has bound the same address meanwhile, of which only so many run at a time.
const MAX_DATES: usize = 2000;

/// Binds a proven 3PID to a user. Returns the signed association (BND-02).
pub async fn bind(app: &App, proof: Proof, mxid: Mxid) -> Result<Map<String, Value>, FlowError> {
    bind_within(app, proof, mxid, Vec::new()).await
}

/// The same within these limits.
async fn bind_within(
    app: &App,
    proof: Proof,
    mxid: Mxid,
    mut limits: Vec<Limit>,
) -> Result<Map<String, Value>, FlowError> {
    let now = app.clock.now();
    let mut association = Association::new(proof.into_threepid(), mxid, now.as_i64());
    let id = MessageId::from(random::alphanumeric(32)?);
    for _ in 0..MAX_DATES {
        let object = association.to_object();
        let signed = app.signer.send(Sign { object }).await?;
        let bind = Bind {
            notification: OnbindNotification {
                id: id.clone(),
                expires_at: now.after(app.config.delivery.onbind_give_up),
            },
            association: association.clone(),
            signed: signed.clone(),
            // The first try is charged, whatever comes of it.
            limits: std::mem::take(&mut limits),
            now: now.as_i64(),
        };
        match app.associations.send(bind).await? {
            BindOutcome::Stored => {
                app.onbind_worker.wake();
                app.wake_replicator();
                return Ok(signed);
            }
            BindOutcome::TooOld(ts) => association.ts = ts,
            BindOutcome::Limited(refusal) => return Err(FlowError::Limited(refusal)),
        }
    }
    Err(Fault::Internal("the address is being bound by others at the same time").into())
}

/// Removes the binding of a 3PID to a user, if there is one; returns whether there was.
/// Without a 3PID there is nothing to remove.
pub async fn unbind(app: &App, threepid: Option<ThreePid>, mxid: Mxid) -> Result<bool, FlowError> {
    let Some(threepid) = threepid else {
        return Ok(false);
    };
    let now = app.clock.now();
    let unbind = Unbind {
        threepid,
        mxid,
        now: now.as_i64(),
    };
    let removed = app.associations.send(unbind).await?;
    if removed {
        app.wake_replicator();
    }
    Ok(removed)
}

/// A request to bind.
#[derive(Debug)]
pub struct BindSession {
    /// What proves the 3PID.
    pub session: ValidatedSession,
    /// The user to bind it to.
    pub mxid: Mxid,
    /// The IP address of the client.
    pub client: Option<IpAddr>,
    /// The account of the client.
    pub account: Option<Mxid>,
}

/// Binds the 3PID that a session has validated.
///
/// # Errors
/// [`FlowError::Session`] when the session proves nothing, [`FlowError::Limited`] when it
/// was bound too often; nothing is bound then.
pub async fn bind_session(
    app: Arc<App>,
    request: BindSession,
) -> Result<Map<String, Value>, FlowError> {
    let by = Requester {
        client: request.client,
        account: request.account.as_ref(),
    };
    let sid = request.session.sid.clone();
    let limits = charges::of_bind(&app, by, &sid);
    let proof = app
        .sessions
        .send(request.session)
        .await?
        .map_err(FlowError::Session)?;
    // Before anything is signed or locked.
    app.limiters
        .binds
        .take_session(&sid)
        .map_err(FlowError::Limited)?;
    bind_within(&app, proof, request.mxid, limits).await
}
