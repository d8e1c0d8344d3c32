//! Validating email addresses.
//!
//! - [`POST /_matrix/identity/v2/validate/email/requestToken`](https://spec.matrix.org/v1.19/identity-service-api/#post_matrixidentityv2validateemailrequesttoken)
//! - [`POST /_matrix/identity/v2/validate/email/submitToken`](https://spec.matrix.org/v1.19/identity-service-api/#post_matrixidentityv2validateemailsubmittoken)
//! - [`GET /_matrix/identity/v2/validate/email/submitToken`](https://spec.matrix.org/v1.19/identity-service-api/#get_matrixidentityv2validateemailsubmittoken)

use actix_web::{HttpRequest, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::submit::{self, PageTexts, Submission, SubmitTokenResponse};
use crate::app::App;
use crate::domain::email::CanonicalEmail;
use crate::domain::secret::{ClientSecret, Sid, Token};
use crate::domain::threepid::Medium;
use crate::error::{Error, Kind};
use crate::flow::validate::{self, RequestToken, Target};
use crate::http::access::{Access, Anyone};
use crate::http::args::{FormBody, Query};
use crate::http::call::Call;
use crate::http::fields::Request;
use crate::http::next_link;
use crate::http::page::Page;
use crate::http::resource::Endpoint;
use crate::http::send_attempt::SendAttempt;

/// The address to validate.
#[derive(Deserialize, ToSchema)]
pub struct RequestEmailTokenRequest {
    client_secret: ClientSecret,
    email: CanonicalEmail,
    send_attempt: SendAttempt,
    /// Where the browser goes when the link in the email was opened.
    next_link: Option<String>,
    /// Which templates the server uses; an unknown brand is the default one.
    brand: Option<String>,
}

impl Request for RequestEmailTokenRequest {
    const HAS_BRAND: bool = true;

    fn invalid(field: &str, reason: &str) -> Error {
        match field {
            "email" => Error::invalid_email(),
            _ => Error::invalid_param(field, reason),
        }
    }
}

/// The validation session.
#[derive(Serialize, ToSchema)]
pub struct RequestEmailTokenResponse {
    sid: Sid,
}

pub(in crate::http) const REQUEST_TOKEN: Endpoint = Endpoint {
    summary: "Send a token and a link to an email address",
    // EML-03, EML-08, EML-25
    errors: &[
        Kind::INVALID_EMAIL,
        Kind::EMAIL_SEND_ERROR,
        Kind::LIMIT_EXCEEDED,
    ],
};

/// Sends a token and a link to an email address.
pub async fn request_token<A: Access>(
    app: web::Data<App>,
    mut call: Call<A, FormBody, RequestEmailTokenRequest>,
) -> Result<web::Json<RequestEmailTokenResponse>, Error> {
    let request = call.request()?;
    let brand = call.brand(request.brand.as_deref());
    let request = RequestToken {
        client_secret: request.client_secret,
        target: Target::Email(request.email),
        send_attempt: request.send_attempt.0,
        next_link: next_link::check(&app, request.next_link.as_deref())?,
        brand: app.templates.brand(brand.as_deref()).to_string(),
        client: call.client,
        account: call.caller.into_user(),
    };
    let person = call.person;
    let inner = app.clone().into_inner();
    let sid = app
        .detached_waits
        .run(validate::request_token(inner, request))
        .await??;
    person.add_session(&sid);
    Ok(web::Json(RequestEmailTokenResponse { sid }))
}

/// The token from an email, and the session that it was sent for.
#[derive(Deserialize, ToSchema)]
pub struct SubmitEmailTokenRequest {
    sid: Sid,
    client_secret: ClientSecret,
    token: Token,
}

impl Request for SubmitEmailTokenRequest {}

impl From<SubmitEmailTokenRequest> for Submission {
    fn from(request: SubmitEmailTokenRequest) -> Self {
        Self {
            sid: request.sid,
            client_secret: request.client_secret,
            token: request.token,
        }
    }
}

pub(in crate::http) const SUBMIT_TOKEN: Endpoint = submit::SUBMIT_TOKEN;

/// Submits the token that the user typed into the client.
pub async fn submit_token<A: Access>(
    app: web::Data<App>,
    mut call: Call<A, FormBody, SubmitEmailTokenRequest>,
) -> Result<web::Json<SubmitTokenResponse>, Error> {
    submit::charge(&app, call.client)?;
    submit::respond(&app, call.request()?.into(), Medium::Email).await
}

pub(in crate::http) const SUBMIT_PAGE: Endpoint = submit::SUBMIT_PAGE;

/// Submits the token of the link that the user opened.
pub async fn submit_page(
    app: web::Data<App>,
    request: HttpRequest,
    call: Result<Call<Anyone, Query, SubmitEmailTokenRequest>, Error>,
) -> Result<Page, Error> {
    let link = submit::from_link(call);
    submit::open_link(&app, request.headers(), link, Medium::Email, &TEXTS).await
}

pub(in crate::http) const CONFIRM_PAGE: Endpoint = submit::CONFIRM_PAGE;

/// Submits the token of the page whose button the user pressed.
pub async fn confirm_page(
    app: web::Data<App>,
    call: Result<Call<Anyone, FormBody, SubmitEmailTokenRequest>, Error>,
) -> Result<Page, Error> {
    let (submission, brand) = submit::from_link(call);
    submit::show_page(&app, submission, Medium::Email, brand.as_deref(), &TEXTS).await
}

const TEXTS: PageTexts = PageTexts {
    confirmed: "Your email address is confirmed. You can close this page and go back to your app.",
    expired: "This link has expired. Go back to your app and request a new email.",
    not_valid: "This link has expired or is incomplete. Copy the whole link from the newest email, \
        or go back to your app and request a new one.",
    unavailable: "Your email address cannot be confirmed at the moment. Open the link again in a \
        few minutes.",
    prefetched: "Your email address is not confirmed yet, because a program has opened this link in \
        advance. Open it again.",
    ask: "Press the button to confirm your email address.",
};
