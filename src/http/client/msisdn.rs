//! `…/validate/msisdn/requestToken` and `…/validate/msisdn/submitToken`
//! (section 10 of the conformance list).

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::submit::{self, PageTexts};
use crate::app::App;
use crate::domain::phone::PhoneNumber;
use crate::domain::secret::ClientSecret;
use crate::domain::threepid::Medium;
use crate::error::Error;
use crate::flow::validate::{self, RequestToken, Target};
use crate::http::args::QueryArgs;
use crate::http::call::{Call, FormBody, Version};
use crate::http::{next_link, send_attempt};

/// `POST requestToken`: sends a code to a phone. Clients read the number in the
/// answer, since people write it in many ways (MSI-03).
///
/// # Errors
/// See MSI-06 … MSI-11.
pub async fn request_token<V: Version>(
    app: web::Data<App>,
    args: Call<V, FormBody>,
) -> Result<HttpResponse, Error> {
    args.require(&["client_secret", "country", "phone_number", "send_attempt"])?;
    let phone = PhoneNumber::parse(args.text("country")?, args.text("phone_number")?);
    let phone = phone.map_err(Error::invalid_address)?;
    let request = RequestToken {
        client_secret: args.parse("client_secret", ClientSecret::parse)?,
        target: Target::Phone(phone.clone()),
        send_attempt: send_attempt::read(&args)?,
        next_link: next_link::read(&app, &args)?,
        brand: String::new(),
        client: args.client,
        account: args.caller.user().cloned(),
    };
    let begun = validate::request_token(app.clone().into_inner(), request);
    let sid = app.detached_waits.run(begun).await??;
    Ok(HttpResponse::Ok().json(json!({
        "sid": sid.expose(),
        "success": true,
        "msisdn": phone.msisdn().as_str(),
        "intl_fmt": phone.intl_fmt(),
    })))
}

/// `POST submitToken`: a client passes on the code that its user typed.
///
/// # Errors
/// See MSI-12.
pub async fn submit_token<V: Version>(
    app: web::Data<App>,
    args: Call<V, FormBody>,
) -> Result<HttpResponse, Error> {
    submit::token(&app, &args, Medium::Msisdn).await
}

/// `GET submitToken`: the same in a browser. Answers a page, or goes on to where
/// the client wanted (MSI-13).
///
/// # Errors
/// Only when the page itself cannot be made.
pub async fn submit_page(
    app: web::Data<App>,
    args: Result<QueryArgs, Error>,
) -> Result<HttpResponse, Error> {
    submit::page(&app, args, Medium::Msisdn, &TEXTS).await
}

const TEXTS: PageTexts = PageTexts {
    confirmed: "Your phone number is confirmed. You can close this page and go back to your app.",
    expired: "This code has expired. Go back to your app and let it send you a new one.",
    not_valid: "This code is not valid; take the one in the newest text message, or go back to \
        your app and let it send you a new one.",
    not_now: "Your phone number cannot be confirmed at the moment; try again in a few minutes.",
};
