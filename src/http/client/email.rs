//! `…/validate/email/requestToken` and `…/validate/email/submitToken`
//! (section 9 of the conformance list).

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::submit::{self, PageTexts};
use crate::app::App;
use crate::domain::email::CanonicalEmail;
use crate::domain::secret::ClientSecret;
use crate::domain::threepid::Medium;
use crate::error::Error;
use crate::flow::validate::{self, RequestToken, Target};
use crate::http::args::QueryArgs;
use crate::http::call::{Call, FormBody, Version};
use crate::http::{next_link, send_attempt};

/// `POST requestToken`: sends a code and a link to an address.
///
/// # Errors
/// See EML-03 … EML-08.
pub async fn request_token<V: Version>(
    app: web::Data<App>,
    args: Call<V, FormBody>,
) -> Result<HttpResponse, Error> {
    args.require(&["client_secret", "email", "send_attempt"])?;
    let email = CanonicalEmail::parse(args.text("email")?);
    let request = RequestToken {
        client_secret: args.parse("client_secret", ClientSecret::parse)?,
        target: Target::Email(email.map_err(|_invalid| Error::invalid_email())?),
        send_attempt: send_attempt::read(&args)?,
        next_link: next_link::read(&app, &args)?,
        brand: app
            .templates
            .brand(args.optional_text("brand")?)
            .to_string(),
        client: args.client,
        account: args.caller.user().cloned(),
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
    submit::token(&app, &args, Medium::Email).await
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
    submit::page(&app, args, Medium::Email, &TEXTS).await
}

const TEXTS: PageTexts = PageTexts {
    confirmed: "Your e-mail address is confirmed. You can close this page and go back to your app.",
    expired: "This link has expired. Go back to your app and let it send you a new e-mail.",
    not_valid: "This link is not valid any more or not complete; copy the whole link out of the \
        newest e-mail, or go back to your app and let it send you a new one.",
    not_now: "Your e-mail address cannot be confirmed at the moment; try the link again in a few \
        minutes.",
};
