//! Whether there is an identity server.
//!
//! - [`GET /_matrix/identity/v2`](https://spec.matrix.org/v1.19/identity-service-api/#get_matrixidentityv2)
//! - [`GET /_matrix/identity/api/v1`](https://matrix.org/docs/spec/identity_service/r0.3.0#get-matrix-identity-api-v1)

use actix_web::web;

use crate::http::empty::Empty;
use crate::http::resource::Endpoint;

pub(in crate::http) const PING: Endpoint = Endpoint {
    summary: "Check that there is an identity server",
    errors: &[],
};

/// Returns an empty object (VER-04, VER-05).
pub async fn ping() -> web::Json<Empty> {
    web::Json(Empty {})
}
