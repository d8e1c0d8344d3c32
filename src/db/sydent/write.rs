//! Writes a new database with the tables of a Python Sydent.

use std::path::Path;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

use crate::db::connection::open_error;
use crate::db::import_target::{SqlValue, insert_rows};
use crate::db::{Conn, DbError, private_file};

/// The tables and indexes of schema version 5.
const SCHEMA: &str = include_str!("schema_5.sql");

/// A table to fill, with the columns that each row must have in this order.
#[derive(Debug, Clone, Copy)]
pub enum SydentTable {
    /// id, medium, address, `lookup_hash`, mxid, ts, `notBefore`, `notAfter`
    Local,
    /// medium, address, `lookup_hash`, mxid, ts, `notBefore`, `notAfter`,
    /// `originServer`, `originId`, `sgAssoc`
    Global,
    /// token, medium, address, `room_id`, sender, `received_ts`, `sent_ts`
    Invites,
    /// `public_key`, `persistence_ts`
    EphemeralKeys,
    /// `user_id`, `created_ts`, `consent_version`
    Accounts,
    /// token, `user_id`
    Tokens,
    /// `user_id`, url
    AcceptedTerms,
    /// name, `lastSentVersion`, `lastPokeSucceededAt`, active
    Peers,
    /// peername, alg, key
    PeerKeys,
    /// id, `lookup_pepper`
    Pepper,
}

impl SydentTable {
    fn columns(self) -> (&'static str, &'static str) {
        match self {
            Self::Local => (
                "local_threepid_associations",
                "id, medium, address, lookup_hash, mxid, ts, notBefore, notAfter",
            ),
            Self::Global => (
                "global_threepid_associations",
                "medium, address, lookup_hash, mxid, ts, notBefore, notAfter, originServer, \
                 originId, sgAssoc",
            ),
            Self::Invites => (
                "invite_tokens",
                "token, medium, address, room_id, sender, received_ts, sent_ts",
            ),
            Self::EphemeralKeys => ("ephemeral_public_keys", "public_key, persistence_ts"),
            Self::Accounts => ("accounts", "user_id, created_ts, consent_version"),
            Self::Tokens => ("tokens", "token, user_id"),
            Self::AcceptedTerms => ("accepted_terms_urls", "user_id, url"),
            Self::Peers => (
                "peers",
                "name, lastSentVersion, lastPokeSucceededAt, active",
            ),
            Self::PeerKeys => ("peer_pubkeys", "peername, alg, key"),
            Self::Pepper => ("hashing_metadata", "id, lookup_pepper"),
        }
    }
}

/// The values of a row of [`SydentTable::Global`] that answers no lookup: it was never
/// valid. With each own change, Sydent repeats those after the greatest number that
/// it has an own association of: a removal then deletes newer bindings of peers, and a
/// binding that a peer's has replaced is found again. With this row it repeats nothing
/// up to `number`, whichever bindings are removed later.
#[must_use]
pub fn replay_mark(origin: &str, number: i64) -> Vec<SqlValue> {
    let (nothing, never) = ("", 0_i64);
    let (hash, signed) = (None::<String>, "{}");
    vec![
        nothing.into(),
        nothing.into(),
        hash.into(),
        nothing.into(),
        never.into(),
        never.into(),
        never.into(),
        origin.into(),
        number.into(),
        signed.into(),
    ]
}

/// The condition that a row `t` of Sydent's signed associations is not a
/// [`replay_mark`].
pub const IS_NO_MARK: &str = "NOT (t.medium = '' AND t.address = '' AND t.notAfter = 0)";

/// A new database of Sydent. Everything is one transaction, which ends with
/// [`NewSydent::finish`].
pub struct NewSydent {
    connection: Conn,
}

impl NewSydent {
    /// Creates the file, readable by this user only, with empty tables.
    ///
    /// # Errors
    /// When there is such a file, or it cannot be written.
    pub fn create(path: &Path) -> Result<Self, DbError> {
        let name = path
            .to_str()
            .ok_or_else(|| open_error(path, "the path is not valid UTF-8"))?;
        private_file::create(path).map_err(|error| open_error(path, error))?;
        let mut connection =
            SqliteConnection::establish(name).map_err(|error| open_error(path, error))?;
        connection
            .batch_execute("BEGIN IMMEDIATE")
            .and_then(|()| connection.batch_execute(SCHEMA))
            .map_err(|error| open_error(path, error))?;
        Ok(Self {
            connection: Conn::Sqlite(connection),
        })
    }

    /// Inserts rows. Returns how many.
    pub fn insert(&mut self, table: SydentTable, rows: Vec<Vec<SqlValue>>) -> Result<u64, DbError> {
        insert_rows(&mut self.connection, table.columns(), rows)
    }

    /// Commits. The next local binding gets a number after `last_id`.
    pub fn finish(mut self, last_id: i64) -> Result<(), DbError> {
        const TABLE: &str = "local_threepid_associations";
        Ok(self.connection.batch_execute(&format!(
            "DELETE FROM sqlite_sequence WHERE name = '{TABLE}'; \
             INSERT INTO sqlite_sequence (name, seq) VALUES ('{TABLE}', {last_id}); COMMIT"
        ))?)
    }
}
