//! `GET /_matrix/identity/v2` and `GET /_matrix/identity/api/v1`: is there an
//! identity server? (VER-04, VER-05)

use actix_web::HttpResponse;
use serde_json::json;

/// Yes.
pub async fn pong() -> HttpResponse {
    HttpResponse::Ok().json(json!({}))
}
