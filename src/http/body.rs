//! Reading a request body: bounded in size and in time (GEN-21).

use actix_web::dev::Payload;
use actix_web::web::{self, Bytes, BytesMut};
use futures_util::StreamExt as _;

use crate::app::App;
use crate::error::Error;

/// Beyond the limit this much more is read and discarded, so that a client that
/// sends first and reads later gets its response instead of a reset.
const DISCARDED_BYTES: usize = 8 * 1024 * 1024;

/// Reads a body of at most as many bytes as the configuration allows.
///
/// # Errors
/// `413 M_TOO_LARGE` when it is too large, `408 M_UNKNOWN` when it does not arrive
/// in time, `400 M_BAD_JSON` when the connection fails.
pub(super) async fn read(app: web::Data<App>, payload: Payload) -> Result<Bytes, Error> {
    read_at_most(usize::MAX, app, payload).await
}

/// Reads a body of at most `limit` bytes, or fewer if the configuration says so.
///
/// # Errors
/// As [`read`].
pub(super) async fn read_at_most(
    limit: usize,
    app: web::Data<App>,
    payload: Payload,
) -> Result<Bytes, Error> {
    let limit = limit.min(app.config.http.max_body_bytes);
    read_up_to(limit, app, payload).await
}

/// Reads a body of at most `limit` bytes whatever the configuration says.
///
/// # Errors
/// As [`read`].
pub(super) async fn read_up_to(
    limit: usize,
    app: web::Data<App>,
    payload: Payload,
) -> Result<Bytes, Error> {
    tokio::time::timeout(app.config.http.request_timeout, collect(payload, limit))
        .await
        .unwrap_or_else(|_elapsed| Err(Error::request_timeout()))
}

async fn collect(payload: Payload, limit: usize) -> Result<Bytes, Error> {
    let mut payload = payload;
    let mut body = BytesMut::new();
    let mut received = 0_usize;
    while let Some(chunk) = payload.next().await {
        let Ok(chunk) = chunk else {
            return Err(Error::bad_json("The request body could not be read"));
        };
        received = received.saturating_add(chunk.len());
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
