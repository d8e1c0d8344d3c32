//! What another server of the mesh pushes (INT-03).
//!
//! - `POST /_matrix/identity/replicate/v1/push`

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use log::warn;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::args::{content_type, json_object};
use super::body;
use super::describe::{DescribeRequest, Description};
use super::resource::Endpoint;
use crate::app::App;
use crate::domain::ids::ServerName;
use crate::domain::public_key::PublicKey;
use crate::domain::replication::{MAX_ASSOCIATIONS, Push, sort_by_id};
use crate::error::{Error, Kind};
use crate::flow::ingest::ingest;

/// The name in the client certificate of a connection, if it has one that is a
/// server name.
#[derive(Debug, Clone)]
pub struct PeerName(pub Option<ServerName>);

/// The largest push, in bytes: room for [`MAX_ASSOCIATIONS`] associations with the longest
/// names and addresses. The limit for clients does not apply.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Signed associations of a peer.
#[derive(Deserialize, ToSchema)]
pub(super) struct PushRequest {
    /// Associations as `3pid/bind` returns them, by increasing number; an `mxid` of
    /// null removes a binding.
    #[serde(rename = "sgAssocs")]
    associations: Map<String, Value>,
    /// True if the sender compares the statements of all servers by their times, as
    /// this server does; otherwise it may be a Python Sydent.
    #[serde(default)]
    #[schema(value_type = bool)]
    compares: Value,
}

/// The associations are stored.
#[derive(Serialize, ToSchema)]
pub(super) struct PushResponse {
    /// Always true.
    success: bool,
}

/// The body of a push, which is read once the peer is known.
pub(super) struct PushBody(Payload);

impl FromRequest for PushBody {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(_request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        ready(Ok(Self(payload.take())))
    }
}

impl DescribeRequest for PushBody {
    fn describe(operation: &mut Description) {
        operation.body::<PushRequest>(&["application/json"], None);
    }
}

pub(super) const PUSH: Endpoint = Endpoint {
    summary: "Push associations to this server",
    errors: &[
        Kind::NOT_JSON,
        Kind::TOO_MANY_ASSOCIATIONS,
        Kind::VERIFICATION_FAILED,
    ],
};

/// Stores all associations of a push, or none.
pub(super) async fn push(
    app: web::Data<App>,
    request: HttpRequest,
    body: PushBody,
) -> Result<web::Json<PushResponse>, Error> {
    let (name, key) = peer(&app, &request)?;
    let result = match read(&app, &request, body.0).await {
        Ok(push) => ingest(&app, name, key, push).await.map_err(Error::from),
        Err(error) => Err(error),
    };
    let outcome = match &result {
        Ok(()) => "accepted",
        Err(error) if error.status().is_client_error() => {
            warn!(peer = name.as_str(), reason:% = error; "push rejected");
            "refused"
        }
        Err(_) => "failed",
    };
    app.metrics.push_received(name.as_str(), outcome);
    result.map(|()| web::Json(PushResponse { success: true }))
}

/// The peer that a client certificate belongs to, and its key.
fn peer<'a>(app: &'a App, request: &HttpRequest) -> Result<(&'a ServerName, PublicKey), Error> {
    let certificate = request.conn_data::<PeerName>();
    let certificate = certificate.and_then(|peer| peer.0.as_ref());
    let peers = &app.config.replication.peers;
    if let Some((name, peer)) = certificate.and_then(|name| peers.get_key_value(name)) {
        return Ok((name, peer.public_key));
    }
    // The handshake lets nobody else in.
    Err(Error::internal())
}

async fn read(
    app: &web::Data<App>,
    request: &HttpRequest,
    payload: Payload,
) -> Result<Push, Error> {
    if content_type(request) != "application/json" {
        return Err(Error::not_json());
    }
    let body = body::read(app, request, payload, MAX_BODY_BYTES, None).await?;
    let Ok(push) = PushRequest::deserialize(Value::Object(json_object(&body.bytes)?)) else {
        return Err(Error::bad_json("sgAssocs must be an object"));
    };
    if push.associations.len() > MAX_ASSOCIATIONS {
        return Err(Error::too_many_associations(MAX_ASSOCIATIONS));
    }
    let changes = sort_by_id(push.associations).map_err(|reason| Error::bad_json(reason.0))?;
    Ok(Push {
        changes,
        sender_compares: push.compares == true,
    })
}
