//! How many requests of one client are in work: no client can keep the threads and
//! queues of the server from the others.

use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{ResponseError as _, web};

use super::client_ip::ClientIp;
use super::connection::Connection;
use crate::app::App;
use crate::domain::counter::Refusal;
use crate::domain::rate::sharers;
use crate::error::Error;

/// How long a request waits for others of its client.
const WAIT: Duration = Duration::from_secs(5);

/// A client that has too many requests in work may try again after this time, ms.
const RETRY_MS: i64 = 1000;

/// Wraps a listener within its envelope: a request waits until its client has few
/// enough others in work, or is refused.
pub async fn share_per_client<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let app = request.app_data::<web::Data<App>>().cloned();
    let client = app
        .as_ref()
        .and_then(|app| ClientIp::from_request(request.request(), app).0);
    let (Some(app), Some(client)) = (app, client) else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let networks = sharers(client, &app.config.limits.delegating_homeservers);
    if let Some(place) = app.requests_in_work.place(networks) {
        let turn = match place.try_turn() {
            None => {
                let _queued = Connection::of(request.request()).map(Connection::queued);
                place.turn(WAIT).await
            }
            free => free,
        };
        if turn.is_some() {
            return Ok(next.call(request).await?.map_into_boxed_body());
        }
    }
    let refusal = Refusal::new("http.max_requests_per_client", RETRY_MS);
    Ok(request.into_response(Error::limit_exceeded(refusal).error_response()))
}
