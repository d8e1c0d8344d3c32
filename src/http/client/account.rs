//! `…/v2/account` and what is below it (section 4 of the conformance list).

use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::actor::accounts::CloseToken;
use crate::app::App;
use crate::error::Error;
use crate::http::call::{Call, Query, V2};
use crate::http::token::AccessToken;

/// `GET …/v2/account`: whose token that is. Clients learn from its refusal that
/// there are terms to accept (AUTH-09).
pub async fn user(call: Call<V2, Query>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "user_id": call.caller.user() }))
}

/// `POST …/v2/account/logout`: ends the token that it is called with, and no
/// other of the user. Whoever does not accept the terms may leave too (ACC-11);
/// the body does not matter (ACC-09).
///
/// # Errors
/// 401 `M_UNKNOWN_TOKEN` when the token is nobody's (AUTH-06).
pub async fn logout(app: web::Data<App>, token: AccessToken) -> Result<HttpResponse, Error> {
    let close = CloseToken {
        token_hash: token.hash(),
    };
    if app.accounts.ask(close).await? {
        Ok(HttpResponse::Ok().json(json!({})))
    } else {
        Err(Error::unknown_token())
    }
}
