//! Unbind on request of a homeserver, or of the holder of a validation session
//! (<https://spec.matrix.org/v1.19/identity-service-api/#post_matrixidentityv23pidunbind>).

use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::timeout;

use super::{FlowError, HomeserverProblem, bind, charges};
use crate::actor::federation::{CallError, KeyError};
use crate::actor::sessions::ValidatedSession;
use crate::app::App;
use crate::domain::ids::Mxid;
use crate::domain::public_key::PublicKey;
use crate::domain::request_auth::SignedRequest;
use crate::domain::threepid::ThreePid;
use crate::domain::x_matrix::XMatrix;

/// A binding to remove.
#[derive(Debug)]
pub struct Binding {
    /// The 3PID; `None` for one that cannot be bound.
    pub threepid: Option<ThreePid>,
    /// The user.
    pub mxid: Mxid,
}

/// More signatures than any homeserver makes for one request. Each may cause a
/// call to the homeserver for a key.
const MAX_SIGNATURES: usize = 4;

/// Removes a binding on request of the user's homeserver.
///
/// # Errors
/// [`FlowError::SignedForAnotherServer`], [`FlowError::Limited`], [`FlowError::UnbindRefused`] or
/// [`FlowError::Homeserver`]; nothing is removed then (UNB-06, UNB-08, UNB-14,
/// UNB-17).
pub async fn by_homeserver(
    app: Arc<App>,
    binding: Binding,
    request: SignedRequest,
    signatures: Vec<XMatrix>,
    client: Option<IpAddr>,
) -> Result<(), FlowError> {
    let own_names = &app.config.server.own_names;
    let is_for_us = |signature: &XMatrix| {
        signature
            .destination
            .as_ref()
            .is_none_or(|name| own_names.contains(name))
    };
    if !signatures.iter().all(is_for_us) {
        return Err(FlowError::SignedForAnotherServer);
    }
    let by_users_server =
        |signature: &XMatrix| signature.origin.as_str() == binding.mxid.server_name();
    if !signatures.iter().all(by_users_server) || signatures.len() > MAX_SIGNATURES {
        return Err(FlowError::UnbindRefused);
    }
    // Leaves time for the response within the request timeout, also after the charges.
    let limit = app.config.http.request_timeout * 3 / 4;
    let is_proven = timeout(limit, is_proven(&app, &request, &signatures, client))
        .await
        .map_err(|_elapsed| FlowError::Homeserver(HomeserverProblem::Unreachable))??;
    if !is_proven {
        return Err(FlowError::UnbindRefused);
    }
    bind::unbind(&app, binding.threepid, binding.mxid).await?;
    Ok(())
}

/// Whether one of the signatures is good. All are of one origin, so the first
/// key that it does not give is the last one that it is asked for.
async fn is_proven(
    app: &App,
    request: &SignedRequest,
    signatures: &[XMatrix],
    client: Option<IpAddr>,
) -> Result<bool, FlowError> {
    let own_names = &app.config.server.own_names;
    for signature in signatures {
        let key = server_key(app, signature, client).await?;
        if key.is_some_and(|key| request.is_signed(signature, own_names, &key)) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn server_key(
    app: &App,
    signature: &XMatrix,
    client: Option<IpAddr>,
) -> Result<Option<PublicKey>, FlowError> {
    let (origin, id) = (&signature.origin, &signature.key);
    let known = app.federation.known_key(origin, id, client).await?;
    let found = if let Some(known) = known {
        known
    } else {
        // Only what makes this server call a homeserver costs a transaction: anyone can
        // send signatures that are not valid. It is charged also if it finds no place.
        charges::charge(app, charges::of_signed_unbind(app, client, origin)).await?;
        app.federation.server_key(origin, id, client).await?
    };
    found.map_err(|error| {
        log::info!(server = origin.as_str(); "unbind request of a homeserver failed: {error}");
        FlowError::Homeserver(match error {
            KeyError::Unreachable(CallError::NotAllowed) => HomeserverProblem::NotAllowed,
            KeyError::Unreachable(_) => HomeserverProblem::Unreachable,
            KeyError::InvalidResponse(_) => HomeserverProblem::BadKeys,
        })
    })
}

/// Removes a binding of the 3PID that a session has validated, to whichever user
/// it is bound (UNB-03).
///
/// # Errors
/// [`FlowError::UnbindSession`] when the session proves nothing, and
/// [`FlowError::UnbindRefused`] when it proves another 3PID; nothing is removed
/// then (UNB-07).
pub async fn by_session(
    app: Arc<App>,
    binding: Binding,
    session: ValidatedSession,
) -> Result<(), FlowError> {
    let proof = app
        .sessions
        .send(session)
        .await?
        .map_err(FlowError::UnbindSession)?;
    if Some(proof.threepid()) != binding.threepid.as_ref() {
        return Err(FlowError::UnbindRefused);
    }
    bind::unbind(&app, binding.threepid, binding.mxid).await?;
    Ok(())
}
