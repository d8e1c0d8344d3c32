//! Pages for people. Their URLs contain secrets, hence the headers (EML-24).

use actix_web::body::BoxBody;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, Responder, ResponseError as _};
use percent_encoding::{CONTROLS, utf8_percent_encode};

use super::describe::{DescribeResponse, Description};
use crate::error::Error;

/// What a page may load, and who may show it in a frame.
pub(super) struct Policy {
    pub content: &'static str,
    pub frames: &'static str,
}

/// A page that loads only images and that no frame may show.
pub(super) const STANDALONE: Policy = Policy {
    content: "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; frame-ancestors 'none'; \
              base-uri 'none'; form-action 'none'",
    frames: "DENY",
};
/// The same for a page with a form of this server. Browsers apply `form-action` also to
/// the redirect that answers the form.
const WITH_FORM: Policy = Policy {
    content: "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; frame-ancestors 'none'; \
              base-uri 'none'; form-action 'self' https: http:",
    frames: "DENY",
};
pub(super) const HTML: &str = "text/html; charset=utf-8";

/// A response for a person's browser. It is not cached, and its URL is not sent
/// to other sites.
pub struct Page(pub(super) HttpResponse);

impl Page {
    /// An HTML page that loads only images and that no frame may show.
    #[must_use]
    pub fn html(html: String) -> Self {
        Self(guarded(StatusCode::OK, HTML, &STANDALONE).body(html))
    }

    /// The same with a form.
    #[must_use]
    pub fn form(html: String) -> Self {
        Self(guarded(StatusCode::OK, HTML, &WITH_FORM).body(html))
    }

    /// The HTML page of an error, with its status.
    #[must_use]
    pub fn error(error: &Error, html: String) -> Self {
        let mut page = guarded(error.status(), HTML, &STANDALONE).body(html);
        if let Some(seconds) = error.error_response().headers().get(header::RETRY_AFTER) {
            page.headers_mut()
                .insert(header::RETRY_AFTER, seconds.clone());
        }
        Self(page)
    }

    /// A redirect to a link that was checked before it was stored (SES-24). What
    /// is not ASCII is escaped, since browsers disagree about such bytes in a
    /// header.
    #[must_use]
    pub fn redirect(location: &str) -> Self {
        let location = utf8_percent_encode(location, CONTROLS).to_string();
        Self(
            HttpResponse::Found()
                .insert_header((header::LOCATION, location))
                .insert_header((header::CACHE_CONTROL, "no-store"))
                .insert_header((header::REFERRER_POLICY, "no-referrer"))
                .finish(),
        )
    }
}

impl Responder for Page {
    type Body = BoxBody;

    fn respond_to(self, _request: &HttpRequest) -> HttpResponse {
        self.0
    }
}

impl DescribeResponse for Page {
    fn describe(operation: &mut Description) {
        operation.text_response(
            "200",
            "text/html",
            "A page: the address is validated, or a button validates it.",
        );
        let redirect = "To the `next_link` of requestToken, with the `sid` added.";
        operation.empty_response("302", redirect);
        let failed = "A page: the address is not validated.";
        operation.text_response("400", "text/html", failed);
        let prefetched = "A page: a program has opened the link in advance.";
        operation.text_response("403", "text/html", prefetched);
        let unavailable = "A page: the server is overloaded; see the Retry-After header.";
        operation.text_response("503", "text/html", unavailable);
    }
}

/// A response with the headers of every page.
pub(super) fn guarded(
    status: StatusCode,
    content_type: &str,
    policy: &Policy,
) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .content_type(content_type)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::X_FRAME_OPTIONS, policy.frames))
        .insert_header((header::CONTENT_SECURITY_POLICY, policy.content));
    response
}
