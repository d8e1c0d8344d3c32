//! Pages for people. Their addresses hold secrets, hence the headers (EML-24).

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};

/// An HTML page that nothing caches, frames or learns the address of, and that
/// loads nothing from elsewhere.
#[must_use]
pub fn html(status: StatusCode, page: String) -> HttpResponse {
    HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .insert_header(("cache-control", "no-store"))
        .insert_header(("referrer-policy", "no-referrer"))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("x-frame-options", "DENY"))
        .insert_header((
            "content-security-policy",
            "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; frame-ancestors 'none'; \
             base-uri 'none'; form-action 'none'",
        ))
        .body(page)
}

/// Sends a browser on. The link was checked when it was given (SES-24).
#[must_use]
pub fn redirect(location: &str) -> HttpResponse {
    HttpResponse::Found()
        .insert_header((header::LOCATION, location))
        .insert_header(("cache-control", "no-store"))
        .insert_header(("referrer-policy", "no-referrer"))
        .finish()
}
