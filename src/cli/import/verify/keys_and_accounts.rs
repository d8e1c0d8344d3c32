//! The comparison of everything but lookups: keys, terms and accounts.

use serde_json::Value;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::context::{VerifyContext, database_failure};
use super::servers::{Request, Servers, V1, V2};
use crate::cli::failure::Failure;
use crate::domain::public_key::PublicKey;
use crate::import::verify::{Topic, Verdict, compare_exactly, compare_key};

/// At most so many access tokens from the database are tried.
const MAX_TOKENS: u32 = 1000;

/// The public key of the old server, and whether it serves v1, which can be switched
/// off. Sydent answers to this key ID whatever the ID of its key is.
pub(super) async fn old_public_key(servers: &mut Servers) -> Result<(PublicKey, bool), Failure> {
    for (api, is_v1) in [(V1, true), (V2, false)] {
        let request = Request::get(format!("{api}/pubkey/ed25519:0"));
        let answer = servers.old(&request).await?;
        let key = answer.body.get("public_key").and_then(Value::as_str);
        if let Some(key) = key.and_then(PublicKey::from_base64) {
            return Ok((key, is_v1));
        }
    }
    Err(Failure::new(
        "The server at --old is not a Sydent: it does not return a public key.",
    ))
}

/// Compares the key under each of its IDs, whether it is valid, and whether another key
/// is.
pub(super) async fn compare_keys(context: &mut VerifyContext) -> Result<(), Failure> {
    let ids: Vec<String> = context
        .old
        .own_keys()
        .iter()
        .map(|key| key.id.clone())
        .collect();
    for id in ids {
        let request = Request::get(format!("{}/pubkey/{id}", context.api()));
        let (old, new) = context.servers.both(&request).await?;
        let verdict = compare_key(&old, &new, &context.key);
        context.comparison.add(Topic::Keys, verdict, id);
    }
    let other = unknown_key(context.key);
    for (key, subject) in [
        (context.key, "isvalid of the key"),
        (other, "isvalid of another key"),
    ] {
        let key = key.to_base64();
        compare_validity(context, "pubkey/isvalid", &key, Topic::Keys, subject).await?;
    }
    Ok(())
}

/// Compares whether the keys of invites are valid, and whether another key is.
pub(super) async fn compare_invite_keys(context: &mut VerifyContext) -> Result<(), Failure> {
    const PATH: &str = "pubkey/ephemeral/isvalid";
    let stored = context
        .old
        .invite_keys(context.sample)
        .map_err(database_failure)?;
    for (id, key) in stored {
        let subject = format!("row {id} of ephemeral_public_keys");
        compare_validity(context, PATH, &key, Topic::InviteKeys, &subject).await?;
    }
    let other = unknown_key(context.key).to_base64();
    compare_validity(context, PATH, &other, Topic::InviteKeys, "an unknown key").await
}

/// A key that neither server has.
fn unknown_key(key: PublicKey) -> PublicKey {
    PublicKey::from_bytes(key.as_bytes().map(|byte| !byte))
}

async fn compare_validity(
    context: &mut VerifyContext,
    path: &str,
    key: &str,
    topic: Topic,
    subject: &str,
) -> Result<(), Failure> {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("public_key", key)
        .finish();
    let request = Request::get(format!("{}/{path}?{query}", context.api()));
    let (old, new) = context.servers.both(&request).await?;
    context
        .comparison
        .add(topic, compare_exactly(&old, &new), subject);
    Ok(())
}

/// Compares terms and accounts; returns an access token that both servers accept.
/// `None` if there is none, or the old server does not serve v2.
pub(super) async fn compare_terms_and_accounts(
    context: &mut VerifyContext,
    token: Option<Zeroizing<String>>,
) -> Result<Option<Zeroizing<String>>, Failure> {
    let request = Request::get(format!("{V2}/terms"));
    let (old, new) = context.servers.both(&request).await?;
    if old.status == 404 {
        context.remark("The old server does not serve v2, so v2 was not compared.");
        return Ok(None);
    }
    context
        .comparison
        .add(Topic::Terms, compare_exactly(&old, &new), "the policies");
    let stored = context.old.tokens(MAX_TOKENS).map_err(database_failure)?;
    let stored = stored.into_iter().map(Zeroizing::new);
    let mut accepted = None;
    for (index, token) in token.into_iter().chain(stored).enumerate() {
        let request = Request::get(format!("{V2}/account")).with_token(&token);
        let (old, new) = context.servers.both(&request).await?;
        let verdict = compare_exactly(&old, &new);
        let subject = format!("account, with the access token number {}", index + 1);
        context.comparison.add(Topic::Accounts, verdict, subject);
        if accepted.is_none() && verdict == Verdict::Equal && old.status == 200 {
            accepted = Some(token);
        }
    }
    if accepted.is_none() {
        report_missing_token(context)?;
    }
    Ok(accepted)
}

/// Schemas of Sydent before this one have no accounts.
const FIRST_SCHEMA_WITH_ACCOUNTS: i64 = 4;

fn report_missing_token(context: &mut VerifyContext) -> Result<(), Failure> {
    let schema = context.old.schema_version().map_err(database_failure)?;
    if schema < FIRST_SCHEMA_WITH_ACCOUNTS {
        context.remark(
            "Hashed lookups were not compared: they require an account, which the old database is \
             too old to contain.",
        );
    } else {
        context.not_compared(
            "Hashed lookups were not compared: the database contains no access token that both \
             servers accept and whose user has accepted the terms. Register an account at the old \
             server, run the import again, and give its token with --access-token-file FILE.",
        );
    }
    Ok(())
}
