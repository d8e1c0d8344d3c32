//! Imports invites and ephemeral public keys.
//!
//! Sydent counts how often each ephemeral key was checked, but does not use the
//! count; it is not imported.

use super::{ImportContext, ImportError, TableReport};
use crate::db::import_target::{SqlValue, TargetTable};
use crate::db::sydent::{MAX_ID, Query, Record};
use crate::domain::ids::Mxid;
use crate::domain::invite::RoomId;
use crate::domain::public_key::PublicKey;
use crate::domain::secret::InviteToken;
use crate::import::records::parse_threepid;

/// Imports invites, delivered or not. They will be signed with Sydent's key.
pub(super) fn import_invites(context: &mut ImportContext<'_>) -> Result<TableReport, ImportError> {
    let query = Query {
        table: "invite_tokens",
        id: "id",
        texts: &["token", "medium", "address", "room_id", "sender"],
        numbers: &["received_ts", "sent_ts"],
        clauses: "ORDER BY id",
    };
    let key_id = context.keys.active().id().to_string();
    context.import_rows(&query, TargetTable::Invites, |row| invite_row(row, &key_id))
}

fn invite_row(row: &Record, key_id: &str) -> Result<Vec<SqlValue>, &'static str> {
    let [token, medium, address, room_id, sender] = row.texts();
    let [received, sent, ..] = row.numbers();
    let token =
        InviteToken::parse(token.unwrap_or_default()).map_err(|_invalid| "invalid invite token")?;
    let threepid = parse_threepid(medium, address)?;
    let room_id =
        RoomId::parse(room_id.unwrap_or_default()).map_err(|_invalid| "invalid room ID")?;
    let sender = Mxid::parse(sender.unwrap_or_default())
        .map_err(|_invalid| "invalid Matrix ID of sender")?;
    Ok(vec![
        token.expose().into(),
        threepid.medium().as_str().into(),
        threepid.address().into(),
        room_id.as_str().into(),
        sender.as_str().into(),
        key_id.into(),
        // Sydent does not store which ephemeral key belongs to which invite.
        "".into(),
        received.map_or(0, seconds_to_ms).into(),
        sent.map(seconds_to_ms).into(),
    ])
}

/// Imports the ephemeral public keys. They never expire, because homeservers may
/// check them long after the invite (PUB-09).
pub(super) fn import_keys(context: &mut ImportContext<'_>) -> Result<TableReport, ImportError> {
    let query = Query {
        table: "ephemeral_public_keys",
        id: "id",
        texts: &["public_key"],
        numbers: &["persistence_ts"],
        clauses: "ORDER BY id",
    };
    context.import_rows(&query, TargetTable::EphemeralKeys, |row| {
        let [key, ..] = row.texts();
        let [created, ..] = row.numbers();
        let key = PublicKey::from_base64(key.unwrap_or_default()).ok_or("invalid public key")?;
        Ok(vec![
            key.to_base64().into(),
            created.map_or(0, seconds_to_ms).into(),
        ])
    })
}

fn seconds_to_ms(seconds: i64) -> i64 {
    seconds.saturating_mul(1000).clamp(0, MAX_ID)
}
