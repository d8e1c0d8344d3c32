//! Reading a request body: bounded in size and in time (GEN-21).

use std::net::IpAddr;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::web::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::connection::Connection;
use super::upgrade::body_length;
use crate::actor::pool::Fault;
use crate::app::App;
use crate::domain::counter::Refusal;
use crate::domain::rate::sharers;
use crate::error::Error;
use crate::permits::{NoShare, Room, Sender};

/// Of a body that announces no length, this much more than the limit is read and
/// discarded, so that a client that sends first and reads later gets its response
/// instead of a reset.
const DISCARDED_BYTES: usize = 8 * 1024 * 1024;

/// How long the rest of a short body is waited for that nobody reads, so that the
/// connection can be used again.
const DISCARD_FOR: Duration = Duration::from_millis(100);

/// A client whose bodies take all of its room may try again after this time, ms.
const RETRY_MS: i64 = 1000;

/// What a log line calls the limit of such a client.
const OF_ONE_CLIENT: &str = "request bodies of one client";

/// A complete body, and the room that it takes.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub(super) bytes: Bytes,
    pub(super) room: Room,
}

/// Reads a body of at most `limit` bytes. `sender` is a stranger, if it may be one.
///
/// A body that announces to be larger is refused at once. The connection discards
/// what is still sent, for a while, and closes then (RFC 9112, section 9.6).
///
/// # Errors
/// `413 M_TOO_LARGE` when it is too large, `408 M_UNKNOWN` when it does not arrive
/// in time, `400 M_BAD_JSON` when the connection fails, `429 M_LIMIT_EXCEEDED` when
/// the client sends too many bodies at a time, `503 M_UNKNOWN` when all clients do.
pub(super) async fn read(
    app: &App,
    request: &HttpRequest,
    payload: Payload,
    limit: usize,
    sender: Option<Sender>,
) -> Result<Body, Error> {
    if announced(request) > limit {
        return Err(Error::body_too_large(limit));
    }
    let connection = Connection::of(request);
    let reading = connection.map(Connection::reading_body);
    // The internal listener has no strangers.
    let sender = sender.filter(|_| connection.is_some_and(Connection::is_public));
    let body = timeout(
        app.config.http.request_timeout,
        collect(app, payload, limit, sender),
    )
    .await
    .unwrap_or_else(|_elapsed| Err(Error::request_timeout()))?;
    if let Some(reading) = reading {
        reading.complete();
    }
    Ok(body)
}

/// Whose body it is. A client without an address has no part of its own.
pub(super) fn sender(app: &App, client: Option<IpAddr>, has_account: bool) -> Sender {
    let delegating = &app.config.limits.delegating_homeservers;
    Sender {
        networks: client.map_or_else(Vec::new, |ip| sharers(ip, delegating)),
        has_account,
    }
}

/// Discards a body that nobody reads. A long one, or one that is slow to arrive, is
/// left to the connection, which closes after the response.
pub(super) async fn discard(request: &HttpRequest, mut payload: Payload, limit: usize) {
    if announced(request) > limit {
        return;
    }
    let reading = Connection::of(request).map(Connection::reading_body);
    let all = async { while let Some(Ok(_)) = payload.next().await {} };
    if timeout(DISCARD_FOR, all).await.is_ok()
        && let Some(reading) = reading
    {
        reading.complete();
    }
}

fn announced(request: &HttpRequest) -> usize {
    usize::try_from(body_length(request.headers())).unwrap_or(usize::MAX)
}

async fn collect(
    app: &App,
    mut payload: Payload,
    limit: usize,
    sender: Option<Sender>,
) -> Result<Body, Error> {
    let (mut bytes, mut room) = (BytesMut::new(), Room::default());
    let mut received = 0_usize;
    while let Some(chunk) = payload.next().await {
        let Ok(chunk) = chunk else {
            return Err(Error::bad_json("The request body could not be read"));
        };
        received = received.saturating_add(chunk.len());
        if received <= limit {
            if let Some(sender) = &sender {
                let made = app.body_limits.make_room(&mut room, sender, received);
                made.map_err(no_room)?;
            }
            bytes.extend_from_slice(&chunk);
        } else if received > limit.saturating_add(DISCARDED_BYTES) {
            break;
        } else {
            // It is refused in any case.
            bytes = BytesMut::new();
            room = Room::default();
        }
    }
    if received > limit {
        return Err(Error::body_too_large(limit));
    }
    Ok(Body {
        bytes: bytes.freeze(),
        room,
    })
}

fn no_room(reason: NoShare) -> Error {
    match reason {
        NoShare::Network => Error::limit_exceeded(Refusal::new(OF_ONE_CLIENT, RETRY_MS)),
        NoShare::Total => Fault::QueueFull("request bodies").into(),
    }
}
