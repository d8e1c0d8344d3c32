//! Validating phone numbers.
//!
//! - [`POST /_matrix/identity/v2/validate/msisdn/requestToken`](https://spec.matrix.org/v1.19/identity-service-api/#post_matrixidentityv2validatemsisdnrequesttoken)
//! - [`POST /_matrix/identity/v2/validate/msisdn/submitToken`](https://spec.matrix.org/v1.19/identity-service-api/#post_matrixidentityv2validatemsisdnsubmittoken)
//! - [`GET /_matrix/identity/v2/validate/msisdn/submitToken`](https://spec.matrix.org/v1.19/identity-service-api/#get_matrixidentityv2validatemsisdnsubmittoken)

use actix_web::{HttpRequest, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::submit::{self, PageTexts, Submission, SubmitTokenResponse};
use crate::app::App;
use crate::domain::Invalid;
use crate::domain::phone::PhoneNumber;
use crate::domain::secret::{ClientSecret, Sid, Token};
use crate::domain::threepid::Medium;
use crate::domain::typed_code::typed_code;
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

/// The phone number to validate.
#[derive(Deserialize, ToSchema)]
pub struct RequestSmsTokenRequest {
    client_secret: ClientSecret,
    /// The ISO 3166-1 code of the country from which the number is dialled, such
    /// as GB; may be empty for a number that begins with +.
    country: String,
    /// The number as it is dialled in that country, or with + and the calling
    /// code.
    phone_number: String,
    send_attempt: SendAttempt,
    /// Where the browser goes when the page of submitToken was opened.
    next_link: Option<String>,
}

impl Request for RequestSmsTokenRequest {
    const HAS_BRAND: bool = true;
}

/// The validation session.
#[derive(Serialize, ToSchema)]
pub struct RequestSmsTokenResponse {
    sid: Sid,
    /// Always true.
    success: bool,
    /// The canonical number: digits with the calling code, without +.
    msisdn: String,
    /// The number as people read it: `+44 7700 900001`.
    intl_fmt: String,
}

impl RequestSmsTokenResponse {
    // Clients show the number, which users write in many ways (MSI-03).
    fn new(sid: Sid, phone: &PhoneNumber) -> Self {
        Self {
            sid,
            success: true,
            msisdn: phone.msisdn().as_str().to_owned(),
            intl_fmt: phone.intl_fmt().to_owned(),
        }
    }
}

pub(in crate::http) const REQUEST_TOKEN: Endpoint = Endpoint {
    summary: "Send a token to a phone number",
    // MSI-06, MSI-10, MSI-11, MSI-15
    errors: &[
        Kind::INVALID_ADDRESS,
        Kind::DESTINATION_REJECTED,
        Kind::SEND_ERROR,
        Kind::LIMIT_EXCEEDED,
    ],
};

/// Sends a token to a phone number.
pub async fn request_token<A: Access>(
    app: web::Data<App>,
    mut call: Call<A, FormBody, RequestSmsTokenRequest>,
) -> Result<web::Json<RequestSmsTokenResponse>, Error> {
    let request = call.request()?;
    let phone = PhoneNumber::parse(&request.country, &request.phone_number)
        .map_err(Error::invalid_address)?;
    let request = RequestToken {
        client_secret: request.client_secret,
        target: Target::Phone(phone.clone()),
        send_attempt: request.send_attempt.0,
        next_link: next_link::check(&app, request.next_link.as_deref())?,
        brand: String::new(),
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
    Ok(web::Json(RequestSmsTokenResponse::new(sid, &phone)))
}

/// The token from an SMS, and the session that it was sent for.
#[derive(Deserialize, ToSchema)]
pub struct SubmitSmsTokenRequest {
    sid: Sid,
    client_secret: ClientSecret,
    #[schema(value_type = Token)]
    token: TypedToken,
}

impl Request for SubmitSmsTokenRequest {}

/// A token as people type and paste it (SES-06).
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct TypedToken(Token);

impl TryFrom<String> for TypedToken {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Token::parse(&text)?;
        Token::parse(&typed_code(&text)).map(Self)
    }
}

impl From<SubmitSmsTokenRequest> for Submission {
    fn from(request: SubmitSmsTokenRequest) -> Self {
        Self {
            sid: request.sid,
            client_secret: request.client_secret,
            token: request.token.0,
        }
    }
}

pub(in crate::http) const SUBMIT_TOKEN: Endpoint = submit::SUBMIT_TOKEN;

/// Submits the token that the user typed into the client.
pub async fn submit_token<A: Access>(
    app: web::Data<App>,
    mut call: Call<A, FormBody, SubmitSmsTokenRequest>,
) -> Result<web::Json<SubmitTokenResponse>, Error> {
    submit::charge(&app, call.client)?;
    submit::respond(&app, call.request()?.into(), Medium::Msisdn).await
}

pub(in crate::http) const SUBMIT_PAGE: Endpoint = submit::SUBMIT_PAGE;

/// Submits a token in a browser.
pub async fn submit_page(
    app: web::Data<App>,
    request: HttpRequest,
    call: Result<Call<Anyone, Query, SubmitSmsTokenRequest>, Error>,
) -> Result<Page, Error> {
    let link = submit::from_link(call);
    submit::open_link(&app, request.headers(), link, Medium::Msisdn, &TEXTS).await
}

pub(in crate::http) const CONFIRM_PAGE: Endpoint = submit::CONFIRM_PAGE;

/// Submits the token of the page whose button the user pressed.
pub async fn confirm_page(
    app: web::Data<App>,
    call: Result<Call<Anyone, FormBody, SubmitSmsTokenRequest>, Error>,
) -> Result<Page, Error> {
    let (submission, brand) = submit::from_link(call);
    submit::show_page(&app, submission, Medium::Msisdn, brand.as_deref(), &TEXTS).await
}

const TEXTS: PageTexts = PageTexts {
    confirmed: "Your phone number is confirmed. You can close this page and go back to your app.",
    expired: "This code has expired. Go back to your app and request a new one.",
    not_valid: "This code is not valid. Use the one in the newest SMS, or go back to your app and \
        request a new one.",
    unavailable: "Your phone number cannot be confirmed at the moment. Try again in a few minutes.",
    prefetched: "Your phone number is not confirmed yet, because a program has opened this link in \
        advance. Open it again.",
    ask: "Press the button to confirm your phone number.",
};
