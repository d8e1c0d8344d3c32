//! Validated addresses, and binding them.
//!
//! - [`GET /_matrix/identity/v2/3pid/getValidated3pid`](https://spec.matrix.org/v1.19/identity-service-api/#get_matrixidentityv23pidgetvalidated3pid)
//! - [`POST /_matrix/identity/v2/3pid/bind`](https://spec.matrix.org/v1.19/identity-service-api/#post_matrixidentityv23pidbind)

use actix_web::web;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::actor::sessions::ValidatedSession;
use crate::app::App;
use crate::domain::ids::Mxid;
use crate::domain::secret::{ClientSecret, Sid};
use crate::domain::threepid::Medium;
use crate::error::{Error, Kind};
use crate::flow::bind::{self, BindSession};
use crate::http::access::Access;
use crate::http::args::{FormBody, Query};
use crate::http::call::Call;
use crate::http::fields::Request;
use crate::http::resource::Endpoint;
use crate::http::signed::{SignedAssociation, typed};

/// A validation session.
#[derive(Deserialize, ToSchema)]
pub struct SessionRequest {
    sid: Sid,
    client_secret: ClientSecret,
}

impl Request for SessionRequest {}

impl SessionRequest {
    /// What the session proves at a time, in milliseconds since the epoch.
    pub(super) fn at(self, now: i64) -> ValidatedSession {
        ValidatedSession {
            sid: self.sid,
            client_secret: self.client_secret,
            now,
        }
    }
}

/// The address that a session has validated.
#[derive(Serialize, ToSchema)]
pub struct GetValidatedResponse {
    medium: Medium,
    /// The canonical address.
    address: String,
    /// When it was validated, in milliseconds since the epoch.
    validated_at: i64,
}

pub(in crate::http) const GET_VALIDATED: Endpoint = Endpoint {
    summary: "Get the address that a session has validated",
    // VAL-04
    errors: &[
        Kind::SESSION_NOT_VALIDATED,
        Kind::SESSION_EXPIRED,
        Kind::NO_VALID_SESSION,
    ],
};

/// Returns the address that a session has validated.
pub async fn get_validated<A: Access>(
    app: web::Data<App>,
    mut call: Call<A, Query, SessionRequest>,
) -> Result<web::Json<GetValidatedResponse>, Error> {
    let session = call.request()?.at(app.clock.now().as_i64());
    let proof = app.sessions.send(session).await?.map_err(Error::session)?;
    Ok(web::Json(GetValidatedResponse {
        medium: proof.threepid().medium(),
        address: proof.threepid().address().to_owned(),
        validated_at: proof.validated_at().ok_or_else(Error::internal)?,
    }))
}

/// A validation session, and the user to bind its address to.
#[derive(Deserialize, ToSchema)]
pub struct BindRequest {
    mxid: Mxid,
    sid: Sid,
    client_secret: ClientSecret,
}

impl Request for BindRequest {}

pub(in crate::http) const BIND: Endpoint = Endpoint {
    summary: "Bind a validated address to a Matrix user",
    // BND-06, BND-07
    errors: &[
        Kind::SESSION_NOT_VALIDATED,
        Kind::SESSION_EXPIRED,
        Kind::NO_VALID_SESSION,
        Kind::WRONG_USER,
        Kind::LIMIT_EXCEEDED,
    ],
};

/// Binds the address that a session has validated to a user.
pub async fn bind<A: Access>(
    app: web::Data<App>,
    mut call: Call<A, FormBody, BindRequest>,
) -> Result<web::Json<SignedAssociation>, Error> {
    let request = call.request()?;
    call.caller.may_act_for(&request.mxid)?;
    app.limiters
        .binds
        .take(call.caller.user(), call.client)
        .map_err(Error::limit_exceeded)?;
    let session = ValidatedSession {
        sid: request.sid,
        client_secret: request.client_secret,
        now: app.clock.now().as_i64(),
    };
    let bind = BindSession {
        session,
        mxid: request.mxid,
        client: call.client,
        account: call.caller.into_user(),
    };
    let inner = app.clone().into_inner();
    let signed = app.detached.run(bind::bind_session(inner, bind)).await??;
    Ok(web::Json(typed(signed)?))
}
