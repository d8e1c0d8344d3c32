//! The peers that Sydent replicates to, and their replication positions.

use super::report::NOT_ACTIVE;
use super::{ImportContext, ImportError, TableReport};
use crate::db::DbError;
use crate::db::import_target::TargetTable;
use crate::db::sydent::{MAX_ID, Query, Sydent};

/// A peer of Sydent, for the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Its name, in its certificate and in its signatures.
    pub name: String,
    /// Its public key as Sydent stores it: base64 or hexadecimal digits.
    pub public_key: String,
    /// Its port, if one is stored.
    pub port: Option<i64>,
}

/// The active peers in the database that have a key.
pub(crate) fn read_peers(source: &mut Sydent) -> Result<Vec<Peer>, DbError> {
    let query = Query {
        table: "peers",
        id: "t.id",
        texts: &["t.name", "k.key"],
        numbers: &["t.port"],
        clauses: "JOIN peer_pubkeys AS k ON k.peername = t.name AND k.alg = 'ed25519' \
                  WHERE t.active = 1 ORDER BY t.name",
    };
    source.load(&query, |row| {
        let [name, public_key, ..] = row.texts();
        let [port, ..] = row.numbers();
        Some(Peer {
            name: name?.to_owned(),
            public_key: public_key?.to_owned(),
            port,
        })
    })
}

/// Imports the replication position of each active peer. Changes keep the ids
/// that they have in Sydent, so no change is pushed twice or missed.
pub(super) fn import_peers(context: &mut ImportContext<'_>) -> Result<TableReport, ImportError> {
    let query = Query {
        table: "peers",
        id: "id",
        texts: &["name"],
        numbers: &["lastSentVersion", "lastPokeSucceededAt", "active"],
        clauses: "ORDER BY name",
    };
    context.import_rows(&query, TargetTable::Peers, |row| {
        let [name, ..] = row.texts();
        let [sent_id, sent_at, active, _] = row.numbers();
        if active == Some(0) {
            return Err(NOT_ACTIVE);
        }
        let (tries, due_at, lease_owner, lease_until) = (0, 0, "", 0);
        Ok(vec![
            name.filter(|name| (1..=255).contains(&name.len()))
                .ok_or("no name, or one of more than 255 bytes")?
                .into(),
            sent_id.unwrap_or(0).clamp(0, MAX_ID).into(),
            sent_at.into(),
            tries.into(),
            due_at.into(),
            lease_owner.into(),
            lease_until.into(),
        ])
    })
}
