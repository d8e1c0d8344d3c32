//! How many requests of one client are in work: no client can keep the threads and
//! queues of the server from the others.

use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{ResponseError as _, web};

use super::client_ip::ClientIp;
use crate::app::App;
use crate::domain::counter::Refusal;
use crate::domain::rate::client_network;
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
    let network = client_network(client);
    match app.requests_in_work.acquire(&network, 1, WAIT).await {
        Ok(_share) => Ok(next.call(request).await?.map_into_boxed_body()),
        Err(_none) => {
            let refusal = Refusal::new("http.max_requests_per_client", RETRY_MS);
            Ok(request.into_response(Error::limit_exceeded(refusal).error_response()))
        }
    }
}
