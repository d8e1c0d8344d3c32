//! Lookups by hash.
//!
//! - [`GET /_matrix/identity/v2/hash_details`](https://spec.matrix.org/v1.19/identity-service-api/#get_matrixidentityv2hash_details)
//! - [`POST /_matrix/identity/v2/lookup`](https://spec.matrix.org/v1.19/identity-service-api/#post_matrixidentityv2lookup)

use std::collections::HashMap;
use std::net::IpAddr;

use actix_web::web;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::actor::lookups::CurrentPeppers;
use crate::app::App;
use crate::config::Config;
use crate::domain::ids::Mxid;
use crate::domain::lookup::{Algorithm, Entries, Pepper, max_bytes};
use crate::error::{Error, Kind};
use crate::flow::lookup as flow;
use crate::http::access::V2Lookup;
use crate::http::args::{Body, Query};
use crate::http::call::Call;
use crate::http::empty::NoArguments;
use crate::http::fields::Request;
use crate::http::off_thread::off_thread;
use crate::http::resource::Endpoint;

/// How to hash addresses.
#[derive(Serialize, ToSchema)]
pub struct HashDetailsResponse {
    lookup_pepper: Pepper,
    /// Other peppers that lookups may use, for a few minutes after a rotation (MSC4004).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alt_lookup_peppers: Vec<Pepper>,
    algorithms: Vec<Algorithm>,
}

pub(in crate::http) const DETAILS: Endpoint = Endpoint {
    summary: "Get the pepper and the algorithms of lookups",
    errors: &[],
};

/// Returns the pepper and the algorithms of lookups.
pub async fn details(
    app: web::Data<App>,
    _call: Call<V2Lookup, Query, NoArguments>,
) -> Result<web::Json<HashDetailsResponse>, Error> {
    let now = app.clock.now().as_i64();
    let ask = CurrentPeppers { now };
    // One that a rotation has just replaced can still be used for ten minutes.
    let peppers = app.lookup_reads.send(ask, |_peppers| true).await?;
    Ok(web::Json(HashDetailsResponse {
        lookup_pepper: peppers.current.pepper,
        alt_lookup_peppers: peppers.former.into_iter().map(|it| it.pepper).collect(),
        algorithms: algorithms(&app).collect(),
    }))
}

/// The addresses to look up.
#[derive(Deserialize, ToSchema)]
pub struct LookupRequest {
    algorithm: Algorithm,
    pepper: String,
    /// Hashes, or for the algorithm `none` an address, a space and its medium.
    addresses: Vec<String>,
}

impl Request for LookupRequest {
    const IS_LONG: bool = true;

    fn max_body_bytes(config: &Config) -> usize {
        max_bytes(config.lookup.max_addresses)
    }
}

/// The users of the addresses that are bound.
#[derive(Serialize, ToSchema)]
pub struct LookupResponse {
    /// The user by the entry of `addresses`.
    #[schema(value_type = HashMap<String, Mxid>)]
    mappings: HashMap<String, String>,
}

pub(in crate::http) const LOOKUP: Endpoint = Endpoint {
    summary: "Look up the users of addresses",
    // LKP-09, LKP-12, LKP-18
    errors: &[
        Kind::INVALID_PEPPER,
        Kind::TOO_MANY_ADDRESSES,
        Kind::LIMIT_EXCEEDED,
    ],
};

/// Looks up the users of many addresses.
pub async fn lookup(
    app: web::Data<App>,
    mut call: Call<V2Lookup, Body, LookupRequest>,
) -> Result<web::Json<LookupResponse>, Error> {
    let fields = call.take_fields();
    let (client, user) = (call.client, call.caller.user().cloned());
    let lookup = off_thread(fields.unparsed_bytes(), {
        let app = app.clone();
        move || Lookup::new(&app, fields.parse()?, client, user.as_ref())
    })
    .await?;
    let algorithm = lookup.algorithm;
    let mappings = flow::users_of_hashes(&app, lookup.entries, lookup.pepper, lookup.claim)
        .await?
        .map_err(|pepper| Error::invalid_pepper(algorithm, &pepper))?;
    Ok(web::Json(LookupResponse { mappings }))
}

/// A lookup that may be made, and is to be paid.
struct Lookup {
    algorithm: Algorithm,
    pepper: String,
    entries: Entries,
    claim: flow::Claim,
}

impl Lookup {
    fn new(
        app: &App,
        request: LookupRequest,
        client: Option<IpAddr>,
        user: Option<&Mxid>,
    ) -> Result<Self, Error> {
        let algorithm = request.algorithm;
        if !algorithms(app).any(|offered| offered == algorithm) {
            return Err(Error::invalid_param("algorithm", Algorithm::UNKNOWN));
        }
        let max_addresses = app.config.lookup.max_addresses;
        if request.addresses.len() > max_addresses {
            return Err(Error::too_many_addresses(max_addresses));
        }
        charge(app, user, request.addresses.len())?;
        let claim = flow::claim(app, client, user, &request.addresses);
        Ok(Self {
            algorithm,
            pepper: request.pepper,
            entries: Entries::parse(algorithm, request.addresses),
            claim,
        })
    }
}

/// The algorithms that the configuration enables (LKP-20).
fn algorithms(app: &App) -> impl Iterator<Item = Algorithm> {
    let allow_none = app.config.lookup.allow_none;
    let all = Algorithm::ALL.into_iter();
    all.filter(move |algorithm| allow_none || *algorithm != Algorithm::Plain)
}

/// Counts addresses, new ones or not, against the limit of an account, for the load of
/// this server (LKP-18).
///
/// # Errors
/// `429 M_LIMIT_EXCEEDED` when the limit is exceeded.
pub(super) fn charge(app: &App, user: Option<&Mxid>, addresses: usize) -> Result<(), Error> {
    let (Some(limiter), Some(user)) = (&app.limiters.account_lookups, user) else {
        return Ok(());
    };
    let addresses = u32::try_from(addresses).unwrap_or(u32::MAX);
    limiter
        .take(&user.to_string(), addresses)
        .map_err(Error::limit_exceeded)
}
