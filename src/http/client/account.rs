//! `…/v2/account` and what is below it (section 4 of the conformance list).

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::actor::accounts::CloseToken;
use crate::app::App;
use crate::domain::Invalid;
use crate::domain::ids::ServerName;
use crate::error::Error;
use crate::flow::register;
use crate::http::args::{Fields, JsonArgs};
use crate::http::call::{Call, Query, V2};
use crate::http::client_ip::ClientIp;
use crate::http::token::AccessToken;

/// `POST …/v2/account/register`: an account for the user whose homeserver vouches
/// for the `OpenID` token.
///
/// # Errors
/// See ACC-07, ACC-08, ACC-12, ACC-14.
pub async fn register(
    app: web::Data<App>,
    http: HttpRequest,
    args: JsonArgs,
) -> Result<HttpResponse, Error> {
    let client = ClientIp::of(&http, &app.config.http.trusted_proxies).0;
    app.register_limits
        .take_for_client(client)
        .map_err(Error::limit_exceeded)?;
    args.require(&["access_token", "matrix_server_name"])?;
    let server = args.parse("matrix_server_name", ServerName::parse)?;
    let openid_token = args.parse("access_token", openid_token)?;
    check_the_rest(&args)?;
    let token = register::register(&app, client, &server, &openid_token).await?;
    // iOS reads only `access_token` (ACC-03).
    let answer = json!({ "token": token.as_str(), "access_token": token.as_str() });
    Ok(HttpResponse::Ok().json(answer))
}

/// It becomes a part of a URL, which has its limits.
fn openid_token(text: &str) -> Result<Zeroizing<String>, Invalid> {
    match text.len() {
        1..=4096 => Ok(Zeroizing::new(text.to_owned())),
        _ => Err(Invalid("must have from 1 to 4096 bytes")),
    }
}

/// Clients may leave these out (ACC-01), and what they say is not needed.
fn check_the_rest(args: &Fields) -> Result<(), Error> {
    args.optional_text("token_type")?;
    match args.value("expires_in") {
        None | Some(Value::Number(_)) => Ok(()),
        Some(_) => Err(Error::invalid_param("expires_in", "must be a number")),
    }
}

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
    if app.accounts.send(close).await? {
        Ok(HttpResponse::Ok().json(json!({})))
    } else {
        Err(Error::unknown_token())
    }
}
