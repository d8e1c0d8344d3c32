//! Reading a request body: bounded in size and in time (GEN-21).

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::web::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use super::upgrade::body_length;
use crate::actor::pool::Fault;
use crate::app::App;
use crate::error::Error;
use crate::permits::Permit;

/// Of a body that announces no length, this much more than the limit is read and
/// discarded, so that a client that sends first and reads later gets its response
/// instead of a reset.
const DISCARDED_BYTES: usize = 8 * 1024 * 1024;
/// What a log line calls the bodies that are larger than `http.max_body_bytes`.
const LARGE: &str = "large request bodies";

/// Reads a body of at most `limit` bytes.
///
/// A body that announces to be larger is refused at once. The connection discards
/// what is still sent, for a while, and closes then (RFC 9112, section 9.6).
///
/// # Errors
/// `413 M_TOO_LARGE` when it is too large, `408 M_UNKNOWN` when it does not arrive
/// in time, `400 M_BAD_JSON` when the connection fails, `503 M_UNKNOWN` when the
/// server reads many large bodies.
pub(super) async fn read(
    app: &App,
    request: &HttpRequest,
    payload: Payload,
    limit: usize,
) -> Result<Bytes, Error> {
    let announced = usize::try_from(body_length(request.headers())).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(Error::body_too_large(limit));
    }
    let collect = collect(app, payload, limit);
    tokio::time::timeout(app.config.http.request_timeout, collect)
        .await
        .unwrap_or_else(|_elapsed| Err(Error::request_timeout()))
}

async fn collect(app: &App, mut payload: Payload, limit: usize) -> Result<Bytes, Error> {
    let mut body = BytesMut::new();
    let mut received = 0_usize;
    let mut permit: Option<Permit> = None;
    while let Some(chunk) = payload.next().await {
        let Ok(chunk) = chunk else {
            return Err(Error::bad_json("The request body could not be read"));
        };
        received = received.saturating_add(chunk.len());
        if received > app.config.http.max_body_bytes && received <= limit && permit.is_none() {
            // Only some endpoints take more, and not from many clients at a time.
            permit = Some(
                app.large_bodies
                    .try_acquire()
                    .map_err(|_none| Fault::QueueFull(LARGE))?,
            );
        }
        if received <= limit {
            body.extend_from_slice(&chunk);
        } else if received > limit.saturating_add(DISCARDED_BYTES) {
            break;
        }
    }
    if received > limit {
        Err(Error::body_too_large(limit))
    } else {
        Ok(body.freeze())
    }
}
