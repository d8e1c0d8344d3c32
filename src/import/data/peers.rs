//! The servers that Sydent tells of its bindings, and how far each has heard.

use super::{ImportContext, ImportError, TableReport};
use crate::db::DbError;
use crate::db::import_target::TargetTable;
use crate::db::sydent::{Query, Sydent};

/// A server that Sydent knows, for the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its name: that of its certificate, and the one under which it signs.
    pub name: String,
    /// Its public key as it is written: base64 or hexadecimal digits.
    pub public_key: String,
    /// Its port, where one is given.
    pub port: Option<i64>,
}

/// The active peers of the database that have a key.
///
/// # Errors
/// When the file cannot be read.
pub fn peers(source: &mut Sydent) -> Result<Vec<Peer>, DbError> {
    let mut found = Vec::new();
    let query = Query {
        table: "peers",
        id: "t.id",
        texts: &["t.name", "k.key"],
        numbers: &["t.port"],
        rest: "JOIN peer_pubkeys AS k ON k.peername = t.name AND k.alg = 'ed25519' \
               WHERE t.active = 1 ORDER BY t.name",
    };
    source.each(&query, |rows| {
        for row in rows {
            let [name, public_key, ..] = row.texts();
            let [port, ..] = row.numbers();
            if let Some((name, public_key)) = name.zip(public_key) {
                found.push(Peer {
                    name: name.to_owned(),
                    public_key: public_key.to_owned(),
                    port,
                });
            }
        }
        Ok::<(), DbError>(())
    })?;
    Ok(found)
}

/// How far each peer has heard. Sydent's numbers of changes stay the numbers of
/// changes, so nothing is told twice and nothing is left out.
pub(super) fn cursors(work: &mut ImportContext<'_>) -> Result<TableReport, ImportError> {
    let query = Query {
        table: "peers",
        id: "id",
        texts: &["name"],
        numbers: &["lastSentVersion", "lastPokeSucceededAt", "active"],
        rest: "ORDER BY name",
    };
    work.each(&query, TargetTable::Peers, |row| {
        let [name, ..] = row.texts();
        let [sent, sent_at, active] = row.numbers();
        if active == Some(0) {
            return Err("it is not active");
        }
        Ok(vec![
            name.ok_or("it has no name")?.into(),
            sent.unwrap_or(0).max(0).into(),
            sent_at.into(),
            0.into(),
            0.into(),
            "".into(),
            0.into(),
        ])
    })
}
