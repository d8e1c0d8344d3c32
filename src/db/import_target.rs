//! Bulk inserts into a new database, many rows per statement.

use std::collections::HashSet;
use std::fmt::Write as _;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

use super::on_backend::Prepared;
use super::schema::imports;
use super::{Conn, DbError, with_backend};

/// One value of a row.
pub enum SqlValue {
    /// A text or NULL.
    Text(Option<String>),
    /// A number or NULL.
    Number(Option<i64>),
    /// Whether something is so, or NULL.
    Flag(Option<bool>),
}

impl From<&str> for SqlValue {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<String> for SqlValue {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<Option<String>> for SqlValue {
    fn from(text: Option<String>) -> Self {
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

/// A table to fill, with the columns that each row must have in this order.
#[derive(Debug, Clone, Copy)]
pub enum TargetTable {
    /// medium, address, origin, mxid, ts, `not_before`, `not_after`,
    /// `lookup_hash`, signed, `other_form`, `other_hash`,
    /// number
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
                "medium, address, origin, mxid, ts, not_before, not_after, lookup_hash, signed, \
                 other_form, other_hash, number",
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

/// Rows per statement. SQLite allows 32,766 variables.
pub(super) const BATCH: usize = 500;

/// A query with the values of all rows bound in order. A macro, because the
/// type of a boxed query depends on the backend.
macro_rules! bind_rows {
    ($sql:expr, $rows:expr) => {{
        let mut query = diesel::sql_query($sql).into_boxed();
        for value in $rows.into_iter().flatten() {
            query = match value {
                SqlValue::Text(text) => query.bind::<Nullable<Text>, _>(text),
                SqlValue::Number(number) => query.bind::<Nullable<BigInt>, _>(number),
                SqlValue::Flag(flag) => query.bind::<Nullable<Bool>, _>(flag),
            };
        }
        query
    }};
}
pub(super) use bind_rows;

/// Inserts rows, except those that conflict with a unique key of the table.
/// Returns how many were inserted.
pub fn insert(
    connection: &mut Conn,
    table: TargetTable,
    rows: Vec<Vec<SqlValue>>,
) -> Result<u64, DbError> {
    insert_rows(connection, table.columns(), rows)
}

/// The same for any table, named with its columns.
pub(super) fn insert_rows(
    connection: &mut Conn,
    table: (&str, &str),
    mut rows: Vec<Vec<SqlValue>>,
) -> Result<u64, DbError> {
    let mut inserted = 0;
    while !rows.is_empty() {
        let batch: Vec<Vec<SqlValue>> = rows.drain(..rows.len().min(BATCH)).collect();
        let is_full = batch.len() == BATCH;
        let sql = insert_statement(connection, table, &batch);
        inserted += with_backend!(connection, inner => {
            let query = bind_rows!(sql, batch);
            // All full batches of a table have the same text.
            if is_full { Prepared(query).execute(inner)? } else { query.execute(inner)? }
        });
    }
    Ok(inserted as u64)
}

fn insert_statement(
    connection: &Conn,
    (table, columns): (&str, &str),
    rows: &[Vec<SqlValue>],
) -> String {
    // To SQLite, `$1` is a name that it searches for among all the variables
    // before it, which is slow.
    let is_numbered = matches!(connection, Conn::Postgres(_));
    let mut sql = format!("INSERT INTO {table} ({columns}) VALUES ");
    let mut number = 0;
    for (index, row) in rows.iter().enumerate() {
        sql.push_str(if index > 0 { ", (" } else { "(" });
        for (column, _) in row.iter().enumerate() {
            sql.push_str(if column > 0 { ", " } else { "" });
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
    sql
}

/// A change for the journal: its id, medium, address, and when the association
/// was removed, ms.
pub type Change<'a> = (i64, &'a str, &'a str, Option<i64>);

/// Inserts changes into the journal, except those of 3PIDs that it already has.
/// Returns the ids of those that were inserted.
pub fn insert_changes(
    connection: &mut Conn,
    changes: &[Change<'_>],
) -> Result<HashSet<i64>, DbError> {
    #[derive(QueryableByName)]
    struct Inserted {
        #[diesel(sql_type = BigInt)]
        id: i64,
    }
    let mut ids = HashSet::new();
    for batch in changes.chunks(BATCH) {
        let rows: Vec<Vec<SqlValue>> = batch
            .iter()
            .map(|&(id, medium, address, removed_at)| {
                vec![id.into(), medium.into(), address.into(), removed_at.into()]
            })
            .collect();
        let columns = ("association_journal", "id, medium, address, removed_at");
        let is_full = batch.len() == BATCH;
        let sql = insert_statement(connection, columns, &rows) + " RETURNING id";
        let inserted: Vec<Inserted> = with_backend!(connection, inner => {
            let query = bind_rows!(sql, rows);
            if is_full { Prepared(query).load(inner)? } else { query.load(inner)? }
        });
        ids.extend(inserted.into_iter().map(|row| row.id));
    }
    Ok(ids)
}

/// Records when the data was imported, ms.
pub fn record_import(connection: &mut Conn, now: i64) -> Result<(), DbError> {
    with_backend!(connection, inner => diesel::insert_into(imports::table)
        .values(imports::at.eq(now))
        .on_conflict_do_nothing()
        .execute(inner))?;
    Ok(())
}

/// Makes the id of the next change greater than `id`.
pub fn set_last_change_id(connection: &mut Conn, id: i64) -> Result<(), DbError> {
    set_last_id(connection, "association_journal", id)
}

/// Makes the id of the next row of a table greater than `id`.
pub(super) fn set_last_id(connection: &mut Conn, table: &str, id: i64) -> Result<(), DbError> {
    // A batch of statements cannot bind variables. The name is one of ours, and a number
    // needs no escaping.
    let sql = match connection {
        Conn::Postgres(_) if id < 1 => return Ok(()),
        Conn::Postgres(_) => {
            format!("SELECT setval(pg_get_serial_sequence('{table}', 'id'), {id})")
        }
        Conn::Sqlite(_) => format!(
            "DELETE FROM sqlite_sequence WHERE name = '{table}'; \
             INSERT INTO sqlite_sequence (name, seq) VALUES ('{table}', {id})"
        ),
    };
    Ok(connection.batch_execute(&sql)?)
}

/// All tables with data of a server; a table comes before those that its foreign
/// keys refer to.
pub(super) const TABLES: [&str; 21] = [
    "accepted_terms",
    "access_tokens",
    "accounts",
    "association_journal",
    "association_removals",
    "associations",
    "blocked_accounts",
    "database_keys",
    "ephemeral_keys",
    "erasures",
    "ignored_statements",
    "imports",
    "invites",
    "lookup_peppers",
    "outbox",
    "pending_rewrites",
    "person_audit",
    "replication_peers",
    "send_limits",
    "server_identity",
    "validation_sessions",
];

/// What a server inserts when it starts for the first time.
const INSERTED_AT_START: [&str; 3] = ["database_keys", "lookup_peppers", "server_identity"];

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// Whether the database has no data yet, except for what a server inserts at its start.
pub fn is_empty(connection: &mut Conn) -> Result<bool, DbError> {
    let counts: Vec<String> = TABLES
        .iter()
        .filter(|table| !INSERTED_AT_START.contains(table))
        .map(|table| format!("(SELECT COUNT(*) FROM (SELECT 1 FROM {table} LIMIT 1) AS {table})"))
        .collect();
    let sql = format!("SELECT {} AS n", counts.join(" + "));
    let count: Count =
        with_backend!(connection, inner => diesel::sql_query(sql).get_result::<Count>(inner)?);
    Ok(count.n == 0)
}

/// The number of rows of all tables.
pub(super) fn count_rows(connection: &mut Conn) -> Result<u64, DbError> {
    let counts = TABLES.map(|table| format!("(SELECT COUNT(*) FROM {table})"));
    let sql = format!("SELECT {} AS n", counts.join(" + "));
    let count: Count =
        with_backend!(connection, inner => diesel::sql_query(sql).get_result::<Count>(inner)?);
    Ok(u64::try_from(count.n).unwrap_or(0))
}

/// Deletes all data, and starts the ids of all tables at 1 again.
pub fn clear(connection: &mut Conn) -> Result<(), DbError> {
    let sql = match connection {
        Conn::Postgres(_) => format!("TRUNCATE {} RESTART IDENTITY", TABLES.join(", ")),
        Conn::Sqlite(_) => {
            let deletes = TABLES.map(|table| format!("DELETE FROM {table}; "));
            format!("{}DELETE FROM sqlite_sequence", deletes.concat())
        }
    };
    Ok(connection.batch_execute(&sql)?)
}

/// Sets the connection up for an import, which is one long transaction: on
/// PostgreSQL the statement and idle timeouts do not apply until it ends.
pub fn prepare_connection(connection: &mut Conn) -> Result<(), DbError> {
    Ok(connection.batch_execute(match connection {
        Conn::Postgres(_) => {
            "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
        }
        // KiB. Rows arrive in an order unrelated to that of the indexes, so most of
        // the index pages must be in memory.
        Conn::Sqlite(_) => "PRAGMA cache_size = -131072",
    })?)
}

/// Counts what was inserted, for the planner of PostgreSQL. Until autovacuum does so, which
/// can take minutes, it would read whole tables for lookups of many addresses.
pub fn gather_statistics(connection: &mut Conn) -> Result<(), DbError> {
    match connection {
        Conn::Postgres(postgres) => {
            Ok(postgres.batch_execute(&format!("ANALYZE {}", TABLES.join(", ")))?)
        }
        // It uses the indexes without.
        Conn::Sqlite(_) => Ok(()),
    }
}
