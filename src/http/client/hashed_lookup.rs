//! `GET …/hash_details` and `POST …/lookup` of v2 (section 7 of the conformance
//! list).

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use crate::actor::lookups::{CurrentPepper, LookupHashes, LookupOutcome};
use crate::app::App;
use crate::domain::ids::Mxid;
use crate::domain::lookup::{Algorithm, Entries};
use crate::error::Error;
use crate::http::call::{Body, Call, Query, V2};

/// How entries are to be written, and with which pepper.
///
/// # Errors
/// Only when the machinery fails.
pub async fn details(app: web::Data<App>, _call: Call<V2, Query>) -> Result<HttpResponse, Error> {
    let pepper = app.lookups.send(CurrentPepper).await?;
    let algorithms: Vec<&str> = algorithms(&app).map(Algorithm::as_str).collect();
    Ok(HttpResponse::Ok().json(json!({
        "lookup_pepper": pepper.as_str(),
        "algorithms": algorithms,
    })))
}

/// To whom each of many addresses is bound.
///
/// # Errors
/// See LKP-09, LKP-10, LKP-12, LKP-14, LKP-18.
pub async fn lookup(app: web::Data<App>, call: Call<V2, Body>) -> Result<HttpResponse, Error> {
    call.require(&["algorithm", "pepper", "addresses"])?;
    let name = call.text("algorithm")?;
    let algorithm = algorithms(&app)
        .find(|algorithm| algorithm.as_str() == name)
        .ok_or_else(|| Error::invalid_param("algorithm", "is none that hash_details names"))?;
    let pepper = call.text("pepper")?.to_owned();
    let entries = entries(call.value("addresses"), app.config.lookup.max_addresses)?;
    count(&app, call.caller.user(), entries.len())?;
    let look = LookupHashes {
        entries: Entries::read(algorithm, entries),
        pepper,
        now: app.clock.now(),
    };
    match app.lookups.send(look).await? {
        LookupOutcome::Found(mappings) => {
            Ok(HttpResponse::Ok().json(json!({ "mappings": mappings })))
        }
        LookupOutcome::WrongPepper(pepper) => Err(Error::invalid_pepper(algorithm, &pepper)),
    }
}

/// The algorithms that this server offers (LKP-20).
fn algorithms(app: &App) -> impl Iterator<Item = Algorithm> {
    let allow_none = app.config.lookup.allow_none;
    let offered = move |algorithm: &Algorithm| allow_none || *algorithm != Algorithm::Plain;
    Algorithm::ALL.into_iter().filter(offered)
}

fn entries(value: Option<&Value>, limit: usize) -> Result<Vec<String>, Error> {
    let wrong = || Error::invalid_param("addresses", "must be a list of strings");
    let list = value.and_then(Value::as_array).ok_or_else(wrong)?;
    if list.len() > limit {
        return Err(Error::too_many_addresses(limit));
    }
    let text = |entry: &Value| entry.as_str().map(str::to_owned).ok_or_else(wrong);
    list.iter().map(text).collect()
}

/// Slows down whoever asks for address after address (LKP-18).
pub(super) fn count(app: &App, user: Option<&Mxid>, entries: usize) -> Result<(), Error> {
    let entries = u32::try_from(entries).unwrap_or(u32::MAX);
    app.account_limiter
        .as_ref()
        .zip(user)
        .map_or(Ok(()), |(limiter, user)| {
            limiter.take(&user.to_string(), entries)
        })
        .map_err(Error::limit_exceeded)
}
