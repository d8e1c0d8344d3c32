//! Filling a fresh database, many rows a statement.

use std::collections::HashSet;
use std::fmt::Write as _;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::{Conn, DbError, on_each};

/// One value of a row.
pub enum SqlValue {
    /// A text.
    Text(String),
    /// A number, or none.
    Number(Option<i64>),
}

impl From<&str> for SqlValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for SqlValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for SqlValue {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<i64>> for SqlValue {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

/// A table to fill, and the columns that are given.
#[derive(Debug, Clone, Copy)]
pub enum TargetTable {
    /// medium, address, origin, mxid, ts, `not_before`, `not_after`,
    /// `lookup_hash`, signed
    Associations,
    /// token, medium, address, `room_id`, sender, `key_id`, `ephemeral_key`,
    /// `created_at`, `delivered_at`
    Invites,
    /// `public_key`, `created_at`
    EphemeralKeys,
    /// `user_id`, `created_at`
    Accounts,
    /// `token_hash`, `user_id`, `created_at`
    AccessTokens,
    /// `user_id`, url, `accepted_at`
    AcceptedTerms,
    /// sid, medium, address, `client_secret`, token, `send_attempt`,
    /// `created_at`, `validated_at`, `wrong_tokens`, superseded
    Sessions,
    /// name, `sent_id`, `sent_at`, tries, `due_at`, `lease_owner`, `lease_until`
    Peers,
}

impl TargetTable {
    fn columns(self) -> (&'static str, &'static str) {
        match self {
            Self::Associations => (
                "associations",
                "medium, address, origin, mxid, ts, not_before, not_after, lookup_hash, signed",
            ),
            Self::Invites => (
                "invites",
                "token, medium, address, room_id, sender, key_id, ephemeral_key, created_at, \
                 delivered_at",
            ),
            Self::EphemeralKeys => ("ephemeral_keys", "public_key, created_at"),
            Self::Accounts => ("accounts", "user_id, created_at"),
            Self::AccessTokens => ("access_tokens", "token_hash, user_id, created_at"),
            Self::AcceptedTerms => ("accepted_terms", "user_id, url, accepted_at"),
            Self::Sessions => (
                "validation_sessions",
                "sid, medium, address, client_secret, token, send_attempt, created_at, \
                 validated_at, wrong_tokens, superseded",
            ),
            Self::Peers => (
                "replication_peers",
                "name, sent_id, sent_at, tries, due_at, lease_owner, lease_until",
            ),
        }
    }
}

/// So many rows are in a statement: SQLite allows 32,766 variables.
const ROWS: usize = 500;

/// Adds rows but for those that are there already by one of the table's keys;
/// answers how many were added.
///
/// # Errors
/// When the database does not answer.
pub fn insert(
    connection: &mut Conn,
    into: TargetTable,
    mut rows: Vec<Vec<SqlValue>>,
) -> Result<u64, DbError> {
    let (table, columns) = into.columns();
    let mut added = 0;
    while !rows.is_empty() {
        let batch: Vec<Vec<SqlValue>> = rows.drain(..rows.len().min(ROWS)).collect();
        let sql = statement(connection, table, columns, &batch, "");
        added += on_each!(connection, inner => {
            let mut query = diesel::sql_query(sql).into_boxed();
            for cell in batch.into_iter().flatten() {
                query = match cell {
                    SqlValue::Text(text) => query.bind::<Text, _>(text),
                    SqlValue::Number(number) => query.bind::<Nullable<BigInt>, _>(number),
                };
            }
            query.execute(inner)?
        });
    }
    Ok(added as u64)
}

fn statement(
    connection: &Conn,
    table: &str,
    columns: &str,
    rows: &[Vec<SqlValue>],
    answer: &str,
) -> String {
    // SQLite looks a variable with a name up among all before it.
    let is_numbered = matches!(connection, Conn::Postgres(_));
    let mut sql = format!("INSERT INTO {table} ({columns}) VALUES ");
    let mut number = 0;
    for (index, row) in rows.iter().enumerate() {
        sql.push_str(if index > 0 { ", (" } else { "(" });
        for (place, _) in row.iter().enumerate() {
            sql.push_str(if place > 0 { ", " } else { "" });
            number += 1;
            if is_numbered {
                let _ = write!(sql, "${number}");
            } else {
                sql.push('?');
            }
        }
        sql.push(')');
    }
    sql.push_str(" ON CONFLICT DO NOTHING");
    sql.push_str(answer);
    sql
}

/// A change for the journal: its id, medium, address, and when the association
/// was removed.
pub type Change<'a> = (i64, &'a str, &'a str, Option<i64>);

/// Adds changes to the journal but for those of 3PIDs that have one; answers the
/// ids of what was added.
///
/// # Errors
/// When the database does not answer.
pub fn journal(connection: &mut Conn, changes: &[Change<'_>]) -> Result<HashSet<i64>, DbError> {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        id: i64,
    }
    let mut added = HashSet::new();
    for batch in changes.chunks(ROWS) {
        let rows: Vec<Vec<SqlValue>> = batch
            .iter()
            .map(|&(id, medium, address, removed_at)| {
                vec![id.into(), medium.into(), address.into(), removed_at.into()]
            })
            .collect();
        let columns = "id, medium, address, removed_at";
        let sql = statement(
            connection,
            "association_journal",
            columns,
            &rows,
            " RETURNING id",
        );
        let found: Vec<Count> = on_each!(connection, inner => {
            let mut query = diesel::sql_query(sql).into_boxed();
            for &(id, medium, address, removed_at) in batch {
                query = query
                    .bind::<BigInt, _>(id)
                    .bind::<Text, _>(medium)
                    .bind::<Text, _>(address)
                    .bind::<Nullable<BigInt>, _>(removed_at);
            }
            query.load(inner)?
        });
        added.extend(found.into_iter().map(|row| row.id));
    }
    Ok(added)
}

/// Lets the journal go on after that id.
///
/// # Errors
/// When the database does not answer.
pub fn journal_goes_on_after(connection: &mut Conn, id: i64) -> Result<(), DbError> {
    // Digits only, so that it may stand in the text.
    let sql = match connection {
        Conn::Postgres(_) if id < 1 => return Ok(()),
        Conn::Postgres(_) => {
            format!("SELECT setval(pg_get_serial_sequence('association_journal', 'id'), {id})")
        }
        Conn::Sqlite(_) => format!(
            "DELETE FROM sqlite_sequence WHERE name = 'association_journal'; \
             INSERT INTO sqlite_sequence (name, seq) VALUES ('association_journal', {id})"
        ),
    };
    Ok(connection.batch_execute(&sql)?)
}

/// Every table that holds something of a running server, those first that refer
/// to others.
const TABLES: [&str; 12] = [
    "accepted_terms",
    "access_tokens",
    "accounts",
    "association_journal",
    "associations",
    "ephemeral_keys",
    "invites",
    "lookup_peppers",
    "outbox",
    "replication_peers",
    "send_limits",
    "validation_sessions",
];

/// Whether nothing was ever done with the database: a pepper alone is what a
/// server's first start leaves behind.
///
/// # Errors
/// When the database does not answer.
pub fn is_empty(connection: &mut Conn) -> Result<bool, DbError> {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        n: i64,
    }
    let filled = TABLES.iter().filter(|table| **table != "lookup_peppers");
    let parts: Vec<String> = filled
        .map(|table| format!("(SELECT COUNT(*) FROM (SELECT 1 FROM {table} LIMIT 1) AS {table})"))
        .collect();
    let sql = format!("SELECT {} AS n", parts.join(" + "));
    let count: Count =
        on_each!(connection, inner => diesel::sql_query(sql).get_result::<Count>(inner)?);
    Ok(count.n == 0)
}

/// Removes everything, and prepares for much to be written.
///
/// # Errors
/// When the database does not answer.
pub fn begin(connection: &mut Conn) -> Result<(), DbError> {
    let sql = match connection {
        Conn::Postgres(_) => format!(
            "SET LOCAL statement_timeout = 0; \
             SET LOCAL idle_in_transaction_session_timeout = 0; \
             TRUNCATE {} RESTART IDENTITY",
            TABLES.join(", ")
        ),
        // The indexes are filled in no order: most of them in memory (KiB).
        Conn::Sqlite(_) => {
            let emptied = TABLES.map(|table| format!("DELETE FROM {table}; "));
            format!(
                "PRAGMA cache_size = -131072; {}DELETE FROM sqlite_sequence",
                emptied.concat()
            )
        }
    };
    Ok(connection.batch_execute(&sql)?)
}
