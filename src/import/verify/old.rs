//! Reads from the old database what to request and what to expect.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use serde_json::{Map, Value};

use super::changes::{Changes, Expected, GLOBAL, LOCAL};
use super::rules;
use crate::db::DbError;
use crate::db::sydent::{IS_NO_MARK, Query, Record, Sydent};
use crate::domain::public_key::PublicKey;
use crate::domain::threepid::ThreePid;
use crate::import::pepper::{SydentPepper, read_pepper};
use crate::import::records::{parse_association, parse_threepid};
use crate::import::signed_form::check_replicated;

/// A server name and key ID that the old server has signed with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OwnKey {
    /// The server name.
    pub name: String,
    /// The ID, such as `ed25519:0`.
    pub id: String,
}

/// A row of the old database. Reports name the row instead of its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    table: &'static str,
    id: i64,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} of {}", self.id, self.table)
    }
}

/// An address to look up.
pub(crate) struct Subject {
    /// Its row; `None` if it is not in the database.
    pub row: Option<Row>,
    /// The medium, as it is stored.
    pub medium: String,
    /// The address, as it is stored.
    pub address: String,
    /// The canonical form, if they are valid.
    pub threepid: Option<ThreePid>,
    /// The hash by which Sydent finds it, if it is stored.
    pub stored_hash: Option<String>,
    is_importable: bool,
}

impl Subject {
    /// An email address that is not in the database.
    #[must_use]
    pub(crate) fn unknown(address: String) -> Self {
        Self {
            row: None,
            medium: "email".to_owned(),
            threepid: ThreePid::parse("email", &address).ok(),
            address,
            stored_hash: None,
            is_importable: true,
        }
    }

    fn from_record(table: &'static str, record: &Record) -> Option<Self> {
        let [medium, address, mxid, stored_hash, signed] = record.texts();
        let is_importable = match parse_association(record) {
            // The signed form of an own association is not needed.
            Ok(record) => record.association.is_none_or(|association| {
                table == LOCAL || check_replicated(&association, signed).is_ok()
            }),
            Err(_) => mxid.is_none(),
        };
        Some(Self {
            row: Some(Row {
                table,
                id: record.id?,
            }),
            threepid: parse_threepid(medium, address).ok(),
            stored_hash: stored_hash.map(str::to_owned),
            is_importable,
            medium: medium?.to_owned(),
            address: address?.to_owned(),
        })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row {
            Some(row) => row.fmt(f),
            None => f.write_str("a random address that is not in the database"),
        }
    }
}

/// The database of the old server, with the newest change of each address in
/// memory: about 60 bytes per address.
pub(crate) struct OldDatabase {
    sydent: Sydent,
    own_keys: BTreeSet<OwnKey>,
    changes: Changes,
    has_pepper: bool,
}

impl OldDatabase {
    /// Opens the database of the server that has this public key.
    ///
    /// # Errors
    /// When the file is not a database of Sydent or cannot be read.
    pub(crate) fn read(path: &Path, key: &PublicKey) -> Result<Self, DbError> {
        let mut sydent = Sydent::open(path)?;
        // A long read transaction would block the writes of a running Sydent, whose
        // database has no WAL.
        sydent.end_transaction()?;
        let own_keys = find_own_keys(&mut sydent, key)?;
        let own_names = own_keys.iter().map(|key| key.name.as_str()).collect();
        Ok(Self {
            has_pepper: matches!(read_pepper(&mut sydent)?, SydentPepper::Valid(_)),
            changes: Changes::read(&mut sydent, &own_names)?,
            sydent,
            own_keys,
        })
    }

    /// The server names and key IDs that the old server has signed with.
    #[must_use]
    pub(crate) fn own_keys(&self) -> &BTreeSet<OwnKey> {
        &self.own_keys
    }

    /// Whether it has a pepper that could be imported.
    #[must_use]
    pub(crate) fn has_pepper(&self) -> bool {
        self.has_pepper
    }

    /// The schema version.
    pub(crate) fn schema_version(&mut self) -> Result<i64, DbError> {
        self.sydent.schema_version()
    }

    /// What is expected for an address at `now` (ms).
    pub(crate) fn expected(&mut self, subject: &Subject, now: i64) -> Result<Expected, DbError> {
        let Some(threepid) = &subject.threepid else {
            return Ok(Expected::NotImported);
        };
        let expected = self.changes.expected(&mut self.sydent, threepid, now)?;
        Ok(match expected {
            Expected::Unbound if !subject.is_importable => Expected::NotImported,
            expected => expected,
        })
    }

    /// Rows that contain all addresses or, with a `sample`, that many of the newest
    /// rows and as many random ones.
    pub(crate) fn rows(&mut self, sample: Option<u32>) -> Result<Vec<Row>, DbError> {
        let mut rows = Vec::new();
        // Of each address always the same row, so that a sample is a part of all.
        let not_local = format!(
            "t.id IN (SELECT MAX(t.id) FROM {GLOBAL} AS t WHERE {IS_NO_MARK} AND NOT EXISTS \
             (SELECT 1 FROM {LOCAL} AS l WHERE l.medium = t.medium AND l.address = t.address) \
             GROUP BY t.medium, t.address)"
        );
        for (table, condition) in [(LOCAL, "TRUE"), (GLOBAL, not_local.as_str())] {
            let sampled = sample.map_or(String::new(), |count| sample_condition(table, count));
            let clauses = format!("WHERE {condition} {sampled}");
            let query = Query {
                table,
                id: "id",
                texts: &[],
                numbers: &[],
                clauses: &clauses,
            };
            rows.extend(self.sydent.load(&query, |record| {
                Some(Row {
                    table,
                    id: record.id?,
                })
            })?);
        }
        Ok(rows)
    }

    /// The addresses in those rows. Rows that were deleted meanwhile are left out.
    pub(crate) fn subjects(&mut self, rows: &[Row]) -> Result<Vec<Subject>, DbError> {
        let mut subjects = Vec::with_capacity(rows.len());
        for (table, signed) in [(LOCAL, "NULL"), (GLOBAL, "sgAssoc")] {
            let ids: Vec<String> = rows
                .iter()
                .filter(|row| row.table == table)
                .map(|row| row.id.to_string())
                .collect();
            let clauses = format!("WHERE t.id IN ({})", ids.join(", "));
            let query = Query {
                table,
                id: "id",
                texts: &["medium", "address", "mxid", "lookup_hash", signed],
                numbers: &["ts", "notBefore", "notAfter"],
                clauses: &clauses,
            };
            subjects.extend(
                self.sydent
                    .load(&query, |record| Subject::from_record(table, record))?,
            );
        }
        Ok(subjects)
    }

    /// The ephemeral public keys of invites, each with its row id.
    pub(crate) fn invite_keys(
        &mut self,
        sample: Option<u32>,
    ) -> Result<Vec<(i64, String)>, DbError> {
        let table = "ephemeral_public_keys";
        let sampled = sample.map_or(String::new(), |count| sample_condition(table, count));
        let clauses = format!("WHERE TRUE {sampled}");
        let query = Query {
            table,
            id: "id",
            texts: &["public_key"],
            numbers: &[],
            clauses: &clauses,
        };
        self.sydent.load(&query, |record| {
            let [key, ..] = record.texts();
            Some((record.id.unwrap_or(0), key?.to_owned()))
        })
    }

    /// Access tokens: first those of users who accepted any terms, then those of
    /// the newest accounts.
    pub(crate) fn tokens(&mut self, count: u32) -> Result<Vec<String>, DbError> {
        let clauses = format!(
            "JOIN accounts AS a ON a.user_id = t.user_id ORDER BY a.user_id IN \
             (SELECT user_id FROM accepted_terms_urls) DESC, a.created_ts DESC LIMIT {count}"
        );
        let query = Query {
            table: "tokens",
            id: "NULL",
            texts: &["t.token"],
            numbers: &[],
            clauses: &clauses,
        };
        self.sydent.load(&query, |record| {
            let [token, ..] = record.texts();
            token.map(str::to_owned)
        })
    }
}

/// Selects the newest `count` rows of a table, and as many random ones.
fn sample_condition(table: &str, count: u32) -> String {
    format!(
        "AND t.id IN (SELECT id FROM (SELECT id FROM {table} ORDER BY id DESC LIMIT {count}) \
         UNION SELECT id FROM (SELECT id FROM {table} ORDER BY random() LIMIT {count}))"
    )
}

/// Finds the names and key IDs in the stored signatures, because the database does
/// not contain the name of its server.
fn find_own_keys(sydent: &mut Sydent, key: &PublicKey) -> Result<BTreeSet<OwnKey>, DbError> {
    let clauses = format!(
        "WHERE t.id IN (SELECT MAX(id) FROM {GLOBAL} GROUP BY originServer \
         UNION SELECT id FROM (SELECT id FROM {GLOBAL} ORDER BY id DESC LIMIT 1000))"
    );
    let query = Query {
        table: GLOBAL,
        id: "id",
        texts: &["sgAssoc"],
        numbers: &[],
        clauses: &clauses,
    };
    let signers = sydent.load(&query, |record| {
        let [signed, ..] = record.texts();
        let object: Map<String, Value> = serde_json::from_str(signed?).ok()?;
        Some(rules::valid_signers(&object, key))
    })?;
    Ok(signers
        .into_iter()
        .flatten()
        .map(|(name, id)| OwnKey { name, id })
        .collect())
}
