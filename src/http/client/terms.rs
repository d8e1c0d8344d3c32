//! `GET` and `POST …/v2/terms` (section 5 of the conformance list).

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use crate::actor::accounts::AcceptTerms;
use crate::app::App;
use crate::error::Error;
use crate::http::args::Fields;
use crate::http::call::{Body, Call, V2BeforeTerms};

/// `GET`: the policies in force. Nobody is asked for a token, and what is sent
/// as one does not matter (AUTH-12).
pub async fn list(app: web::Data<App>) -> HttpResponse {
    HttpResponse::Ok().json(app.terms.current().to_json())
}

/// `POST`: a user accepts policies by their URLs, some now and others later.
///
/// # Errors
/// 400 when none of the URLs is that of a policy (TOS-09).
pub async fn accept(
    app: web::Data<App>,
    call: Call<V2BeforeTerms, Body>,
) -> Result<HttpResponse, Error> {
    call.require(&["user_accepts"])?;
    let given = urls(&call)?;
    let urls = app.terms.current().known(given.iter().copied());
    if urls.is_empty() && !given.is_empty() {
        let why = "none of these is the URL of a policy of this server";
        return Err(Error::invalid_param("user_accepts", why));
    }
    if let (Some(user), false) = (call.caller.user(), urls.is_empty()) {
        let accept = AcceptTerms {
            user: user.clone(),
            urls,
            now: app.clock.now(),
        };
        app.accounts.send(accept).await?;
    }
    Ok(HttpResponse::Ok().json(json!({})))
}

fn urls(fields: &Fields) -> Result<Vec<&str>, Error> {
    let list = fields.value("user_accepts").and_then(Value::as_array);
    list.and_then(|list| list.iter().map(Value::as_str).collect())
        .ok_or_else(|| Error::invalid_param("user_accepts", "must be a list of URLs"))
}
