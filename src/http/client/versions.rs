//! `GET /_matrix/identity/versions`: which versions of the specification hold
//! here in full (VER-01 … VER-03).

use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::app::App;

/// The versions that v1 is the API of; they hold while all of it is switched on.
const OF_V1: [&str; 4] = ["r0.1.0", "r0.2.0", "r0.2.1", "r0.3.0"];

/// The versions that v2 is the API of, up to the newest released one.
const OF_V2: [&str; 19] = [
    "v1.1", "v1.2", "v1.3", "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11",
    "v1.12", "v1.13", "v1.14", "v1.15", "v1.16", "v1.17", "v1.18", "v1.19",
];

/// Answers the list.
pub async fn list(app: web::Data<App>) -> HttpResponse {
    let v1 = &app.config.v1;
    let whole_v1 = v1.enabled && v1.bind && v1.lookup;
    let of_v1 = OF_V1.iter().filter(|_| whole_v1);
    let versions: Vec<_> = of_v1.chain(&OF_V2).collect();
    HttpResponse::Ok().json(json!({ "versions": versions }))
}
