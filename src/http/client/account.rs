//! Accounts of this identity server.
//!
//! - [`POST /_matrix/identity/v2/account/register`](https://spec.matrix.org/v1.19/identity-service-api/#post_matrixidentityv2accountregister)
//! - [`GET /_matrix/identity/v2/account`](https://spec.matrix.org/v1.19/identity-service-api/#get_matrixidentityv2account)
//! - [`POST /_matrix/identity/v2/account/logout`](https://spec.matrix.org/v1.19/identity-service-api/#post_matrixidentityv2accountlogout)

use actix_web::web;
use serde::{Deserialize, Serialize};
use serde_json::Number;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::actor::accounts::CloseToken;
use crate::app::App;
use crate::domain::Invalid;
use crate::domain::ids::{Mxid, ServerName};
use crate::error::{Error, Kind};
use crate::flow::register;
use crate::http::access::{Anyone, V2};
use crate::http::args::{Body, Query};
use crate::http::call::Call;
use crate::http::empty::{Empty, NoArguments};
use crate::http::fields::Request;
use crate::http::resource::Endpoint;
use crate::http::token::AccessToken;

/// A token of the OpenID API of the user's homeserver.
#[derive(Deserialize, ToSchema)]
pub struct RegisterRequest {
    access_token: OpenIdToken,
    matrix_server_name: ServerName,
    // Clients may omit these two, which are not needed (ACC-01).
    #[serde(rename = "token_type")]
    _token_type: Option<String>,
    #[serde(rename = "expires_in")]
    #[schema(value_type = Option<i64>)]
    _expires_in: Option<Number>,
}

impl Request for RegisterRequest {}

// It becomes part of a URL, whose length is limited.
/// An OpenID token.
#[derive(Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 4096)]
struct OpenIdToken(Zeroizing<String>);

impl TryFrom<String> for OpenIdToken {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        match text.len() {
            1..=4096 => Ok(Self(Zeroizing::new(text))),
            _ => Err(Invalid("must have 1 to 4096 bytes")),
        }
    }
}

/// An access token of this identity server.
#[derive(Serialize, ToSchema)]
pub struct RegisterResponse {
    /// The access token.
    token: String,
    /// The same, since some clients read only this field.
    access_token: String,
}

pub(in crate::http) const REGISTER: Endpoint = Endpoint {
    summary: "Register with a token of the homeserver's OpenID API",
    // ACC-05, ACC-08, ACC-12, ACC-14
    errors: &[
        Kind::OPENID_TOKEN_REFUSED,
        Kind::FOREIGN_USER,
        Kind::HOMESERVER_NOT_ALLOWED,
        Kind::ACCOUNT_BLOCKED,
        Kind::LIMIT_EXCEEDED,
        Kind::BAD_HOMESERVER_RESPONSE,
        Kind::HOMESERVER_UNREACHABLE,
    ],
};

/// Opens an account for the user of an OpenID token.
pub async fn register(
    app: web::Data<App>,
    mut call: Call<Anyone, Body, RegisterRequest>,
) -> Result<web::Json<RegisterResponse>, Error> {
    app.limiters
        .registrations
        .take_for_client(call.client)
        .map_err(Error::limit_exceeded)?;
    let request = call.request()?;
    let (server, openid_token) = (&request.matrix_server_name, &request.access_token.0);
    let token = register::register(&app, call.client, server, openid_token).await?;
    Ok(web::Json(RegisterResponse {
        token: token.to_string(),
        // iOS reads no other field (ACC-03).
        access_token: token.to_string(),
    }))
}

/// Whose access token it is.
#[derive(Serialize, ToSchema)]
pub struct AccountResponse {
    /// The user.
    user_id: Mxid,
}

pub(in crate::http) const USER: Endpoint = Endpoint {
    summary: "Get the user of the access token",
    errors: &[],
};

/// Returns the user of the access token. Clients learn from its refusal that
/// there are terms to accept (AUTH-09).
pub async fn user(call: Call<V2, Query, NoArguments>) -> Result<web::Json<AccountResponse>, Error> {
    let user_id = call.caller.into_user().ok_or_else(Error::unauthorized)?;
    Ok(web::Json(AccountResponse { user_id }))
}

pub(in crate::http) const LOGOUT: Endpoint = Endpoint {
    summary: "Invalidate the access token",
    errors: &[Kind::UNKNOWN_TOKEN],
};

/// Invalidates the access token of the request, and no other of its user. A user
/// who has not accepted the terms can log out too (ACC-11), and the body does not
/// matter (ACC-09).
pub async fn logout(app: web::Data<App>, token: AccessToken) -> Result<web::Json<Empty>, Error> {
    let token_hash = token.hash();
    if app.accounts.send(CloseToken { token_hash }).await? {
        Ok(web::Json(Empty {}))
    } else {
        // Only here: clients take this errcode for the end of their session with
        // the homeserver (AUTH-06, AUTH-19).
        Err(Error::unknown_token())
    }
}
