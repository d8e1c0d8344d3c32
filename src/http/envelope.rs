//! What every request gets: a response also after a panic, a line in the access
//! log, and its metrics.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{ConnectionType, Method};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, ResponseError as _, web};
use futures_util::FutureExt as _;

use super::client_ip::ClientIp;
use super::empty::Empty;
use super::logged_person::{self, LoggedNames};
use crate::app::App;
use crate::error::Error;

/// Wraps a listener: answers `OPTIONS`, logs and counts each request.
pub async fn envelope<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let received_at = Instant::now();
    let app = request.app_data::<web::Data<App>>().cloned();
    let method = request.method().clone();
    let ip = app
        .as_ref()
        .map(|app| ClientIp::from_request(request.request(), app));
    let mut response = if method == Method::OPTIONS {
        request.into_response(HttpResponse::Ok().json(Empty {}))
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    if app.as_ref().is_some_and(|app| app.is_stopping()) {
        let head = response.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
    let took = received_at.elapsed();
    let status = response.status().as_u16();
    // The pattern, since the path and the query string can contain secrets.
    let route = response.request().match_pattern();
    let route = route.as_deref().unwrap_or("unknown");
    let method = if is_known(&method) {
        method.as_str()
    } else {
        "OTHER"
    };
    let mut names = None;
    if let Some(app) = app {
        app.metrics.answered(route, method, status, took);
        names = logged_person::names(&app, response.request()).await;
    }
    let ip = ip.map(|ip| ip.to_string()).unwrap_or_default();
    let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let ip = ip.as_str();
    if let Some(LoggedNames {
        user,
        address,
        session,
    }) = &names
    {
        let (user, address, session) = (user.as_str(), address.as_str(), session.as_str());
        log::info!(target: "sydent::access", method, route, status, us, ip, user, address, session; "request");
    } else {
        log::info!(target: "sydent::access", method, route, status, us, ip; "request");
    }
    Ok(response)
}

/// Wraps a route: a panic of its handler becomes a 500.
pub async fn catch_panic<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let original = request.request().clone();
    match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(response) => Ok(response?.map_into_boxed_body()),
        Err(_panic) => {
            log::error!("a handler panicked");
            Ok(ServiceResponse::new(
                original,
                Error::internal().error_response(),
            ))
        }
    }
}

fn is_known(method: &Method) -> bool {
    [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::HEAD,
        Method::PATCH,
    ]
    .contains(method)
}
