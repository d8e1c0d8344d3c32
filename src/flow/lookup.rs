//! Lookups: what they cost, hashed ones, and the association with the signatures that
//! clients check.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::FlowError;
use super::charges::{self, Requester};
use crate::actor::lookup_leases::{Lease, LeaseLookups};
use crate::actor::lookups::{
    ADDRESSES_PER_PART, CurrentPeppers, FEW_ADDRESSES, LookupHashes, LookupOutcome,
    LookupThreepids, Lookups, SignedAssociation,
};
use crate::actor::pool::{Fault, State as _};
use crate::actor::signer::Sign;
use crate::app::App;
use crate::domain::counter::Refusal;
use crate::domain::ids::Mxid;
use crate::domain::lookup::{Entries, Pepper};
use crate::domain::threepid::ThreePid;
pub use crate::limiter::ledger::Claim;
use crate::limiter::ledger::Shortage;

/// How long a lookup waits for a lease before it borrows. Lookups go on while all writes of
/// the database wait, as during a rotation of the pepper; what they cost is charged
/// afterwards.
const LEND_AFTER: Duration = Duration::from_secs(1);

/// A lease holds a fiftieth of the burst more than is needed, so that few lookups ask
/// for one, and little is lost at a restart.
const PARTS_OF_BURST: u32 = 50;

/// How often a lookup asks for a lease, if others of the same payer use up what it gets.
const MAX_LEASES: usize = 4;

/// The entries of a lookup, to be paid by this client or account.
#[must_use]
pub fn claim<T: Hash>(
    app: &App,
    client: Option<IpAddr>,
    account: Option<&Mxid>,
    entries: impl IntoIterator<Item = T>,
) -> Claim {
    let payers = charges::of_lookup(app, Requester { client, account });
    let now = app.clock.now().as_i64();
    app.limiters.ledger.claim(payers, entries, now)
}

/// Pays for a lookup.
///
/// # Errors
/// [`FlowError::Limited`] when a limit is reached; nothing is charged then.
pub async fn pay(app: &App, claim: Claim) -> Result<(), FlowError> {
    for _ in 0..MAX_LEASES {
        match claim.pay() {
            Ok(()) => return Ok(()),
            Err(shortages) => lease(app, shortages).await?,
        }
    }
    Err(overtaken())
}

/// Finds the users of 3PIDs.
///
/// # Errors
/// When the database cannot be asked, or does not answer all within the timeout of a request.
pub async fn users_of(
    app: &App,
    mut threepids: Vec<ThreePid>,
) -> Result<HashMap<ThreePid, String>, FlowError> {
    let now = app.clock.now().as_i64();
    let all_parts = async {
        let mut users = HashMap::new();
        while !threepids.is_empty() {
            let rest = threepids.split_off(threepids.len().min(ADDRESSES_PER_PART));
            let lookup = LookupThreepids { threepids, now };
            users.extend(app.lookup_reads.send(lookup, |_found| true).await?);
            threepids = rest;
        }
        Ok(users)
    };
    within_timeout(app, all_parts).await
}

/// Finds the users of the entries of a v2 lookup; or returns the current pepper, if the
/// client used another one.
///
/// # Errors
/// [`FlowError::Limited`] when a limit is reached; nothing is charged then. When the
/// database does not answer all within the timeout of a request.
pub async fn users_of_hashes(
    app: &App,
    entries: Entries,
    pepper: String,
    claim: Claim,
) -> Result<Result<HashMap<String, String>, Pepper>, FlowError> {
    within_timeout(app, users_of_all_hashes(app, entries, &pepper, claim)).await
}

async fn within_timeout<T>(
    app: &App,
    lookup: impl Future<Output = Result<T, FlowError>>,
) -> Result<T, FlowError> {
    tokio::time::timeout(app.config.http.request_timeout, lookup)
        .await
        .unwrap_or_else(|_elapsed| Err(Fault::TimedOut(Lookups::NAME).into()))
}

async fn users_of_all_hashes(
    app: &App,
    entries: Entries,
    pepper: &str,
    claim: Claim,
) -> Result<Result<HashMap<String, String>, Pepper>, FlowError> {
    let now = app.clock.now().as_i64();
    let mut unpaid = Some(claim);
    if entries.len() > FEW_ADDRESSES {
        // Here, and not on the threads behind those of the requests: they would hold the
        // ledger up, which all lookups need.
        let peppers = app.lookup_reads.send(CurrentPeppers { now }, |peppers| {
            is_pepper_final(app, peppers.slot(pepper).is_some())
        });
        let peppers = peppers.await?;
        if peppers.slot(pepper).is_none() {
            return Ok(Err(peppers.current.pepper));
        }
        if let Some(claim) = unpaid.take() {
            pay(app, claim).await?;
        }
    }
    let mut users = HashMap::new();
    for entries in entries.into_parts(ADDRESSES_PER_PART) {
        match users_of_part(app, Arc::new(entries), pepper, unpaid.as_ref(), now).await? {
            Ok(found) if users.is_empty() => users = found,
            Ok(found) => users.extend(found),
            Err(pepper) => return Ok(Err(pepper)),
        }
    }
    Ok(Ok(users))
}

/// Looks up some entries as of `now`, ms, and pays for them if that is still to be done.
async fn users_of_part(
    app: &App,
    entries: Arc<Entries>,
    pepper: &str,
    unpaid: Option<&Claim>,
    now: i64,
) -> Result<Result<HashMap<String, String>, Pepper>, FlowError> {
    for _ in 0..MAX_LEASES {
        let lookup = LookupHashes {
            entries: Arc::clone(&entries),
            pepper: pepper.to_owned(),
            claim: unpaid.cloned(),
            now,
        };
        let is_final = |outcome: &LookupOutcome| {
            is_pepper_final(app, !matches!(outcome, LookupOutcome::WrongPepper(_)))
        };
        match app.lookup_reads.send(lookup, is_final).await? {
            LookupOutcome::Found(users) => return Ok(Ok(users)),
            LookupOutcome::WrongPepper(pepper) => return Ok(Err(pepper)),
            LookupOutcome::Unpaid(shortages) => lease(app, shortages).await?,
        }
    }
    Err(overtaken())
}

/// Whether what a standby says of a pepper is all there is to say. It may not know a new one
/// yet; while the database is away it is the one to use.
fn is_pepper_final(app: &App, is_known: bool) -> bool {
    is_known || app.is_primary_away()
}

fn overtaken() -> FlowError {
    FlowError::Limited(Refusal::new("lookups of one payer at a time", 1000))
}

/// Leases what is missing from the database or, while that does not answer, lends it.
async fn lease(app: &App, shortages: Vec<Shortage>) -> Result<(), FlowError> {
    let ledger = &app.limiters.ledger;
    if app.is_primary_away() && ledger.lend(&shortages) {
        return Ok(());
    }
    let mut sending = pin!(app.sessions.send(LeaseLookups {
        leases: shortages.iter().map(wish).collect(),
        now: app.clock.now().as_i64(),
    }));
    let sent = match tokio::time::timeout(LEND_AFTER, &mut sending).await {
        Ok(sent) => sent,
        Err(_elapsed) if ledger.lend(&shortages) => return Ok(()),
        Err(_elapsed) => sending.await,
    };
    match sent {
        Ok(Ok(granted)) => {
            for (shortage, addresses) in shortages.iter().zip(granted) {
                ledger.add_lease(shortage, addresses);
            }
            Ok(())
        }
        Ok(Err(refused)) => {
            for shortage in &shortages {
                ledger.add_payment(shortage);
            }
            let shortage = shortages.get(refused.index);
            let name = shortage.map_or("", |shortage| shortage.limit.name);
            Err(FlowError::Limited(Refusal::new(name, refused.wait_ms)))
        }
        Err(_) if ledger.lend(&shortages) => Ok(()),
        Err(fault) => Err(fault.into()),
    }
}

fn wish(shortage: &Shortage) -> Lease {
    let Shortage {
        limit,
        owed,
        missing,
    } = shortage;
    Lease {
        counted: limit.counted.clone(),
        rate: limit.rate,
        owed: *owed,
        at_least: *missing,
        at_most: missing.saturating_add(limit.rate.burst / PARTS_OF_BURST),
    }
}

/// The newest association of a 3PID, as JSON, from the standby if there is a fresh one. One
/// that this server has not signed under its present name also gets this signature (V1L-03).
///
/// # Errors
/// When neither database can be asked.
pub async fn signed_association(
    app: &App,
    threepid: ThreePid,
) -> Result<Option<String>, FlowError> {
    let now = app.clock.now().as_i64();
    let find = SignedAssociation { threepid, now };
    let found = app.lookup_reads.send(find, |_found| true).await?;
    also_signed(app, found).await
}

/// The same as it is now, for tools that may have changed it a moment ago.
///
/// # Errors
/// When the database cannot be asked.
pub async fn newest_signed_association(
    app: &App,
    threepid: ThreePid,
) -> Result<Option<String>, FlowError> {
    let now = app.clock.now().as_i64();
    let find = SignedAssociation { threepid, now };
    also_signed(app, app.lookups.send(find).await?).await
}

/// `found` is an association and the server that has signed it.
async fn also_signed(
    app: &App,
    found: Option<(String, String)>,
) -> Result<Option<String>, FlowError> {
    let Some((text, origin)) = found else {
        return Ok(None);
    };
    let object: Map<String, Value> = serde_json::from_str(&text)
        .map_err(|_corrupt| Fault::Internal("a stored association is not JSON"))?;
    let name = app.config.server.name.as_str();
    if origin == name
        && object
            .get("signatures")
            .is_some_and(|by_name| by_name.get(name).is_some())
    {
        return Ok(Some(text));
    }
    let signed = app.signer.send(Sign { object }).await?;
    Ok(Some(Value::Object(signed).to_string()))
}
