//! What the old database makes one ask and expect.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use serde_json::{Map, Value};

use super::changes::{Changes, Expected, GLOBAL, LOCAL, association, threepid};
use super::rules;
use crate::db::DbError;
use crate::db::sydent::{Query, Record, Sydent};
use crate::domain::lookup::Pepper;
use crate::domain::threepid::ThreePid;

/// A name under which the old server signs, and the id of its key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnKey {
    /// The server name.
    pub name: String,
    /// The id, such as `ed25519:0`.
    pub id: String,
}

/// A row of a table, which stands for the address in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    table: &'static str,
    id: i64,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} of {}", self.id, self.table)
    }
}

/// An address to ask for.
pub struct Subject {
    /// Where it stands; none for one that is not in the database.
    pub row: Option<Row>,
    /// The medium, as it is stored.
    pub medium: String,
    /// The address, as it is stored.
    pub address: String,
    /// Both in canonical form, unless they have none.
    pub threepid: Option<ThreePid>,
    usable: bool,
}

impl Subject {
    /// An address that the database does not know.
    #[must_use]
    pub fn unknown(address: String) -> Self {
        Self {
            row: None,
            medium: "email".to_owned(),
            threepid: ThreePid::parse("email", &address).ok(),
            address,
            usable: true,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row {
            Some(row) => row.fmt(f),
            None => f.write_str("an address that never was there"),
        }
    }
}

/// The old server's database, of which the newest change of each address is
/// known: some 60 bytes an address.
pub struct OldDatabase {
    sydent: Sydent,
    own_keys: BTreeSet<OwnKey>,
    changes: Changes,
    pepper: Option<Pepper>,
}

impl OldDatabase {
    /// Reads the database of the server whose key that is.
    ///
    /// # Errors
    /// When it is no database of Sydent or cannot be read.
    pub fn read(path: &Path, key: &[u8; 32]) -> Result<Self, DbError> {
        let mut sydent = Sydent::open(path)?;
        // A reader that stays keeps a server from writing that does not use WAL.
        sydent.let_go()?;
        let own_keys = own_keys(&mut sydent, key)?;
        let names = own_keys.iter().map(|key| key.name.as_str()).collect();
        Ok(Self {
            pepper: pepper(&mut sydent)?,
            changes: Changes::read(&mut sydent, &names)?,
            sydent,
            own_keys,
        })
    }

    /// Under which names and ids the old server has signed.
    #[must_use]
    pub fn own_keys(&self) -> &BTreeSet<OwnKey> {
        &self.own_keys
    }

    /// Whether it has a pepper that the new server could take.
    #[must_use]
    pub fn has_pepper(&self) -> bool {
        self.pepper.is_some()
    }

    /// Its schema.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn schema(&mut self) -> Result<i64, DbError> {
        self.sydent.schema()
    }

    /// What is to be expected of an address at that moment (ms).
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn expected(&mut self, subject: &Subject, now: i64) -> Result<Expected, DbError> {
        let Some(threepid) = &subject.threepid else {
            return Ok(Expected::LeftBehind);
        };
        let expected = self.changes.expected(&mut self.sydent, threepid, now)?;
        Ok(match expected {
            Expected::Nobody if !subject.usable => Expected::LeftBehind,
            expected => expected,
        })
    }

    /// The rows that stand for all addresses, or for the newest ones and as many
    /// others.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn rows(&mut self, sample: Option<u32>) -> Result<Vec<Row>, DbError> {
        let mut chosen = Vec::new();
        let not_local = format!(
            "NOT EXISTS (SELECT 1 FROM {LOCAL} AS l WHERE l.medium = t.medium \
             AND l.address = t.address)"
        );
        for (table, which, group) in [
            (LOCAL, "TRUE", ""),
            (GLOBAL, not_local.as_str(), "GROUP BY t.medium, t.address"),
        ] {
            let some = sample.map_or(String::new(), |count| sampled(table, count));
            let rest = format!("WHERE {which} {some} {group}");
            let query = Query {
                table,
                id: "id",
                texts: &[],
                numbers: &[],
                rest: &rest,
            };
            self.sydent.each(&query, |rows| {
                let ids = rows.into_iter().filter_map(|row| row.id);
                chosen.extend(ids.map(|id| Row { table, id }));
                Ok::<(), DbError>(())
            })?;
        }
        Ok(chosen)
    }

    /// The addresses in those rows, as far as they are still there.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn subjects(&mut self, rows: &[Row]) -> Result<Vec<Subject>, DbError> {
        let mut subjects = Vec::with_capacity(rows.len());
        for table in [LOCAL, GLOBAL] {
            let of_table = rows.iter().filter(|row| row.table == table);
            let ids: Vec<String> = of_table.map(|row| row.id.to_string()).collect();
            let rest = format!("WHERE t.id IN ({})", ids.join(", "));
            let query = Query {
                table,
                id: "id",
                texts: &["medium", "address", "mxid"],
                numbers: &["ts", "notBefore", "notAfter"],
                rest: &rest,
            };
            self.sydent.each(&query, |rows| {
                subjects.extend(rows.iter().filter_map(|row| subject(table, row)));
                Ok::<(), DbError>(())
            })?;
        }
        Ok(subjects)
    }

    /// The keys of invites, each with the number of its row.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn invite_keys(&mut self, sample: Option<u32>) -> Result<Vec<(i64, String)>, DbError> {
        let table = "ephemeral_public_keys";
        let some = sample.map_or(String::new(), |count| sampled(table, count));
        let rest = format!("WHERE TRUE {some}");
        self.texts(table, "id", "public_key", &rest)
    }

    /// Access tokens, first of those who accepted something, then of the newest
    /// accounts.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn tokens(&mut self, count: u32) -> Result<Vec<String>, DbError> {
        let rest = format!(
            "JOIN accounts AS a ON a.user_id = t.user_id ORDER BY a.user_id IN \
             (SELECT user_id FROM accepted_terms_urls) DESC, a.created_ts DESC LIMIT {count}"
        );
        let found = self.texts("tokens", "NULL", "t.token", &rest)?;
        Ok(found.into_iter().map(|(_, token)| token).collect())
    }

    fn texts(
        &mut self,
        table: &str,
        id: &str,
        column: &str,
        rest: &str,
    ) -> Result<Vec<(i64, String)>, DbError> {
        let mut found = Vec::new();
        let query = Query {
            table,
            id,
            texts: &[column],
            numbers: &[],
            rest,
        };
        self.sydent.each(&query, |rows| {
            found.extend(rows.iter().filter_map(|row| {
                let [text, ..] = row.texts();
                Some((row.id.unwrap_or(0), text?.to_owned()))
            }));
            Ok::<(), DbError>(())
        })?;
        Ok(found)
    }
}

/// The newest rows of a table, and as many others.
fn sampled(table: &str, count: u32) -> String {
    format!(
        "AND t.id IN (SELECT id FROM (SELECT id FROM {table} ORDER BY id DESC LIMIT {count}) \
         UNION SELECT id FROM (SELECT id FROM {table} ORDER BY random() LIMIT {count}))"
    )
}

fn subject(table: &'static str, row: &Record) -> Option<Subject> {
    let [medium, address, mxid, ..] = row.texts();
    Some(Subject {
        row: Some(Row { table, id: row.id? }),
        threepid: threepid(medium, address),
        usable: mxid.is_none() || association(row).is_some(),
        medium: medium?.to_owned(),
        address: address?.to_owned(),
    })
}

/// Learnt from what was signed, since the database does not name its server.
fn own_keys(sydent: &mut Sydent, key: &[u8; 32]) -> Result<BTreeSet<OwnKey>, DbError> {
    let mut own = BTreeSet::new();
    let rest = format!(
        "WHERE t.id IN (SELECT MAX(id) FROM {GLOBAL} GROUP BY originServer \
         UNION SELECT id FROM (SELECT id FROM {GLOBAL} ORDER BY id DESC LIMIT 1000))"
    );
    let query = Query {
        table: GLOBAL,
        id: "id",
        texts: &["sgAssoc"],
        numbers: &[],
        rest: &rest,
    };
    sydent.each(&query, |rows| {
        for row in rows {
            let [text, ..] = row.texts();
            let object: Option<Map<String, Value>> =
                text.and_then(|text| serde_json::from_str(text).ok());
            for (name, id) in object.iter().flat_map(|object| rules::good(object, key)) {
                own.insert(OwnKey { name, id });
            }
        }
        Ok::<(), DbError>(())
    })?;
    Ok(own)
}

fn pepper(sydent: &mut Sydent) -> Result<Option<Pepper>, DbError> {
    let mut found = None;
    let query = Query {
        table: "hashing_metadata",
        id: "id",
        texts: &["lookup_pepper"],
        numbers: &[],
        rest: "WHERE lookup_pepper IS NOT NULL ORDER BY id LIMIT 1",
    };
    sydent.each(&query, |rows| {
        let text = rows.first().and_then(|row| {
            let [text, ..] = row.texts();
            text
        });
        found = text.and_then(|text| Pepper::parse(text).ok());
        Ok::<(), DbError>(())
    })?;
    Ok(found)
}
