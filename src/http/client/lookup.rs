//! Lookups of version 1, which the specification dropped in v1.1.
//!
//! - [`GET /_matrix/identity/api/v1/lookup`](https://matrix.org/docs/spec/identity_service/r0.3.0#get-matrix-identity-api-v1-lookup)
//! - [`POST /_matrix/identity/api/v1/bulk_lookup`](https://matrix.org/docs/spec/identity_service/r0.3.0#post-matrix-identity-api-v1-bulk-lookup)

use std::net::IpAddr;

use actix_web::body::BoxBody;
use actix_web::{HttpRequest, HttpResponse, Responder, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::config::Config;
use crate::domain::lookup::max_bytes;
use crate::domain::threepid::ThreePid;
use crate::error::{Error, Kind};
use crate::flow::lookup::{
    Claim, claim, newest_signed_association, pay, signed_association, users_of,
};
use crate::http::access::V1;
use crate::http::args::{Body, Query};
use crate::http::call::Call;
use crate::http::describe::{DescribeResponse, Description};
use crate::http::fields::Request;
use crate::http::off_thread::off_thread;
use crate::http::resource::Endpoint;
use crate::http::signed::SignedAssociation;

/// The address to look up.
#[derive(Deserialize, ToSchema)]
pub struct AddressLookupRequest {
    medium: String,
    address: String,
}

impl Request for AddressLookupRequest {}

impl AddressLookupRequest {
    /// `None` if it is not a 3PID, and so not bound (IDN-06).
    fn threepid(&self) -> Option<ThreePid> {
        ThreePid::parse(&self.medium, &self.address).ok()
    }
}

/// A signed association as JSON, or nothing. It is returned to the letter: it can
/// have fields that another server has signed (V1L-03).
pub struct StoredAssociation(Option<String>);

impl Responder for StoredAssociation {
    type Body = BoxBody;

    fn respond_to(self, _request: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok()
            .content_type("application/json")
            .body(self.0.unwrap_or_else(|| "{}".to_owned()))
    }
}

impl DescribeResponse for StoredAssociation {
    fn describe(operation: &mut Description) {
        let text = "The association of the address, or an empty object if it is not bound.";
        operation.response::<SignedAssociation>("200", text);
    }
}

pub(in crate::http) const LOOKUP: Endpoint = Endpoint {
    summary: "Look up the association of an address",
    errors: &[Kind::LIMIT_EXCEEDED],
};

/// Looks up the signed association of an address.
pub async fn lookup(
    app: web::Data<App>,
    mut call: Call<V1, Query, AddressLookupRequest>,
) -> Result<StoredAssociation, Error> {
    let request = call.request()?;
    charge(&app, call.client, 1)?;
    let address = (&request.medium, &request.address);
    pay(&app, claim(&app, call.client, None, [address])).await?;
    let Some(threepid) = request.threepid() else {
        return Ok(StoredAssociation(None));
    };
    Ok(StoredAssociation(signed_association(&app, threepid).await?))
}

/// [`lookup`] without a rate limit, and never from a standby.
///
/// # Errors
/// `500` or `503` when the lookup fails.
pub async fn find(app: &App, request: &AddressLookupRequest) -> Result<StoredAssociation, Error> {
    let Some(threepid) = request.threepid() else {
        return Ok(StoredAssociation(None));
    };
    let found = newest_signed_association(app, threepid).await?;
    Ok(StoredAssociation(found))
}

/// The addresses to look up.
#[derive(Deserialize, ToSchema)]
pub struct BulkLookupRequest {
    threepids: Vec<MediumAndAddress>,
}

impl Request for BulkLookupRequest {
    const IS_LONG: bool = true;

    fn max_body_bytes(config: &Config) -> usize {
        max_bytes(config.lookup.max_addresses)
    }
}

/// A medium and an address.
#[derive(Deserialize, ToSchema)]
#[serde(expecting = "a pair [medium, address]")]
struct MediumAndAddress(String, String);

/// The addresses that are bound.
#[derive(Serialize, ToSchema)]
pub struct BulkLookupResponse {
    threepids: Vec<BoundAddress>,
}

/// A medium and an address as in the request, and its user.
#[derive(Serialize, ToSchema)]
struct BoundAddress(String, String, String);

pub(in crate::http) const BULK_LOOKUP: Endpoint = Endpoint {
    summary: "Look up the users of addresses",
    errors: &[Kind::TOO_MANY_ADDRESSES, Kind::LIMIT_EXCEEDED],
};

/// Looks up the users of many addresses.
pub async fn bulk_lookup(
    app: web::Data<App>,
    mut call: Call<V1, Body, BulkLookupRequest>,
) -> Result<web::Json<BulkLookupResponse>, Error> {
    let (fields, client) = (call.take_fields(), call.client);
    let lookup = off_thread(fields.unparsed_bytes(), {
        let app = app.clone();
        move || Lookup::new(&app, fields.parse()?, client)
    })
    .await?;
    pay(&app, lookup.claim).await?;
    let given = lookup.given;
    let threepids = given.iter().map(|(threepid, _)| threepid.clone()).collect();
    let users = users_of(&app, threepids).await?;
    let bound = given.into_iter().filter_map(|(threepid, given)| {
        let mxid = users.get(&threepid)?.clone();
        Some(BoundAddress(given.0, given.1, mxid))
    });
    Ok(web::Json(BulkLookupResponse {
        threepids: bound.collect(),
    }))
}

/// A bulk lookup that may be made, and is to be paid.
struct Lookup {
    given: Vec<(ThreePid, MediumAndAddress)>,
    claim: Claim,
}

impl Lookup {
    fn new(app: &App, request: BulkLookupRequest, client: Option<IpAddr>) -> Result<Self, Error> {
        let given = request.threepids;
        let max_addresses = app.config.lookup.max_addresses;
        if given.len() > max_addresses {
            return Err(Error::too_many_addresses(max_addresses));
        }
        charge(app, client, given.len())?;
        let addresses = given
            .iter()
            .map(|MediumAndAddress(medium, address)| (medium, address));
        let claim = claim(app, client, None, addresses);
        let parse = |one: MediumAndAddress| Some((ThreePid::parse(&one.0, &one.1).ok()?, one));
        let given = given.into_iter().filter_map(parse).collect();
        Ok(Self { given, claim })
    }
}

/// Counts addresses, new ones or not, against the limit of a client, for the load of
/// this server (V1L-06).
///
/// # Errors
/// `429 M_LIMIT_EXCEEDED` when the limit is exceeded.
pub(super) fn charge(app: &App, client: Option<IpAddr>, addresses: usize) -> Result<(), Error> {
    let Some(limiter) = &app.limiters.client_lookups else {
        return Ok(());
    };
    let addresses = u32::try_from(addresses).unwrap_or(u32::MAX);
    limiter
        .take_for_client(client, addresses)
        .map_err(Error::limit_exceeded)
}
