//! What is not about one address: keys, terms, accounts.

use serde_json::Value;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::servers::{Question, Servers, V1, V2};
use super::{VerifyContext, unreadable};
use crate::cli::Failure;
use crate::domain::base64;
use crate::import::verify::{Topic, Verdict, compare_exactly, compare_key};

/// The tokens of so many accounts are tried.
const TOKENS: u32 = 1000;

/// The old server's public key, which it knows under this id whatever the key's
/// id is, and whether it has v1, which can be switched off.
pub(super) async fn key_of_old(servers: &mut Servers) -> Result<([u8; 32], bool), Failure> {
    for (api, is_v1) in [(V1, true), (V2, false)] {
        let question = Question::get(format!("{api}/pubkey/ed25519:0"));
        let answer = servers.old(&question).await?;
        let key = answer.body.get("public_key").and_then(Value::as_str);
        if let Some(key) = key.and_then(base64::decode_key) {
            return Ok((key, is_v1));
        }
    }
    Err(Failure::new(
        "What --old names does not answer as a Sydent: it does not tell its public key.",
    ))
}

/// The key under its ids, whether it is valid, and whether another one is.
pub(super) async fn keys(work: &mut VerifyContext<'_>) -> Result<(), Failure> {
    let ids: Vec<String> = work
        .old
        .own_keys()
        .iter()
        .map(|key| key.id.clone())
        .collect();
    for id in ids {
        let question = Question::get(format!("{}/pubkey/{id}", work.api()));
        let (old, new) = work.servers.both(&question).await?;
        let verdict = compare_key(&old, &new, &work.key);
        work.comparison.add(Topic::Keys, verdict, id);
    }
    let other = work.key.map(|byte| !byte);
    for (key, what) in [
        (work.key, "isvalid of the key"),
        (other, "isvalid of another key"),
    ] {
        let key = base64::encode(&key);
        ask_if_valid(work, "pubkey/isvalid", &key, Topic::Keys, what).await?;
    }
    Ok(())
}

/// The keys that were made for invites, and one that was not.
pub(super) async fn invite_keys(work: &mut VerifyContext<'_>) -> Result<(), Failure> {
    let stored = work
        .old
        .invite_keys(work.flags.sample)
        .map_err(unreadable)?;
    let path = "pubkey/ephemeral/isvalid";
    for (id, key) in stored {
        let what = format!("row {id} of ephemeral_public_keys");
        ask_if_valid(work, path, &key, Topic::InviteKeys, &what).await?;
    }
    let other = base64::encode(&work.key.map(|byte| !byte));
    ask_if_valid(
        work,
        path,
        &other,
        Topic::InviteKeys,
        "a key that never was there",
    )
    .await
}

async fn ask_if_valid(
    work: &mut VerifyContext<'_>,
    path: &str,
    key: &str,
    topic: Topic,
    what: &str,
) -> Result<(), Failure> {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("public_key", key)
        .finish();
    let question = Question::get(format!("{}/{path}?{query}", work.api()));
    let (old, new) = work.servers.both(&question).await?;
    work.comparison
        .add(topic, compare_exactly(&old, &new), what);
    Ok(())
}

/// Terms and accounts; answers an access token that both servers take. None if
/// the old server has no accounts, or if there is no such token.
pub(super) async fn of_v2(
    work: &mut VerifyContext<'_>,
    given: Option<Zeroizing<String>>,
) -> Result<Option<Zeroizing<String>>, Failure> {
    let (old, new) = work
        .servers
        .both(&Question::get(format!("{V2}/terms")))
        .await?;
    if old.status == 404 {
        let sentence = "The old server has no v2, of which therefore nothing was compared.";
        work.comparison.remarks.push(sentence.to_owned());
        return Ok(None);
    }
    work.comparison
        .add(Topic::Terms, compare_exactly(&old, &new), "the policies");
    let stored = work.old.tokens(TOKENS).map_err(unreadable)?;
    let stored = stored.into_iter().map(Zeroizing::new);
    let mut good = None;
    for (number, token) in given.into_iter().chain(stored).enumerate() {
        let question = Question::get(format!("{V2}/account")).by(&token);
        let (old, new) = work.servers.both(&question).await?;
        let verdict = compare_exactly(&old, &new);
        let what = format!("account, with the access token number {}", number + 1);
        work.comparison.add(Topic::Accounts, verdict, what);
        if good.is_none() && verdict == Verdict::Equal && old.status == 200 {
            good = Some(token);
        }
    }
    if good.is_none() {
        explain(work)?;
    }
    Ok(good)
}

fn explain(work: &mut VerifyContext<'_>) -> Result<(), Failure> {
    if work.old.schema_version().map_err(unreadable)? < 4 {
        let sentence = "The database is older than accounts. Look-ups by hash need one, and were \
             not compared.";
        work.comparison.remarks.push(sentence.to_owned());
    } else {
        let sentence = "Look-ups by hash were not compared: the database has no access token that \
             both servers take and whose user has accepted the terms. --access-token-file FILE \
             names one: make an account at the old server and import anew.";
        work.comparison.not_compared.push(sentence.to_owned());
    }
    Ok(())
}
