//! Offers to switch to another protocol, which no listener takes.
//!
//! Proxies pass `Connection: upgrade` on for every request when they are configured
//! for `WebSocket`, and some clients offer HTTP/2 in the same way. The request is
//! answered as if it had made no offer (RFC 9110, section 7.8).

use actix_web::HttpMessage as _;
use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::ConnectionType;
use actix_web::http::header::{self, HeaderMap};
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};

/// Wraps a listener: a request with an offer is answered over HTTP/1.
///
/// actix-http ends the connection after the answer to an offer, and does not say so.
/// It takes all that follows the head of an offer of `WebSocket` for its body, which
/// would then never end.
pub async fn without_upgrade<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    if offers_websocket(request.headers()) {
        let length = body_length(request.headers());
        let body = request.take_payload();
        if length > 0 {
            let payload = first(body, length).boxed_local();
            request.set_payload(Payload::Stream { payload });
        }
    }
    let is_offer = request.head().upgrade() || offers_websocket(request.headers());
    let mut response = next.call(request).await?;
    if is_offer {
        let head = response.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

/// Whether actix-http takes the rest of the connection for the body.
fn offers_websocket(headers: &HeaderMap) -> bool {
    let is_websocket = |text: &str| text.trim().eq_ignore_ascii_case("websocket");
    !headers.contains_key(header::TRANSFER_ENCODING)
        && headers
            .get_all(header::UPGRADE)
            .any(|value| value.to_str().is_ok_and(is_websocket))
}

/// The length that a request announces; a request without one has no body.
pub(super) fn body_length(headers: &HeaderMap) -> u64 {
    headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .unwrap_or(0)
}

/// The first `length` bytes of a stream.
fn first(body: Payload, length: u64) -> impl Stream<Item = Result<Bytes, PayloadError>> {
    stream::unfold((body, length), |(mut body, left)| async move {
        if left == 0 {
            return None;
        }
        let mut chunk = match body.next().await? {
            Ok(chunk) => chunk,
            Err(error) => return Some((Err(error), (body, 0))),
        };
        chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        let left = left.saturating_sub(chunk.len() as u64);
        Some((Ok(chunk), (body, left)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn body_ends_where_its_length_says() {
        for (length, chunks) in [(3, "abc"), (5, "abc de"), (9, "abc def gh")] {
            let sent = ["abc", "def", "gh"].map(|text| Ok(Bytes::from(text)));
            let payload = stream::iter(sent).boxed_local();
            let read: Vec<_> = first(Payload::Stream { payload }, length).collect().await;
            let read: Vec<_> = read.into_iter().map(Result::unwrap).collect();
            assert_eq!(read.join(&b' '), chunks.as_bytes());
        }
    }
}
