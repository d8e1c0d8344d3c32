//! Pages for people. Their addresses hold secrets, hence the headers (EML-24).

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder};
use percent_encoding::{CONTROLS, utf8_percent_encode};

/// What a page may load, and who may show it in a frame.
struct Policy {
    content: &'static str,
    frames: &'static str,
}

const ALONE: Policy = Policy {
    content: "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; frame-ancestors 'none'; \
              base-uri 'none'; form-action 'none'",
    frames: "DENY",
};
const AROUND_A_FRAME: Policy = Policy {
    content: "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; frame-ancestors 'none'; \
              base-uri 'none'; form-action 'none'",
    frames: "DENY",
};
// The sandbox stands here too, for whoever opens the address by itself.
const IN_THE_FRAME: Policy = Policy {
    content: "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; \
              base-uri 'none'; form-action 'none'; sandbox allow-popups allow-popups-to-escape-sandbox",
    frames: "SAMEORIGIN",
};

/// An HTML page that nothing caches, frames or learns the address of, and that
/// loads nothing from elsewhere but images.
#[must_use]
pub fn html(status: StatusCode, page: String) -> HttpResponse {
    guarded(status, "text/html; charset=utf-8", &ALONE).body(page)
}

/// As [`html`], with a frame that shows another page of this listener, and
/// without images.
#[must_use]
pub fn around_a_frame(page: String) -> HttpResponse {
    guarded(StatusCode::OK, "text/html; charset=utf-8", &AROUND_A_FRAME).body(page)
}

/// Somebody else's HTML, for such a frame: it runs no script, sends no form and
/// loads nothing at all; its links may open a new tab.
#[must_use]
pub fn in_the_frame(page: String) -> HttpResponse {
    guarded(StatusCode::OK, "text/html; charset=utf-8", &IN_THE_FRAME).body(page)
}

/// Plain text, as careful as [`html`].
#[must_use]
pub fn text(text: String) -> HttpResponse {
    guarded(StatusCode::OK, "text/plain; charset=utf-8", &ALONE).body(text)
}

/// A mail as a file to keep, as careful as [`html`]. The name goes into a
/// header as it is.
#[must_use]
pub fn mail_file(name: &str, mail: Vec<u8>) -> HttpResponse {
    guarded(StatusCode::OK, "message/rfc822", &ALONE)
        .insert_header((
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ))
        .body(mail)
}

fn guarded(status: StatusCode, content_type: &str, policy: &Policy) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .content_type(content_type)
        .insert_header(("cache-control", "no-store"))
        .insert_header(("referrer-policy", "no-referrer"))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("x-frame-options", policy.frames))
        .insert_header(("content-security-policy", policy.content));
    response
}

/// Sends a browser on. The link was checked when it was given (SES-24); what is
/// not ASCII in it is escaped, since browsers disagree about such bytes in a
/// header.
#[must_use]
pub fn redirect(location: &str) -> HttpResponse {
    let location = utf8_percent_encode(location, CONTROLS).to_string();
    HttpResponse::Found()
        .insert_header((header::LOCATION, location))
        .insert_header(("cache-control", "no-store"))
        .insert_header(("referrer-policy", "no-referrer"))
        .finish()
}
