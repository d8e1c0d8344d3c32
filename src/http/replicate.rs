//! `POST /_matrix/identity/replicate/v1/push`: another server of the mesh tells
//! what was bound there (INT-03).

use actix_web::dev::Payload;
use actix_web::{HttpRequest, HttpResponse, web};
use log::warn;
use serde_json::{Value, json};

use super::args::json_object;
use super::body::{self, content_type};
use crate::app::App;
use crate::domain::ids::ServerName;
use crate::domain::replication::{MOST, WithId, in_order};
use crate::error::Error;
use crate::flow::ingest::ingest;

/// The name in the certificate of whoever has a connection, if it has one that
/// is the name of a server.
#[derive(Debug, Clone)]
pub struct PeerName(pub Option<ServerName>);

/// The largest push, in bytes: the longest names and addresses that there are
/// fit in. What clients may send is another matter.
const LARGEST: usize = 1024 * 1024;

/// Takes what a peer has signed, or nothing of it.
///
/// # Errors
/// 403 for a certificate of nobody who is known, 400 when the body is not what
/// it must be.
pub async fn push(
    app: web::Data<App>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Error> {
    let certified = request
        .conn_data::<PeerName>()
        .and_then(|peer| peer.0.as_ref());
    let known = certified.and_then(|name| app.config.replication.peers.get_key_value(name));
    let Some((name, peer)) = known else {
        let shown = certified.map_or("no server", ServerName::as_str);
        warn!("a push was refused: its certificate is that of {shown}, which is no peer");
        app.metrics.push_received("", "unknown");
        return Err(Error::unknown_peer());
    };
    let taken = async {
        let changes = read(&app, &request, payload.into_inner()).await?;
        Ok(ingest(&app, name, peer.public_key, changes).await?)
    };
    let taken: Result<(), Error> = taken.await;
    let outcome = match &taken {
        Ok(()) => "accepted",
        Err(error) if error.status().is_client_error() => {
            warn!("a push of the peer {name} was refused: {error}");
            "refused"
        }
        Err(_) => "failed",
    };
    app.metrics.push_received(name.as_str(), outcome);
    taken.map(|()| HttpResponse::Ok().json(json!({ "success": true })))
}

async fn read(
    app: &web::Data<App>,
    request: &HttpRequest,
    payload: Payload,
) -> Result<Vec<WithId>, Error> {
    if content_type(request) != "application/json" {
        return Err(Error::not_json());
    }
    let body = body::read_up_to(LARGEST, app.clone(), payload).await?;
    let mut object = json_object(&body)?;
    let Some(Value::Object(associations)) = object.remove("sgAssocs") else {
        return Err(Error::bad_json("There must be an object sgAssocs"));
    };
    if associations.len() > MOST {
        return Err(Error::too_many_associations(MOST));
    }
    in_order(associations).map_err(|why| Error::bad_json(why.0))
}
