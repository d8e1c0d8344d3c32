//! `GET …/lookup` and `POST …/bulk_lookup` of v1 (section 13 of the
//! conformance list).

use std::net::IpAddr;

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use crate::actor::lookups::LookupThreepids;
use crate::app::App;
use crate::domain::threepid::ThreePid;
use crate::error::Error;
use crate::flow::lookup::signed_association;
use crate::http::args::Fields;
use crate::http::call::{Body, Call, Query, V1};

/// The signed association of one address, or `{}`.
///
/// # Errors
/// 400 when medium or address are missing.
pub async fn lookup(app: web::Data<App>, args: Call<V1, Query>) -> Result<HttpResponse, Error> {
    args.require(&["medium", "address"])?;
    count(&app, args.client, 1)?;
    find(&app, &args).await
}

/// The answer of [`lookup`], for whoever may ask as often as they like.
///
/// # Errors
/// 400 when medium or address are missing.
pub async fn find(app: &App, args: &Fields) -> Result<HttpResponse, Error> {
    args.require(&["medium", "address"])?;
    // What is no 3PID is bound to nobody (IDN-06).
    let threepid = ThreePid::parse(args.text("medium")?, args.text("address")?).ok();
    let found = match threepid {
        Some(threepid) => signed_association(app, threepid).await?,
        None => None,
    };
    let body = found.unwrap_or_else(|| "{}".to_owned());
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(body))
}

/// The user of each of many addresses, in the spelling that was submitted.
///
/// # Errors
/// 400 when `threepids` is missing, is no list of pairs, or is too long.
pub async fn bulk_lookup(app: web::Data<App>, args: Call<V1, Body>) -> Result<HttpResponse, Error> {
    args.require(&["threepids"])?;
    let pairs = pairs(args.value("threepids"), app.config.lookup.max_addresses)?;
    count(&app, args.client, pairs.len())?;
    let asked: Vec<_> = pairs
        .iter()
        .filter_map(|(_, _, threepid)| threepid.clone())
        .collect();
    let found = app
        .lookups
        .send(LookupThreepids {
            threepids: asked,
            now: app.clock.now(),
        })
        .await?;
    let answer: Vec<_> = pairs
        .iter()
        .filter_map(|(medium, address, threepid)| {
            let mxid = found.get(threepid.as_ref()?)?;
            Some([*medium, *address, mxid.as_str()])
        })
        .collect();
    Ok(HttpResponse::Ok().json(json!({ "threepids": answer })))
}

/// Slows down whoever asks for address after address (V1L-06).
pub(super) fn count(app: &App, client: Option<IpAddr>, addresses: usize) -> Result<(), Error> {
    let addresses = u32::try_from(addresses).unwrap_or(u32::MAX);
    let limiter = app.lookup_limiter.as_ref();
    limiter
        .map_or(Ok(()), |limiter| limiter.take_for_client(client, addresses))
        .map_err(Error::limit_exceeded)
}

type Pair<'a> = (&'a str, &'a str, Option<ThreePid>);

fn pairs(value: Option<&Value>, limit: usize) -> Result<Vec<Pair<'_>>, Error> {
    let wrong = || Error::invalid_param("threepids", "must be a list of [medium, address] pairs");
    let list = value.and_then(Value::as_array).ok_or_else(wrong)?;
    if list.len() > limit {
        return Err(Error::too_many_addresses(limit));
    }
    list.iter()
        .map(|entry| match entry.as_array().map(Vec::as_slice) {
            Some([Value::String(medium), Value::String(address)]) => Ok((
                medium.as_str(),
                address.as_str(),
                ThreePid::parse(medium, address).ok(),
            )),
            _ => Err(wrong()),
        })
        .collect()
}
