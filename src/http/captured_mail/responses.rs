//! The responses of the pages.

use actix_web::http::{StatusCode, header};

use crate::http::page::{HTML, Page, Policy, STANDALONE, guarded};

const WITH_FRAME: Policy = Policy {
    content: "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; frame-ancestors 'none'; \
              base-uri 'none'; form-action 'none'",
    frames: "DENY",
};
// With the sandbox also here, for a browser that opens the URL itself.
const IN_FRAME: Policy = Policy {
    content: "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; \
              base-uri 'none'; form-action 'none'; sandbox allow-popups allow-popups-to-escape-sandbox",
    frames: "SAMEORIGIN",
};

impl Page {
    /// An HTML page with a frame that shows another page of this listener, and
    /// without images.
    #[must_use]
    pub(super) fn with_frame(html: String) -> Self {
        Self(guarded(StatusCode::OK, HTML, &WITH_FRAME).body(html))
    }

    /// Untrusted HTML for such a frame: it runs no script, sends no form and loads
    /// nothing; its links may open a new tab.
    #[must_use]
    pub(super) fn in_frame(html: String) -> Self {
        Self(guarded(StatusCode::OK, HTML, &IN_FRAME).body(html))
    }

    /// Plain text.
    #[must_use]
    pub(super) fn text(text: String) -> Self {
        Self(guarded(StatusCode::OK, "text/plain; charset=utf-8", &STANDALONE).body(text))
    }

    /// A mail to download. The header takes the name as it is.
    #[must_use]
    pub(super) fn mail_file(name: &str, mail: Vec<u8>) -> Self {
        let disposition = format!("attachment; filename=\"{name}\"");
        Self(
            guarded(StatusCode::OK, "message/rfc822", &STANDALONE)
                .insert_header((header::CONTENT_DISPOSITION, disposition))
                .body(mail),
        )
    }
}
