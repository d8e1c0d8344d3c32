//! Which versions of the specification this server supports in full.
//!
//! - [`GET /_matrix/identity/versions`](https://spec.matrix.org/v1.19/identity-service-api/#get_matrixidentityversions)

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::resource::Endpoint;

/// The versions of the specification that have v1; supported in full while all of
/// v1 is enabled (VER-02).
const WITH_V1: [&str; 4] = ["r0.1.0", "r0.2.0", "r0.2.1", "r0.3.0"];

/// The versions of the specification that have v2, up to the newest release.
const WITH_V2: [&str; 19] = [
    "v1.1", "v1.2", "v1.3", "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11",
    "v1.12", "v1.13", "v1.14", "v1.15", "v1.16", "v1.17", "v1.18", "v1.19",
];

/// The supported versions of the specification.
#[derive(Serialize, ToSchema)]
pub struct VersionsResponse {
    versions: Vec<&'static str>,
}

pub(in crate::http) const LIST: Endpoint = Endpoint {
    summary: "List the supported versions of the specification",
    errors: &[],
};

/// Returns the supported versions of the specification.
pub async fn list(app: web::Data<App>) -> web::Json<VersionsResponse> {
    let v1 = &app.config.v1;
    let mut versions = Vec::new();
    if v1.enabled && v1.bind && v1.lookup {
        versions.extend(WITH_V1);
    }
    versions.extend(WITH_V2);
    web::Json(VersionsResponse { versions })
}
