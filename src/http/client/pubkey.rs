//! `GET …/pubkey/{keyId}`, `…/pubkey/isvalid`, `…/pubkey/ephemeral/isvalid`:
//! the same under v1 and v2 (PUB-01 … PUB-11).

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use crate::actor::lookups::FindEphemeralKey;
use crate::app::App;
use crate::domain::base64;
use crate::error::Error;
use crate::http::args::QueryArgs;

/// The public key with that id.
///
/// # Errors
/// 404 when there is none.
pub async fn by_id(app: web::Data<App>, request: HttpRequest) -> Result<HttpResponse, Error> {
    let asked = request.match_info().get("key_id").unwrap_or_default();
    let found = app.public_keys.iter().find(|(id, _)| id.as_str() == asked);
    let (_, key) = found.ok_or_else(Error::key_not_found)?;
    Ok(HttpResponse::Ok().json(json!({ "public_key": base64::encode(key) })))
}

/// Whether that is a long-term key of this server, active or retired.
///
/// # Errors
/// 400 when no key is named.
pub async fn is_valid(app: web::Data<App>, args: QueryArgs) -> Result<HttpResponse, Error> {
    let asked = base64::decode_key(args.text("public_key")?);
    let valid = asked.is_some_and(|asked| app.public_keys.iter().any(|(_, key)| *key == asked));
    Ok(HttpResponse::Ok().json(json!({ "valid": valid })))
}

/// Whether that key was handed out with an invite.
///
/// # Errors
/// 400 when no key is named.
pub async fn is_ephemeral_valid(
    app: web::Data<App>,
    args: QueryArgs,
) -> Result<HttpResponse, Error> {
    let valid = match base64::decode_key(args.text("public_key")?) {
        Some(public_key) => app.lookups.send(FindEphemeralKey { public_key }).await?,
        None => false,
    };
    Ok(HttpResponse::Ok().json(json!({ "valid": valid })))
}
