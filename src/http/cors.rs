//! Lets web pages of every origin call the public API (GEN-12 … GEN-14). The
//! other listeners do not have it: what is there is for no page to read.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;

// By the Fetch standard a star does not cover Authorization (GEN-12).
const CORS: [(&str, &str); 4] = [
    ("access-control-allow-origin", "*"),
    (
        "access-control-allow-methods",
        "GET, POST, PUT, DELETE, OPTIONS",
    ),
    (
        "access-control-allow-headers",
        "Origin, X-Requested-With, Content-Type, Accept, Authorization",
    ),
    ("access-control-max-age", "86400"),
];

/// Wraps a whole listener, outside of its envelope: errors have the headers
/// too.
///
/// # Errors
/// What the listener's service answers.
pub async fn open_to_every_page<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let mut response = next.call(request).await?;
    for (name, value) in CORS {
        response.headers_mut().insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    Ok(response)
}
