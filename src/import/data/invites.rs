//! Invites, and the public halves of the keys that were made for them.
//!
//! Sydent counts how often each such key was asked for and uses the number for
//! nothing; it is left behind.

use super::bindings::threepid;
use super::{ImportContext, ImportError, TableReport};
use crate::db::import_target::{SqlValue, TargetTable};
use crate::db::sydent::{Query, Record};
use crate::domain::base64;
use crate::domain::ids::Mxid;
use crate::domain::invite::RoomId;
use crate::domain::secret::InviteToken;

/// Invites, delivered or not. They are signed with the key that Sydent had.
pub(super) fn invites(work: &mut ImportContext<'_>) -> Result<TableReport, ImportError> {
    let query = Query {
        table: "invite_tokens",
        id: "id",
        texts: &["token", "medium", "address", "room_id", "sender"],
        numbers: &["received_ts", "sent_ts"],
        rest: "ORDER BY id",
    };
    let key_id = work.keys.active().id().to_string();
    work.each(&query, TargetTable::Invites, |row| invite(row, &key_id))
}

fn invite(row: &Record, key_id: &str) -> Result<Vec<SqlValue>, &'static str> {
    let [token, medium, address, room_id, sender] = row.texts();
    let [received, sent, _] = row.numbers();
    let token = InviteToken::parse(token.unwrap_or_default())
        .map_err(|_invalid| "its token is malformed")?;
    let threepid = threepid(medium, address)?;
    let room_id = RoomId::parse(room_id.unwrap_or_default())
        .map_err(|_invalid| "its room id is malformed")?;
    let sender = Mxid::parse(sender.unwrap_or_default())
        .map_err(|_invalid| "its sender is no Matrix user id")?;
    Ok(vec![
        token.expose().into(),
        threepid.medium().as_str().into(),
        threepid.address().into(),
        room_id.as_str().into(),
        sender.as_str().into(),
        key_id.into(),
        // Sydent does not remember which key it made for which invite.
        "".into(),
        received.map_or(0, from_seconds).into(),
        sent.map(from_seconds).into(),
    ])
}

/// Keys of invites: valid for ever, since rooms are checked late (PUB-09).
pub(super) fn keys(work: &mut ImportContext<'_>) -> Result<TableReport, ImportError> {
    let query = Query {
        table: "ephemeral_public_keys",
        id: "id",
        texts: &["public_key"],
        numbers: &["persistence_ts"],
        rest: "ORDER BY id",
    };
    work.each(&query, TargetTable::EphemeralKeys, |row| {
        let [key, ..] = row.texts();
        let [made, ..] = row.numbers();
        let key = base64::decode_key(key.unwrap_or_default()).ok_or("it is no public key")?;
        Ok(vec![
            base64::encode(&key).into(),
            made.map_or(0, from_seconds).into(),
        ])
    })
}

fn from_seconds(seconds: i64) -> i64 {
    seconds.saturating_mul(1000)
}
