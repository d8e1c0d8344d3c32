//! Reading a request body: bounded in size and in time (GEN-21).

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::web::{self, Bytes, BytesMut};
use futures_util::StreamExt as _;

use crate::app::App;
use crate::error::Error;

/// Beyond the limit this much more is read and thrown away, so that a client
/// that sends first and reads later gets its answer instead of a reset.
const PATIENCE_BYTES: usize = 8 * 1024 * 1024;

/// The whole body.
///
/// # Errors
/// 413 when it is too large, 408 when it does not arrive in time, 400 when the
/// connection fails under it.
pub async fn read(app: web::Data<App>, payload: Payload) -> Result<Bytes, Error> {
    read_at_most(usize::MAX, app, payload).await
}

/// The whole body, of at most so many bytes if that is less than what is
/// configured.
///
/// # Errors
/// As [`read`].
pub async fn read_at_most(
    limit: usize,
    app: web::Data<App>,
    payload: Payload,
) -> Result<Bytes, Error> {
    let limit = limit.min(app.config.http.max_body_bytes);
    read_up_to(limit, app, payload).await
}

/// The whole body, of at most so many bytes whatever is configured.
///
/// # Errors
/// As [`read`].
pub async fn read_up_to(
    limit: usize,
    app: web::Data<App>,
    payload: Payload,
) -> Result<Bytes, Error> {
    let patience = app.config.http.request_timeout;
    within(patience, collect(payload, limit)).await
}

async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(patience, work)
        .await
        .unwrap_or_else(|_too_long| Err(Error::request_timeout()))
}

async fn collect(payload: Payload, limit: usize) -> Result<Bytes, Error> {
    let mut payload = payload;
    let mut body = BytesMut::new();
    let mut seen = 0_usize;
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|_broken| Error::bad_json("The request body could not be read"))?;
        seen = seen.saturating_add(chunk.len());
        if seen <= limit {
            body.extend_from_slice(&chunk);
        } else if seen > limit.saturating_add(PATIENCE_BYTES) {
            break;
        }
    }
    if seen > limit {
        Err(Error::body_too_large(limit))
    } else {
        Ok(body.freeze())
    }
}

/// The type of the body, lower case, without parameters.
#[must_use]
pub fn content_type(request: &HttpRequest) -> String {
    let header = request
        .headers()
        .get("content-type")
        .and_then(|value| value.to_str().ok());
    header
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}
