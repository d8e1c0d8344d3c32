//! The comparison of lookups: of single addresses, in bulk, and by hash.

use std::collections::HashSet;

use serde_json::{Value, json};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::context::{VerifyContext, database_failure};
use super::servers::{Request, V1, V2};
use crate::cli::failure::Failure;
use crate::domain::email;
use crate::domain::lookup::{self, Pepper};
use crate::import::verify::{
    Answer, Expected, Row, Subject, Topic, Verdict, compare_exactly, compare_hash_details,
    compare_rejections, compare_signed, compare_users, users_in_bulk, users_in_mappings,
};
use crate::random;

/// Addresses per request, unless a server accepts fewer.
const BATCH: usize = 500;
/// Of so many of the newest rows of each table, and of so many random ones, the signed
/// association is compared.
const SINGLE: u32 = 1000;
/// Addresses that neither server knows.
const UNKNOWN: usize = 10;

/// What hashed lookups need: a token for both servers, and the pepper of each.
struct Hashing {
    token: Zeroizing<String>,
    old: Pepper,
    new: Pepper,
}

/// The kinds of lookups of several addresses.
#[derive(Clone, Copy)]
enum BatchLookup<'a> {
    Bulk,
    Hashed(&'a Hashing),
}

/// An address, and the results that are correct for it.
type ExpectedLookup = (Subject, Expected);

/// Compares the lookups of all addresses or of a sample, including those whose binding
/// was removed, and of some unknown addresses.
pub(super) async fn compare(
    context: &mut VerifyContext,
    token: Option<Zeroizing<String>>,
) -> Result<(), Failure> {
    let hashing = match token {
        Some(token) => hashing(context, token).await?,
        None => None,
    };
    if !context.has_v1 {
        compare_v1_switched_off(context).await?;
    }
    let rows = context.old.rows(context.sample).map_err(database_failure)?;
    context.bar.set_length(rows.len() as u64);
    let single = rows_of_single_lookups(context)?;
    let mut batch = BATCH;
    for rows in rows.chunks(BATCH) {
        let subjects = context.old.subjects(rows).map_err(database_failure)?;
        compare_subjects(
            context,
            subjects,
            single.as_ref(),
            hashing.as_ref(),
            &mut batch,
        )
        .await?;
        context.bar.inc(rows.len() as u64);
    }
    compare_subjects(
        context,
        unknown_addresses()?,
        single.as_ref(),
        hashing.as_ref(),
        &mut batch,
    )
    .await
}

/// The rows whose addresses are looked up on their own as well; `None` for all.
fn rows_of_single_lookups(context: &mut VerifyContext) -> Result<Option<HashSet<Row>>, Failure> {
    if context.each || context.sample.is_some() {
        return Ok(None);
    }
    let rows = context.old.rows(Some(SINGLE)).map_err(database_failure)?;
    Ok(Some(rows.into_iter().collect()))
}

fn unknown_addresses() -> Result<Vec<Subject>, Failure> {
    (0..UNKNOWN)
        .map(|_| {
            let name = random::alphanumeric(20)
                .map_err(|error| Failure::new(format!("Cannot generate an address: {error}.")))?;
            let address = format!("{name}@verify.invalid").to_lowercase();
            Ok(Subject::unknown(address))
        })
        .collect()
}

/// If the old server does not serve v1, the new one must not serve it either.
async fn compare_v1_switched_off(context: &mut VerifyContext) -> Result<(), Failure> {
    let request = Request::get(format!(
        "{V1}/lookup?medium=email&address=nobody%40verify.invalid"
    ));
    let (old, new) = context.servers.both(&request).await?;
    let verdict = compare_rejections(&old, &new);
    context.comparison.add(Topic::Lookups, verdict, "v1");
    context.remark("The old server does not serve v1, so v1 was not compared any further.");
    Ok(())
}

async fn hashing(
    context: &mut VerifyContext,
    token: Zeroizing<String>,
) -> Result<Option<Hashing>, Failure> {
    let request = Request::get(format!("{V2}/hash_details")).with_token(&token);
    let (old, new) = context.servers.both(&request).await?;
    let verdict = compare_hash_details(&old, &new, context.old.has_pepper());
    context
        .comparison
        .add(Topic::HashDetails, verdict, "hash_details");
    let pepper = |answer: &Answer| {
        let pepper = answer.body.get("lookup_pepper").and_then(Value::as_str);
        pepper.and_then(|pepper| Pepper::parse(pepper).ok())
    };
    let peppers = pepper(&old).zip(pepper(&new));
    if peppers.is_none() {
        context.not_compared(
            "Hashed lookups were not compared: the pepper of one server is not valid, so no \
             client can use it.",
        );
    }
    Ok(peppers.map(|(old, new)| Hashing { token, old, new }))
}

async fn compare_subjects(
    context: &mut VerifyContext,
    subjects: Vec<Subject>,
    single: Option<&HashSet<Row>>,
    hashing: Option<&Hashing>,
    batch: &mut usize,
) -> Result<(), Failure> {
    let now = context.clock.now().as_i64();
    let mut lookups = Vec::with_capacity(subjects.len());
    for subject in subjects {
        let expected = context
            .old
            .expected(&subject, now)
            .map_err(database_failure)?;
        lookups.push((subject, expected));
    }
    if context.has_v1 {
        let is_single = |(subject, _): &&ExpectedLookup| match (single, subject.row) {
            (Some(rows), Some(row)) => rows.contains(&row),
            _ => true,
        };
        for lookup in lookups.iter().filter(is_single) {
            compare_single(context, lookup).await?;
        }
    }
    let bulk = context.has_v1.then_some(BatchLookup::Bulk);
    for kind in bulk.into_iter().chain(hashing.map(BatchLookup::Hashed)) {
        let mut rest = lookups.as_slice();
        while !rest.is_empty() {
            let (chunk, others) = rest.split_at(rest.len().min(*batch));
            let compared = match kind {
                BatchLookup::Bulk => compare_bulk(context, chunk).await?,
                BatchLookup::Hashed(hashing) => compare_hashed(context, chunk, hashing).await?,
            };
            if compared {
                rest = others;
            } else {
                *batch = chunk.len().div_ceil(2);
            }
        }
    }
    Ok(())
}

async fn compare_single(
    context: &mut VerifyContext,
    (subject, expected): &ExpectedLookup,
) -> Result<(), Failure> {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("medium", &subject.medium)
        .append_pair("address", &subject.address)
        .finish();
    let request = Request::get(format!("{V1}/lookup?{query}"));
    let (old, new) = context.servers.both(&request).await?;
    let verdict = compare_signed(&old, &new, expected, &context.key);
    context.comparison.add(Topic::Lookups, verdict, subject);
    Ok(())
}

/// Returns false if a server accepts only fewer addresses per request.
async fn compare_bulk(
    context: &mut VerifyContext,
    lookups: &[ExpectedLookup],
) -> Result<bool, Failure> {
    let threepids: Vec<[&str; 2]> = lookups
        .iter()
        .map(|(subject, _)| [subject.medium.as_str(), subject.address.as_str()])
        .collect();
    let body = json!({ "threepids": threepids });
    let request = Request::post(format!("{V1}/bulk_lookup"), body);
    let (old, new) = context.servers.both(&request).await?;
    if is_too_large(&old, lookups) || is_too_large(&new, lookups) {
        return Ok(false);
    }
    let (old_users, new_users) = (users_in_bulk(&old.body), users_in_bulk(&new.body));
    for (subject, expected) in lookups {
        let threepid = (subject.medium.clone(), subject.address.to_ascii_lowercase());
        let users = old_users.get(&threepid).map_or(&[][..], Vec::as_slice);
        let user = new_users
            .get(&threepid)
            .and_then(|users| users.first())
            .copied();
        let verdict = match (old.status, new.status) {
            (200, 200) => compare_users(users, user, expected),
            _ => compare_exactly(&old, &new),
        };
        context.comparison.add(Topic::BulkLookups, verdict, subject);
    }
    Ok(true)
}

/// Returns false if a server accepts only fewer addresses per request.
async fn compare_hashed(
    context: &mut VerifyContext,
    lookups: &[ExpectedLookup],
    hashing: &Hashing,
) -> Result<bool, Failure> {
    let request = |pepper: &Pepper| {
        let hashes: Vec<String> = lookups
            .iter()
            .flat_map(|(subject, _)| hashes(subject, hashing, pepper))
            .collect();
        let body = json!({ "addresses": hashes, "algorithm": "sha256", "pepper": pepper.as_str() });
        Request::post(format!("{V2}/lookup"), body).with_token(&hashing.token)
    };
    let (old_request, new_request) = (request(&hashing.old), request(&hashing.new));
    let (old, new) = context.servers.each(&old_request, &new_request).await?;
    if is_too_large(&old, lookups) || is_too_large(&new, lookups) {
        return Ok(false);
    }
    let (old_users, new_users) = (users_in_mappings(&old.body), users_in_mappings(&new.body));
    for (subject, expected) in lookups {
        let old_hashes = hashes(subject, hashing, &hashing.old);
        let new_hashes = hashes(subject, hashing, &hashing.new);
        let verdicts = old_hashes
            .iter()
            .zip(&new_hashes)
            .map(|(old_hash, new_hash)| {
                let users = old_users.get(old_hash.as_str()).copied();
                let users: Vec<&str> = users.into_iter().collect();
                let user = new_users.get(new_hash.as_str()).copied();
                match (old.status, new.status) {
                    (200, 200) => compare_users(&users, user, expected),
                    _ => compare_exactly(&old, &new),
                }
            });
        let verdict = verdicts.fold(Verdict::Equal, Verdict::and);
        context
            .comparison
            .add(Topic::HashedLookups, verdict, subject);
    }
    Ok(true)
}

/// The hash that a client sends which folds the address as the specification requires,
/// and the one of the address as it was written, if Sydent has stored that. With the
/// hash of an address with capital letters nobody asks.
fn hashes(subject: &Subject, hashing: &Hashing, pepper: &Pepper) -> Vec<String> {
    let of = |address: &str, pepper| lookup::hash(address, &subject.medium, pepper);
    let canonical = match &subject.threepid {
        Some(threepid) => lookup::sha256_hash(threepid, pepper),
        None => of(&subject.address, pepper),
    };
    let folded = email::fold(&subject.address);
    let is_stored = subject.stored_hash.as_deref() == Some(of(&folded, &hashing.old).as_str());
    let written = is_stored
        .then(|| of(&folded, pepper))
        .filter(|hash| *hash != canonical);
    std::iter::once(canonical).chain(written).collect()
}

/// Whether the server may accept a request with fewer addresses.
fn is_too_large(answer: &Answer, lookups: &[ExpectedLookup]) -> bool {
    lookups.len() > 1 && matches!(answer.status, 400 | 413)
}
