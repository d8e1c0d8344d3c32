//! Limits version 1 of the API, which has no accounts, to the clients that the
//! configuration allows (GEN-33).

use std::net::IpAddr;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{ResponseError as _, web};

use super::client_ip::ClientIp;
use super::token::AccessToken;
use crate::app::App;
use crate::config::V1Settings;
use crate::error::Error;

/// Wraps a route of v1: refuses clients that may not use it.
pub(super) async fn admit<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let app = request.app_data::<web::Data<App>>();
    let is_admitted = app.is_some_and(|app| {
        let client = ClientIp::from_request(request.request(), app).0;
        let secret = AccessToken::find(request.request(), false);
        may_use(&app.config.v1, client, secret.as_ref())
    });
    if is_admitted {
        Ok(next.call(request).await?.map_into_boxed_body())
    } else {
        Ok(request.into_response(Error::v1_limited().error_response()))
    }
}

fn may_use(v1: &V1Settings, client: Option<IpAddr>, given: Option<&AccessToken>) -> bool {
    let is_in = |ip: IpAddr| v1.allowed_networks.iter().any(|net| net.contains(&ip));
    let is_secret = |given: &AccessToken| {
        let secret = v1.secret.as_ref();
        secret.is_some_and(|secret| given.matches(secret.expose()))
    };
    !v1.is_limited() || client.is_some_and(is_in) || given.is_some_and(is_secret)
}
