//! What the submitToken endpoints of both media have in common.

use std::net::IpAddr;

use actix_web::http::header::HeaderMap;
use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use crate::actor::sessions::SubmitToken;
use crate::app::App;
use crate::delivery::templates::{ContinuePage, NextStep, VerifyResponse};
use crate::domain::rate::is_within;
use crate::domain::secret::{ClientSecret, Sid, Token};
use crate::domain::session::{Denied, SubmitOutcome};
use crate::domain::threepid::Medium;
use crate::error::{Error, Kind};
use crate::http::access::Anyone;
use crate::http::args::Arguments;
use crate::http::call::Call;
use crate::http::fields::Request;
use crate::http::next_link;
use crate::http::page::Page;
use crate::http::prefetch::is_prefetch;
use crate::http::resource::Endpoint;

/// The token was right.
#[derive(Serialize, ToSchema)]
pub struct SubmitTokenResponse {
    /// Always true; errors have it as false.
    success: bool,
}

pub(super) const SUBMIT_TOKEN: Endpoint = Endpoint {
    summary: "Validate an address with the token that was sent to it",
    // EML-15, EML-16, EML-17, OPS-03
    errors: &[
        Kind::TOKEN_INCORRECT,
        Kind::WRONG_SESSION,
        Kind::SESSION_EXPIRED,
        Kind::LIMIT_EXCEEDED,
    ],
};

pub(super) const SUBMIT_PAGE: Endpoint = Endpoint {
    summary: "Validate an address by opening the link that was sent to it",
    errors: &[],
};

pub(super) const CONFIRM_PAGE: Endpoint = Endpoint {
    summary: "Validate an address with the button of the page that the link opens",
    errors: &[],
};

/// A token that was submitted to a session.
pub(super) struct Submission {
    pub sid: Sid,
    pub client_secret: ClientSecret,
    pub token: Token,
}

/// The texts of the page.
pub(super) struct PageTexts {
    /// The address is validated.
    pub confirmed: &'static str,
    /// The session has expired.
    pub expired: &'static str,
    /// The token, the secret or the session is wrong.
    pub not_valid: &'static str,
    /// The server failed.
    pub unavailable: &'static str,
    /// The link was opened in advance.
    pub prefetched: &'static str,
    /// The question above the button.
    pub ask: &'static str,
}

impl PageTexts {
    /// The text of an outcome, and its error if it is one.
    fn choose(&self, outcome: Result<SubmitOutcome, Error>) -> (Option<Error>, &'static str) {
        let error = match outcome {
            Ok(SubmitOutcome::Validated(_)) => return (None, self.confirmed),
            Ok(SubmitOutcome::Denied(denied @ Denied::Expired)) => {
                return (Some(Error::submit_denied(denied)), self.expired);
            }
            Ok(SubmitOutcome::Denied(denied)) => Error::submit_denied(denied),
            Ok(SubmitOutcome::WrongToken(_)) => Error::token_incorrect(),
            Err(error) if error.status().is_server_error() => {
                return (Some(error), self.unavailable);
            }
            Err(error) => error,
        };
        (Some(error), self.not_valid)
    }
}

/// Counts a submission against the limit of its client (OPS-03). A homeserver that passes
/// on those of its users is not limited: each session has a limit of wrong codes.
///
/// # Errors
/// `429 M_LIMIT_EXCEEDED` when the limit is exceeded.
pub(super) fn charge(app: &App, client: Option<IpAddr>) -> Result<(), Error> {
    if is_within(client, &app.config.limits.delegating_homeservers) {
        return Ok(());
    }
    app.limiters
        .submissions
        .as_ref()
        .map_or(Ok(()), |limiter| limiter.take_for_client(client, 1))
        .map_err(Error::limit_exceeded)
}

/// Submits a token and answers a program.
///
/// # Errors
/// See [`SUBMIT_TOKEN`].
pub(super) async fn respond(
    app: &App,
    submission: Submission,
    medium: Medium,
) -> Result<web::Json<SubmitTokenResponse>, Error> {
    match submit(app, submission, medium).await? {
        SubmitOutcome::Validated(_) => Ok(web::Json(SubmitTokenResponse { success: true })),
        SubmitOutcome::WrongToken(_) => Err(Error::token_incorrect()),
        SubmitOutcome::Denied(denied) => Err(Error::submit_denied(denied)),
    }
}

/// Answers a person who opened a link: validates the address or, if the configuration
/// wants that, shows the button that does. A link that is opened in advance validates
/// nothing (EML-27).
///
/// # Errors
/// `500 M_UNKNOWN` when the page cannot be rendered.
pub(super) async fn open_link(
    app: &App,
    headers: &HeaderMap,
    (submission, brand): (Result<Submission, Error>, Option<String>),
    medium: Medium,
    texts: &PageTexts,
) -> Result<Page, Error> {
    if is_prefetch(headers) {
        return result_page(
            app,
            Some(&Error::link_prefetched()),
            texts.prefetched,
            medium,
            brand.as_deref(),
        );
    }
    match submission {
        Ok(submission) if app.config.validation.confirm_with_button => {
            let fields = [
                ("sid", submission.sid.expose()),
                ("client_secret", submission.client_secret.expose()),
                ("token", submission.token.expose()),
                ("brand", brand.as_deref().unwrap_or_default()),
            ];
            let page = ContinuePage {
                message: texts.ask.to_owned(),
                medium,
                next: NextStep::Confirm(
                    fields.map(|(name, value)| (name, value.to_owned())).into(),
                ),
            };
            let brand = app.templates.brand(brand.as_deref());
            Ok(Page::form(app.templates.continue_page(&brand, &page)?))
        }
        submission => show_page(app, submission, medium, brand.as_deref(), texts).await,
    }
}

/// Submits a token and answers a person: with a page, or by a redirect to where
/// the client wanted (EML-19 … EML-22).
///
/// # Errors
/// `500 M_UNKNOWN` when the page cannot be rendered.
pub(super) async fn show_page(
    app: &App,
    submission: Result<Submission, Error>,
    medium: Medium,
    brand: Option<&str>,
    texts: &PageTexts,
) -> Result<Page, Error> {
    let secret = submission.as_ref().ok();
    let secret = secret.map(|submission| submission.client_secret.clone());
    let outcome = match submission {
        Ok(submission) => submit(app, submission, medium).await,
        Err(error) => Err(error),
    };
    if let (Ok(SubmitOutcome::Validated(session)), Some(secret)) = (&outcome, secret)
        && let Some(link) = &session.next_link
    {
        let link = link.restore(&secret);
        let host = link.unknown_host(&next_link::rules(app));
        let link = link.with_sid(&session.sid);
        return match host {
            None => Ok(Page::redirect(&link)),
            Some(host) => ask_page(app, host, link, medium, brand),
        };
    }
    let (error, message) = texts.choose(outcome);
    result_page(app, error.as_ref(), message, medium, brand)
}

/// The page that asks whether to go to a site which the configuration does not name:
/// the client that requested the message has chosen it (SES-30).
fn ask_page(
    app: &App,
    host: String,
    link: String,
    medium: Medium,
    brand: Option<&str>,
) -> Result<Page, Error> {
    let page = ContinuePage {
        message: ASK_TO_LEAVE.to_owned(),
        medium,
        next: NextStep::Leave { link, host },
    };
    let brand = app.templates.brand(brand);
    Ok(Page::html(app.templates.continue_page(&brand, &page)?))
}

const ASK_TO_LEAVE: &str = "The app that asked for this confirmation wants to continue on another \
    website, which this server does not know. Continue only if you know it.";

fn result_page(
    app: &App,
    error: Option<&Error>,
    message: &str,
    medium: Medium,
    brand: Option<&str>,
) -> Result<Page, Error> {
    let values = VerifyResponse {
        message: message.to_owned(),
        success: error.is_none(),
        medium,
    };
    let brand = app.templates.brand(brand);
    let html = app.templates.verify_response_page(&brand, &values)?;
    Ok(match error {
        None => Page::html(html),
        Some(error) => Page::error(error, html),
    })
}

async fn submit(app: &App, submission: Submission, medium: Medium) -> Result<SubmitOutcome, Error> {
    let Submission {
        sid,
        client_secret,
        token,
    } = submission;
    let submit = SubmitToken {
        sid,
        client_secret,
        token,
        medium,
        now: app.clock.now().as_i64(),
    };
    Ok(app.sessions.send(submit).await?)
}

/// The submission of a link, and the brand of the page that answers it.
pub(super) fn from_link<S: Arguments, T: Request + Into<Submission>>(
    call: Result<Call<Anyone, S, T>, Error>,
) -> (Result<Submission, Error>, Option<String>) {
    match call {
        Ok(mut call) => {
            let brand = call.text("brand").map(str::to_owned);
            (call.request().map(Into::into), brand)
        }
        Err(error) => (Err(error), None),
    }
}
