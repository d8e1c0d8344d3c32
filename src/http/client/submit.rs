//! What the submitToken routes of all media share.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError as _};
use serde_json::{Value, json};

use crate::actor::sessions::{self, SubmitToken};
use crate::app::App;
use crate::delivery::templates::VerifyResponse;
use crate::domain::secret::{ClientSecret, Sid, Token};
use crate::domain::session::Denied;
use crate::domain::threepid::Medium;
use crate::error::Error;
use crate::http::args::{Fields, QueryArgs};
use crate::http::call::{Call, FormBody, Version};
use crate::http::page;

/// What the page says to people.
pub(super) struct PageTexts {
    /// It is validated.
    pub confirmed: &'static str,
    /// The session has ended.
    pub expired: &'static str,
    /// Token, secret or session are wrong.
    pub not_valid: &'static str,
    /// The server could not do it.
    pub not_now: &'static str,
}

/// `POST submitToken`.
///
/// # Errors
/// See EML-15 … EML-17; 429 when the client submits too many (OPS-03).
pub(super) async fn token<V: Version>(
    app: &App,
    args: &Call<V, FormBody>,
    medium: Medium,
) -> Result<HttpResponse, Error> {
    if let Some(limiter) = &app.submit_limiter {
        let counted = limiter.take_for_client(args.client, 1);
        counted.map_err(Error::limit_exceeded)?;
    }
    match show(app, args, medium).await? {
        PageOutcome::Validated(_) => {}
        PageOutcome::WrongToken => return Err(Error::token_incorrect()),
        PageOutcome::Denied(denied) => return Err(Error::submit_denied(denied)),
    }
    Ok(HttpResponse::Ok().json(json!({ "success": true })))
}

/// `GET submitToken`: shows the token to its session and answers a page, or goes
/// on to where the client wanted.
///
/// # Errors
/// Only when the page itself cannot be made.
pub(super) async fn page(
    app: &App,
    args: Result<QueryArgs, Error>,
    medium: Medium,
    words: &PageTexts,
) -> Result<HttpResponse, Error> {
    let shown = match &args {
        Ok(args) => show(app, args, medium).await,
        Err(_) => Err(Error::missing_params(&["sid", "client_secret", "token"])),
    };
    let (refusal, message) = match shown {
        Ok(PageOutcome::Validated(Some(link))) => return Ok(page::redirect(&link)),
        Ok(PageOutcome::Validated(None)) => (None, words.confirmed),
        Ok(PageOutcome::Denied(Denied::Expired)) => {
            (Some(Error::submit_denied(Denied::Expired)), words.expired)
        }
        Ok(PageOutcome::Denied(denied)) => (Some(Error::submit_denied(denied)), words.not_valid),
        Ok(PageOutcome::WrongToken) => (Some(Error::token_incorrect()), words.not_valid),
        Err(error) if error.status().is_server_error() => (Some(error), words.not_now),
        Err(error) => (Some(error), words.not_valid),
    };
    let brand = args.ok().and_then(|args| {
        args.value("brand")
            .and_then(Value::as_str)
            .map(str::to_owned)
    });
    let values = VerifyResponse {
        message: message.to_owned(),
        success: refusal.is_none(),
        medium,
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

/// What showing a token came to; a link to go on to has the sid in it.
enum PageOutcome {
    Validated(Option<String>),
    WrongToken,
    Denied(Denied),
}

/// Shows the token to its session.
async fn show(app: &App, args: &Fields, medium: Medium) -> Result<PageOutcome, Error> {
    args.require(&["sid", "client_secret", "token"])?;
    let sid = args.parse("sid", Sid::parse)?;
    let submit = SubmitToken {
        sid: sid.clone(),
        client_secret: args.parse("client_secret", ClientSecret::parse)?,
        token: args.parse("token", |token| Token::parse(typed(medium, token)))?,
        medium,
        now: app.clock.now(),
    };
    Ok(match app.sessions.send(submit).await? {
        sessions::SubmitOutcome::Validated(link) => {
            PageOutcome::Validated(link.map(|link| link.with_sid(&sid)))
        }
        sessions::SubmitOutcome::WrongToken => PageOutcome::WrongToken,
        sessions::SubmitOutcome::Denied(denied) => PageOutcome::Denied(denied),
    })
}

/// The token as it was meant: people type spaces after a code (SES-06).
fn typed(medium: Medium, token: &str) -> &str {
    match medium {
        Medium::Email => token,
        Medium::Msisdn => token.trim_matches(' '),
    }
}
