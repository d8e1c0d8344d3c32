//! `…/validate/email/requestToken` and `…/validate/email/submitToken`
//! (section 9 of the conformance list).

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError as _, web};
use serde_json::{Value, json};

use crate::actor::sessions::{self, SubmitToken};
use crate::app::App;
use crate::delivery::templates::VerifyResponse;
use crate::domain::email::CanonicalEmail;
use crate::domain::next_link::NextLink;
use crate::domain::secret::{ClientSecret, Sid, Token};
use crate::domain::session::Denied;
use crate::domain::threepid::Medium;
use crate::error::Error;
use crate::flow::validate::{self, RequestToken};
use crate::http::args::{Fields, QueryArgs};
use crate::http::call::{Call, FormBody, Version};
use crate::http::{page, send_attempt};

/// `POST requestToken`: sends a code and a link to an address.
///
/// # Errors
/// See EML-03 … EML-08.
pub async fn request_token<V: Version>(
    app: web::Data<App>,
    args: Call<V, FormBody>,
) -> Result<HttpResponse, Error> {
    args.require(&["client_secret", "email", "send_attempt"])?;
    let request = RequestToken {
        client_secret: args.parse("client_secret", ClientSecret::parse)?,
        email: CanonicalEmail::parse(args.text("email")?)
            .map_err(|_invalid| Error::invalid_email())?,
        send_attempt: send_attempt::read(&args)?,
        next_link: next_link(&app, &args)?,
        brand: app
            .templates
            .brand(args.optional_text("brand")?)
            .to_string(),
        client: args.client,
    };
    let begun = validate::request_token(app.clone().into_inner(), request);
    let sid = app.detached_waits.run(begun).await??;
    Ok(HttpResponse::Ok().json(json!({ "sid": sid.expose() })))
}

/// `POST submitToken`: a client passes on the code that its user typed.
///
/// # Errors
/// See EML-15 … EML-17.
pub async fn submit_token<V: Version>(
    app: web::Data<App>,
    args: Call<V, FormBody>,
) -> Result<HttpResponse, Error> {
    match show(&app, &args).await? {
        Shown::Validated(_) => {}
        Shown::WrongToken => return Err(Error::token_incorrect()),
        Shown::Denied(denied) => return Err(Error::submit_denied(denied)),
    }
    Ok(HttpResponse::Ok().json(json!({ "success": true })))
}

/// `GET submitToken`: somebody opened the mailed link. Answers a page, or goes
/// on to where the client wanted (EML-19 … EML-22).
///
/// # Errors
/// Only when the page itself cannot be made.
pub async fn submit_page(
    app: web::Data<App>,
    args: Result<QueryArgs, Error>,
) -> Result<HttpResponse, Error> {
    let shown = match &args {
        Ok(args) => show(&app, args).await,
        Err(_) => Err(Error::missing_params(&["sid", "client_secret", "token"])),
    };
    let (refusal, message) = match shown {
        Ok(Shown::Validated(Some(link))) => return Ok(page::redirect(&link)),
        Ok(Shown::Validated(None)) => (None, CONFIRMED),
        Ok(Shown::Denied(Denied::Expired)) => {
            (Some(Error::submit_denied(Denied::Expired)), EXPIRED)
        }
        Ok(Shown::Denied(denied)) => (Some(Error::submit_denied(denied)), NOT_VALID),
        Ok(Shown::WrongToken) => (Some(Error::token_incorrect()), NOT_VALID),
        Err(error) if error.status().is_server_error() => (Some(error), NOT_NOW),
        Err(error) => (Some(error), NOT_VALID),
    };
    let brand = args.ok().and_then(|args| {
        args.value("brand")
            .and_then(Value::as_str)
            .map(str::to_owned)
    });
    let values = VerifyResponse {
        message: message.to_owned(),
        success: refusal.is_none(),
    };
    let page = app
        .templates
        .verify_response_page(&app.templates.brand(brand.as_deref()), &values)?;
    let Some(refusal) = refusal else {
        return Ok(page::html(StatusCode::OK, page));
    };
    let mut answer = page::html(refusal.status(), page);
    let refused = refusal.error_response();
    if let Some(seconds) = refused.headers().get(header::RETRY_AFTER) {
        let headers = answer.headers_mut();
        headers.insert(header::RETRY_AFTER, seconds.clone());
    }
    Ok(answer)
}

const CONFIRMED: &str =
    "Your e-mail address is confirmed. You can close this page and go back to your app.";
const EXPIRED: &str =
    "This link has expired. Go back to your app and let it send you a new e-mail.";
const NOT_VALID: &str = "This link is not valid any more or not complete; copy the whole link \
    out of the newest e-mail, or go back to your app and let it send you a new one.";
const NOT_NOW: &str = "Your e-mail address cannot be confirmed at the moment; try the link again \
    in a few minutes.";

/// What showing a token came to; a link to go on to has the sid in it.
enum Shown {
    Validated(Option<String>),
    WrongToken,
    Denied(Denied),
}

/// Shows the token to its session.
async fn show(app: &App, args: &Fields) -> Result<Shown, Error> {
    args.require(&["sid", "client_secret", "token"])?;
    let sid = args.parse("sid", Sid::parse)?;
    let submit = SubmitToken {
        sid: sid.clone(),
        client_secret: args.parse("client_secret", ClientSecret::parse)?,
        token: args.parse("token", Token::parse)?,
        medium: Medium::Email,
        now: app.clock.now(),
    };
    Ok(match app.sessions.ask(submit).await? {
        sessions::Shown::Validated(link) => Shown::Validated(link.map(|link| link.with_sid(&sid))),
        sessions::Shown::WrongToken => Shown::WrongToken,
        sessions::Shown::Denied(denied) => Shown::Denied(denied),
    })
}

fn next_link(app: &App, args: &Fields) -> Result<Option<NextLink>, Error> {
    let given = args
        .optional_text("next_link")?
        .filter(|link| !link.is_empty());
    let rules = app.config.validation.next_link_rules();
    given
        .map(|link| NextLink::parse(link, &rules))
        .transpose()
        .map_err(|why| Error::invalid_param("next_link", why))
}
