//! Unbind, by whoever proves that they may (section 14 of the conformance list).

use std::sync::Arc;

use tokio::time::timeout;

use crate::actor::federation::{CallError, KeyError};
use crate::actor::sessions::ValidatedSession;
use crate::app::App;
use crate::domain::ids::{Mxid, ServerName};
use crate::domain::request_auth::SignedRequest;
use crate::domain::threepid::ThreePid;
use crate::domain::x_matrix::XMatrix;
use crate::error::Error;
use crate::flow::bind;

/// What is to be removed.
#[derive(Debug)]
pub struct Binding {
    /// What is bound; `None` is nothing that can be bound.
    pub threepid: Option<ThreePid>,
    /// To whom.
    pub mxid: Mxid,
}

/// More signatures of one request than any homeserver makes; each may ask the
/// homeserver for a key.
const MOST_SIGNATURES: usize = 4;

/// Removes a binding that the user's homeserver wants removed.
///
/// # Errors
/// See UNB-06, UNB-08, UNB-14, UNB-17; nothing is removed then.
pub async fn by_homeserver(
    app: Arc<App>,
    binding: Binding,
    request: SignedRequest,
    stated: Vec<XMatrix>,
) -> Result<(), Error> {
    let own = &app.config.server.own_names;
    let named = |one: &XMatrix| {
        one.destination
            .as_ref()
            .is_none_or(|name| own.contains(name))
    };
    if !stated.iter().all(named) {
        return Err(Error::signed_for_another());
    }
    let of_the_user = |one: &XMatrix| one.origin.as_str() == binding.mxid.server_name();
    if !stated.iter().all(of_the_user) || stated.len() > MOST_SIGNATURES {
        return Err(Error::unbind_refused());
    }
    // The rest of the time is for the answer.
    let patience = app.config.http.request_timeout * 3 / 4;
    let proven = timeout(patience, is_proven(&app, &request, &stated)).await;
    if !proven.map_err(|_elapsed| Error::homeserver_unreachable())?? {
        return Err(Error::unbind_refused());
    }
    bind::unbind(&app, binding.threepid, binding.mxid).await
}

/// Whether one of the signatures is good. All are of one origin, so that the
/// first key that it does not give is the last one that it is asked for.
async fn is_proven(app: &App, request: &SignedRequest, stated: &[XMatrix]) -> Result<bool, Error> {
    let own = &app.config.server.own_names;
    for one in stated {
        let key = key_of(app, &one.origin, one).await?;
        if key.is_some_and(|key| request.is_signed(one, own, &key)) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn key_of(
    app: &App,
    origin: &ServerName,
    stated: &XMatrix,
) -> Result<Option<[u8; 32]>, Error> {
    let asked = app.federation.server_key(origin, &stated.key).await?;
    asked.map_err(|error| {
        log::info!("a homeserver's request to unbind failed: {origin}: {error}");
        match error {
            KeyError::Unreachable(CallError::NotAllowed) => Error::homeserver_not_allowed(),
            KeyError::Unreachable(_) => Error::homeserver_unreachable(),
            KeyError::BadAnswer(_) => Error::homeserver_keys_unusable(),
        }
    })
}

/// Removes a binding of what a session has validated, whoever it is bound to
/// (UNB-03).
///
/// # Errors
/// See UNB-07; nothing is removed then.
pub async fn by_session(
    app: Arc<App>,
    binding: Binding,
    session: ValidatedSession,
) -> Result<(), Error> {
    let proof = app.sessions.send(session).await?;
    let proof = proof.map_err(Error::unbind_session)?;
    if Some(proof.threepid()) != binding.threepid.as_ref() {
        return Err(Error::unbind_refused());
    }
    bind::unbind(&app, binding.threepid, binding.mxid).await
}
