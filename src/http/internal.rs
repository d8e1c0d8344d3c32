//! Binding, unbinding and lookups for tools on the same machine, which are trusted
//! (INT-01, INT-02).
//!
//! - `POST /_matrix/identity/internal/bind`
//! - `POST /_matrix/identity/internal/unbind`
//! - `GET /_matrix/identity/internal/lookup`

use actix_web::web;
use serde::Deserialize;
use utoipa::ToSchema;

use super::access::Anyone;
use super::args::{Body, Query};
use super::call::Call;
use super::client::lookup::{AddressLookupRequest, StoredAssociation, find};
use super::empty::Empty;
use super::fields::Request;
use super::resource::Endpoint;
use super::signed::{SignedAssociation, typed};
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

impl BindingRequest {
    fn threepid(&self) -> Result<ThreePid, Error> {
        ThreePid::parse(self.medium.as_str(), &self.address)
            .map_err(|reason| Error::invalid_param("address", reason))
    }
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
) -> Result<web::Json<SignedAssociation>, Error> {
    let request = call.request()?;
    let proof = Proof::trusted(request.threepid()?);
    let inner = app.clone().into_inner();
    let signed = app
        .detached
        .run(async move { bind::bind(&inner, proof, request.mxid).await })
        .await??;
    Ok(web::Json(typed(signed)?))
}

pub(super) const UNBIND: Endpoint = Endpoint {
    summary: "Remove the binding of an address to a Matrix user",
    errors: &[],
};

/// Removes a binding; the response is the same when there was none.
pub(super) async fn unbind(
    app: web::Data<App>,
    mut call: Call<Anyone, Body, BindingRequest>,
) -> Result<web::Json<Empty>, Error> {
    let request = call.request()?;
    let threepid = request.threepid()?;
    let inner = app.clone().into_inner();
    app.detached
        .run(async move { bind::unbind(&inner, Some(threepid), request.mxid).await })
        .await??;
    Ok(web::Json(Empty {}))
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
