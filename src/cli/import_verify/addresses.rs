//! Look-ups: each address alone, in bulk, and by hash.

use serde_json::{Value, json};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::servers::{Question, V1, V2};
use super::{VerifyContext, unreadable};
use crate::cli::Failure;
use crate::domain::lookup::{self, Pepper};
use crate::import::verify::{
    Answer, Expected, Subject, Topic, compare_exactly, compare_hash_details, compare_rejections,
    compare_signed, compare_users, users_in_bulk, users_in_mappings,
};
use crate::random;

/// So many are asked for at a time, unless a server takes fewer.
const BATCH: usize = 500;
/// So many addresses are made up that nobody has.
const UNKNOWN: usize = 10;

/// How look-ups by hash are asked for.
struct Hashing {
    token: Zeroizing<String>,
    old: Pepper,
    new: Pepper,
}

/// How many addresses are asked for with one question.
#[derive(Clone, Copy)]
enum How<'a> {
    InBulk,
    ByHash(&'a Hashing),
}

/// An address with what is to be expected of it.
type Asked = (Subject, Expected);

/// Asks for all addresses, or a sample of them, those that were removed among
/// them, and for some that nobody has.
pub(super) async fn compare(
    work: &mut VerifyContext<'_>,
    token: Option<Zeroizing<String>>,
) -> Result<(), Failure> {
    let hashing = match token {
        Some(token) => hashing(work, token).await?,
        None => None,
    };
    if !work.has_v1 {
        is_v1_off(work).await?;
    }
    let rows = work.old.rows(work.flags.sample).map_err(unreadable)?;
    work.bar.set_length(rows.len() as u64);
    let mut batch = BATCH;
    for rows in rows.chunks(BATCH) {
        let subjects = work.old.subjects(rows).map_err(unreadable)?;
        ask(work, subjects, hashing.as_ref(), &mut batch).await?;
        work.bar.inc(rows.len() as u64);
    }
    let unknown = (0..UNKNOWN).map(|_| {
        let name = random::alphanumeric(20);
        let name = name.map_err(|error| Failure::new(format!("{error}.")))?;
        Ok(Subject::unknown(
            format!("{name}@verify.invalid").to_lowercase(),
        ))
    });
    let unknown = unknown.collect::<Result<Vec<Subject>, Failure>>()?;
    ask(work, unknown, hashing.as_ref(), &mut batch).await
}

/// What the old server has switched off must not be open at the new one.
async fn is_v1_off(work: &mut VerifyContext<'_>) -> Result<(), Failure> {
    let question = Question::get(format!(
        "{V1}/lookup?medium=email&address=nobody%40verify.invalid"
    ));
    let (old, new) = work.servers.both(&question).await?;
    let verdict = compare_rejections(&old, &new);
    work.comparison.add(Topic::Lookups, verdict, "v1");
    let sentence = "The old server has v1 switched off, of which therefore nothing else was \
         compared.";
    work.comparison.remarks.push(sentence.to_owned());
    Ok(())
}

async fn hashing(
    work: &mut VerifyContext<'_>,
    token: Zeroizing<String>,
) -> Result<Option<Hashing>, Failure> {
    let question = Question::get(format!("{V2}/hash_details")).by(&token);
    let (old, new) = work.servers.both(&question).await?;
    let verdict = compare_hash_details(&old, &new, work.old.has_pepper());
    work.comparison
        .add(Topic::HashDetails, verdict, "hash_details");
    let pepper = |answer: &Answer| {
        let pepper = answer.body.get("lookup_pepper").and_then(Value::as_str);
        pepper.and_then(|pepper| Pepper::parse(pepper).ok())
    };
    let peppers = pepper(&old).zip(pepper(&new));
    if peppers.is_none() {
        let sentence = "Look-ups by hash were not compared: a server has a pepper that no client \
             can send.";
        work.comparison.not_compared.push(sentence.to_owned());
    }
    Ok(peppers.map(|(old, new)| Hashing { token, old, new }))
}

async fn ask(
    work: &mut VerifyContext<'_>,
    subjects: Vec<Subject>,
    hashing: Option<&Hashing>,
    batch: &mut usize,
) -> Result<(), Failure> {
    let now = work.clock.now();
    let mut asked = Vec::with_capacity(subjects.len());
    for subject in subjects {
        let expected = work.old.expected(&subject, now).map_err(unreadable)?;
        asked.push((subject, expected));
    }
    if work.has_v1 {
        for it in &asked {
            ask_alone(work, it).await?;
        }
    }
    let in_bulk = work.has_v1.then_some(How::InBulk);
    for how in in_bulk.into_iter().chain(hashing.map(How::ByHash)) {
        let mut rest = asked.as_slice();
        while !rest.is_empty() {
            let (some, others) = rest.split_at(rest.len().min(*batch));
            let done = match how {
                How::InBulk => ask_in_bulk(work, some).await?,
                How::ByHash(hashing) => ask_by_hash(work, some, hashing).await?,
            };
            if done {
                rest = others;
            } else {
                *batch = some.len().div_ceil(2);
            }
        }
    }
    Ok(())
}

async fn ask_alone(
    work: &mut VerifyContext<'_>,
    (subject, expected): &Asked,
) -> Result<(), Failure> {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("medium", &subject.medium)
        .append_pair("address", &subject.address)
        .finish();
    let question = Question::get(format!("{V1}/lookup?{query}"));
    let (old, new) = work.servers.both(&question).await?;
    let verdict = compare_signed(&old, &new, expected, &work.key);
    work.comparison.add(Topic::Lookups, verdict, subject);
    Ok(())
}

/// False if a server wants fewer addresses at a time.
async fn ask_in_bulk(work: &mut VerifyContext<'_>, asked: &[Asked]) -> Result<bool, Failure> {
    let threepids: Vec<[&str; 2]> = asked
        .iter()
        .map(|(subject, _)| [subject.medium.as_str(), subject.address.as_str()])
        .collect();
    let body = json!({ "threepids": threepids });
    let question = Question::post(format!("{V1}/bulk_lookup"), body);
    let (old, new) = work.servers.both(&question).await?;
    if is_too_large(&old, asked) || is_too_large(&new, asked) {
        return Ok(false);
    }
    let (at_old, at_new) = (users_in_bulk(&old.body), users_in_bulk(&new.body));
    for (subject, expected) in asked {
        let threepid = (subject.medium.clone(), subject.address.to_ascii_lowercase());
        let users = at_old.get(&threepid).map_or(&[][..], Vec::as_slice);
        let user = at_new
            .get(&threepid)
            .and_then(|users| users.first())
            .copied();
        let verdict = match (old.status, new.status) {
            (200, 200) => compare_users(users, user, expected),
            _ => compare_exactly(&old, &new),
        };
        work.comparison.add(Topic::BulkLookups, verdict, subject);
    }
    Ok(true)
}

async fn ask_by_hash(
    work: &mut VerifyContext<'_>,
    asked: &[Asked],
    hashing: &Hashing,
) -> Result<bool, Failure> {
    let question = |pepper: &Pepper| {
        let hashes = asked.iter().map(|(subject, _)| hash(subject, pepper));
        let hashes: Vec<String> = hashes.collect();
        let body = json!({ "addresses": hashes, "algorithm": "sha256", "pepper": pepper.as_str() });
        Question::post(format!("{V2}/lookup"), body).by(&hashing.token)
    };
    let (to_old, to_new) = (question(&hashing.old), question(&hashing.new));
    let (old, new) = work.servers.each(&to_old, &to_new).await?;
    if is_too_large(&old, asked) || is_too_large(&new, asked) {
        return Ok(false);
    }
    let (at_old, at_new) = (users_in_mappings(&old.body), users_in_mappings(&new.body));
    for (subject, expected) in asked {
        let user = at_old.get(hash(subject, &hashing.old).as_str()).copied();
        let users: Vec<&str> = user.into_iter().collect();
        let user = at_new.get(hash(subject, &hashing.new).as_str()).copied();
        let verdict = match (old.status, new.status) {
            (200, 200) => compare_users(&users, user, expected),
            _ => compare_exactly(&old, &new),
        };
        work.comparison.add(Topic::HashedLookups, verdict, subject);
    }
    Ok(true)
}

/// As a client hashes that knows the specification: of the folded address.
fn hash(subject: &Subject, pepper: &Pepper) -> String {
    match &subject.threepid {
        Some(threepid) => lookup::sha256_hash(threepid, pepper),
        None => lookup::hash(&subject.address, &subject.medium, pepper),
    }
}

/// Servers may take fewer addresses at a time.
fn is_too_large(answer: &Answer, asked: &[Asked]) -> bool {
    asked.len() > 1 && matches!(answer.status, 400 | 413)
}
