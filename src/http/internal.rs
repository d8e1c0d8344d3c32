//! Binding, unbinding and lookups for tools on the same machine, which are trusted
//! (INT-01, INT-02).
//!
//! - `POST /_matrix/identity/internal/bind`
//! - `POST /_matrix/identity/internal/unbind`
//! - `GET /_matrix/identity/internal/lookup`

use actix_web::web;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::access::Anyone;
use super::args::{Body, Query};
use super::call::Call;
use super::client::lookup::{AddressLookupRequest, StoredAssociation, find};
use super::fields::Request;
use super::resource::Endpoint;
use super::signed::{self, typed};
use crate::actor::lookups::SignedAssociation;
use crate::app::App;
use crate::domain::ids::Mxid;
use crate::domain::session::Proof;
use crate::domain::threepid::{Medium, ThreePid};
use crate::error::Error;
use crate::flow::bind;

/// An address and a user.
#[derive(Deserialize, ToSchema)]
pub(super) struct BindingRequest {
    medium: Medium,
    address: String,
    mxid: Mxid,
}

impl Request for BindingRequest {}

fn parse(medium: Medium, address: &str) -> Result<ThreePid, Error> {
    ThreePid::parse(medium.as_str(), address)
        .map_err(|reason| Error::invalid_param("address", reason))
}

pub(super) const BIND: Endpoint = Endpoint {
    summary: "Bind an address to a Matrix user without validation",
    errors: &[],
};

/// Binds an address without a validation session; returns what `3pid/bind`
/// returns.
pub(super) async fn bind(
    app: web::Data<App>,
    mut call: Call<Anyone, Body, BindingRequest>,
) -> Result<web::Json<signed::SignedAssociation>, Error> {
    let request = call.request()?;
    let proof = Proof::trusted(parse(request.medium, &request.address)?);
    let inner = app.clone().into_inner();
    let signed = app
        .detached
        .run(async move { bind::bind(&inner, proof, request.mxid).await })
        .await??;
    Ok(web::Json(typed(signed)?))
}

/// An address and a user whose binding is removed.
#[derive(Deserialize, ToSchema)]
pub(super) struct InternalUnbindRequest {
    medium: Medium,
    address: String,
    mxid: Mxid,
    /// Say in the response what was removed. Without it the response is empty.
    report: Option<bool>,
}

impl Request for InternalUnbindRequest {}

/// What an unbind has done, if the request asks for it.
#[derive(Default, Serialize, ToSchema)]
pub(super) struct InternalUnbindResponse {
    /// Whether this server had such a binding.
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<bool>,
    /// The association that lookups find afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<RemainingAssociation>,
}

/// The user that an address is bound to, and the server that bound it.
#[derive(Serialize, ToSchema)]
struct RemainingAssociation {
    mxid: String,
    origin: String,
}

pub(super) const UNBIND: Endpoint = Endpoint {
    summary: "Remove the binding of an address to a Matrix user",
    errors: &[],
};

/// Removes a binding; the response is the same when there was none, unless the request
/// asks for a report.
pub(super) async fn unbind(
    app: web::Data<App>,
    mut call: Call<Anyone, Body, InternalUnbindRequest>,
) -> Result<web::Json<InternalUnbindResponse>, Error> {
    let request = call.request()?;
    let threepid = parse(request.medium, &request.address)?;
    let inner = app.clone().into_inner();
    let unbound = threepid.clone();
    let removed = app
        .detached
        .run(async move { bind::unbind(&inner, Some(unbound), request.mxid).await })
        .await??;
    if request.report != Some(true) {
        return Ok(web::Json(InternalUnbindResponse::default()));
    }
    let lookup = SignedAssociation {
        threepid,
        now: app.clock.now().as_i64(),
    };
    let remaining = app.lookups.send(lookup).await?;
    Ok(web::Json(InternalUnbindResponse {
        removed: Some(removed),
        remaining: remaining.and_then(|(signed, origin)| {
            let mxid = serde_json::from_str::<Value>(&signed).ok()?;
            let mxid = mxid.get("mxid")?.as_str()?.to_owned();
            Some(RemainingAssociation { mxid, origin })
        }),
    }))
}

pub(super) const LOOKUP: Endpoint = Endpoint {
    summary: "Look up the association of an address",
    errors: &[],
};

/// Looks up the signed association of an address, whether or not v1 is enabled.
pub(super) async fn lookup(
    app: web::Data<App>,
    mut call: Call<Anyone, Query, AddressLookupRequest>,
) -> Result<StoredAssociation, Error> {
    find(&app, &call.request()?).await
}
