//! Paths with doubled slashes.
//!
//! A client that stores its identity server with a slash at the end makes homeservers
//! send `//_matrix/identity/…`, and not every proxy merges the two.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::uri::{PathAndQuery, Uri};
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpRequest};

/// Path and query as they came, if they were changed.
struct SentPath(String);

/// Wraps a listener around its routes: several slashes in a row are one. Escaped
/// slashes remain, and so does the query string.
pub async fn merge_slashes<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    if let Some(uri) = merged(request.uri()) {
        let sent = request.uri().path_and_query().map(PathAndQuery::as_str);
        let sent = SentPath(sent.unwrap_or_default().to_owned());
        request.extensions_mut().insert(sent);
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
    next.call(request).await
}

/// Path and query of a request as they came.
pub(super) fn sent_path(request: &HttpRequest) -> String {
    match request.extensions().get::<SentPath>() {
        Some(sent) => sent.0.clone(),
        None => request
            .uri()
            .path_and_query()
            .map_or_else(String::new, ToString::to_string),
    }
}

/// The URI with single slashes in its path; `None` if it has no others.
fn merged(uri: &Uri) -> Option<Uri> {
    if !uri.path().contains("//") {
        return None;
    }
    let mut path = String::with_capacity(uri.path().len());
    for c in uri.path().chars() {
        if c != '/' || !path.ends_with('/') {
            path.push(c);
        }
    }
    if let Some(query) = uri.query() {
        path.push('?');
        path.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path.parse().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GEN-10
    #[test]
    fn only_slashes_of_the_path_are_merged() {
        for (sent, expected) in [
            ("//_matrix/identity/v2", "/_matrix/identity/v2"),
            ("///_matrix//identity///v2//", "/_matrix/identity/v2/"),
            ("//a?b=//c//d", "/a?b=//c//d"),
            ("//a?", "/a?"),
            ("//a/%2F%2f//b", "/a/%2F%2f/b"),
            ("//", "/"),
        ] {
            let uri = merged(&sent.parse().unwrap()).unwrap();
            assert_eq!(uri, expected, "{sent}");
        }
        for same in ["/_matrix/identity/v2", "/a?b=//", "/%2F%2F", "/", "*"] {
            assert_eq!(merged(&same.parse().unwrap()), None, "{same}");
        }
    }
}
