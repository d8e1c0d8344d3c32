//! Reads everything that an export needs, in pages.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::{Conn, DbError, with_backend};
use crate::domain::ids::ServerName;

/// A row of one of the queries; which columns it has is said there.
#[derive(QueryableByName)]
pub struct ExportedRow {
    #[diesel(sql_type = Nullable<Text>)]
    a: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    b: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    c: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    d: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    e: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    f: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    g: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    n: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    o: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    p: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    q: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    r: Option<i64>,
}

impl ExportedRow {
    /// The texts, in the order of the query.
    #[must_use]
    pub fn texts(&self) -> [Option<&str>; 7] {
        [
            &self.a, &self.b, &self.c, &self.d, &self.e, &self.f, &self.g,
        ]
        .map(|text| text.as_deref())
    }

    /// The numbers, in the order of the query.
    #[must_use]
    pub fn numbers(&self) -> [Option<i64>; 5] {
        [self.n, self.o, self.p, self.q, self.r]
    }
}

/// What to read.
#[derive(Debug, Clone, Copy)]
pub enum Exported<'a> {
    /// Changes of this server, and the time of the export, ms: medium, address, mxid,
    /// lookup hash, other hash, signed form, which is absent if a removal of a peer
    /// hides the association, origin, which is absent if the association of another
    /// server counts; id, when it was removed, ts, `not_before`, `not_after`. Without
    /// mxid and time of removal it is not of this server.
    OwnChanges(&'a ServerName, i64),
    /// Associations of other servers that count, and the time of the export, ms:
    /// medium, address, mxid, lookup hash, other hash, signed form, origin; row id, ts,
    /// `not_before`, `not_after`, the number that the other server gave it, or 0.
    Replicated(&'a ServerName, i64),
    /// Invites: token, medium, address, room, sender; when it was received and
    /// delivered, ms.
    Invites,
    /// Ephemeral keys: key; when it was created, ms.
    EphemeralKeys,
    /// Accounts: user, the version of the terms that was accepted as a whole; when it
    /// was created, ms.
    Accounts,
    /// Accepted terms: user, URL.
    AcceptedTerms,
    /// Peers: name; the id of the last change that was sent, and when, ms.
    Peers,
    /// The hashes of these access tokens that are valid: hash, user.
    AccessTokens(&'a [String]),
}

/// Rows per page.
const PAGE: i64 = 2000;

/// The prefix of an accepted term that stands for the terms as a whole.
pub const WHOLE_TERMS: &str = "master_version ";

/// The text columns, the number columns, their table with conditions, and the order.
type SourceQuery = (
    &'static [&'static str],
    &'static [&'static str],
    String,
    &'static str,
);

/// The hash with the current pepper, of the columns of both slots (`hash_columns`).
macro_rules! with_current_pepper {
    ($first:literal, $second:literal) => {
        concat!(
            "CASE WHEN (SELECT slot FROM lookup_peppers WHERE is_ready ORDER BY id DESC LIMIT 1) = 1 \
             THEN ",
            $second,
            " ELSE ",
            $first,
            " END"
        )
    };
}

impl Exported<'_> {
    fn query(self, is_postgres: bool) -> SourceQuery {
        match self {
            Self::OwnChanges(origin, now) => (
                &[
                    "j.medium",
                    "j.address",
                    "a.mxid",
                    with_current_pepper!("a.lookup_hash", "a.second_hash"),
                    with_current_pepper!("a.other_hash", "a.second_other_hash"),
                    "CASE WHEN a.is_removed THEN NULL ELSE a.signed END",
                    "CASE WHEN a.counts THEN a.origin END",
                ],
                &[
                    "j.id",
                    "j.removed_at",
                    "a.ts",
                    "a.not_before",
                    "a.not_after",
                ],
                // A server name has no quotation mark.
                format!(
                    "association_journal AS j LEFT JOIN (SELECT s.*, {REMOVED} AS is_removed, \
                     {} AS counts FROM associations AS s) AS a ON a.address = j.address \
                     AND a.medium = j.medium AND a.origin = '{origin}'",
                    counts(now, is_postgres)
                ),
                "j.id",
            ),
            Self::Replicated(origin, now) => (
                &[
                    "s.medium",
                    "s.address",
                    "s.mxid",
                    with_current_pepper!("s.lookup_hash", "s.second_hash"),
                    with_current_pepper!("s.other_hash", "s.second_other_hash"),
                    "s.signed",
                    "s.origin",
                ],
                &["s.id", "s.ts", "s.not_before", "s.not_after", "s.number"],
                format!(
                    "associations AS s WHERE s.origin <> '{origin}' AND NOT {REMOVED} AND {}",
                    counts(now, is_postgres)
                ),
                "s.id",
            ),
            Self::Invites => (
                &["token", "medium", "address", "room_id", "sender"],
                &["created_at", "delivered_at"],
                "invites".to_owned(),
                "id",
            ),
            Self::EphemeralKeys => (
                &["public_key"],
                &["created_at"],
                "ephemeral_keys".to_owned(),
                "public_key",
            ),
            Self::Accounts => (
                &[
                    "user_id",
                    "(SELECT t.url FROM accepted_terms AS t WHERE t.user_id = accounts.user_id \
                     AND t.url LIKE 'master_version %' ORDER BY t.accepted_at DESC LIMIT 1)",
                ],
                &["created_at"],
                "accounts".to_owned(),
                "user_id",
            ),
            Self::AcceptedTerms => (
                &["user_id", "url"],
                &[],
                "accepted_terms WHERE url NOT LIKE 'master_version %'".to_owned(),
                "user_id, url",
            ),
            Self::Peers => (
                &["name"],
                &["sent_id", "sent_at"],
                "replication_peers".to_owned(),
                "name",
            ),
            Self::AccessTokens(hashes) => (
                &["token_hash", "user_id"],
                &[],
                format!("access_tokens WHERE token_hash IN ({})", sql_list(hashes)),
                "token_hash",
            ),
        }
    }
}

/// Whether a removal hides the association `s`.
const REMOVED: &str = "EXISTS (SELECT 1 FROM association_removals AS r \
    WHERE r.address = s.address AND r.medium = s.medium AND r.ts >= s.ts)";

/// The condition that the association `s` is the one of its 3PID that counts, by the
/// rule of `domain::merge`, unless it is removed. What has expired counts no more. A
/// removal that hides a newer one hides `s` as well.
fn counts(now: i64, is_postgres: bool) -> String {
    // As Rust compares texts, which SQLite does anyway.
    let bytes = if is_postgres { "COLLATE \"C\"" } else { "" };
    format!(
        "NOT EXISTS (SELECT 1 FROM associations AS o WHERE o.address = s.address \
         AND o.medium = s.medium AND o.origin <> s.origin AND o.not_after > {now} \
         AND (o.ts > s.ts OR (o.ts = s.ts AND (o.mxid {bytes} > s.mxid {bytes} \
         OR (o.mxid = s.mxid AND o.origin {bytes} > s.origin {bytes})))))"
    )
}

/// Hashes, which have no quotation mark, as a list for SQL.
fn sql_list(hashes: &[String]) -> String {
    if hashes.is_empty() {
        return "NULL".to_owned();
    }
    let quoted: Vec<String> = hashes.iter().map(|hash| format!("'{hash}'")).collect();
    quoted.join(", ")
}

/// Passes all rows to `process`, in pages.
///
/// # Errors
/// When the database cannot be read, and the errors of `process`.
pub fn for_each_page<E: From<DbError>>(
    connection: &mut Conn,
    exported: Exported<'_>,
    mut process: impl FnMut(&[ExportedRow]) -> Result<(), E>,
) -> Result<(), E> {
    let is_postgres = matches!(connection, Conn::Postgres(_));
    let (texts, numbers, table, order) = exported.query(is_postgres);
    let columns = |names: &'static [&'static str], columns: &'static [&'static str], sql_type| {
        let columns = columns.iter().chain(std::iter::repeat(&"NULL"));
        let columns = names.iter().zip(columns);
        columns.map(move |(name, column)| format!("CAST({column} AS {sql_type}) AS {name}"))
    };
    let columns: Vec<String> = columns(&["a", "b", "c", "d", "e", "f", "g"], texts, "TEXT")
        .chain(columns(&["n", "o", "p", "q", "r"], numbers, "BIGINT"))
        .collect();
    let mut offset = 0;
    loop {
        let sql = format!(
            "SELECT {} FROM {table} ORDER BY {order} LIMIT {PAGE} OFFSET {offset}",
            columns.join(", ")
        );
        let rows: Vec<ExportedRow> =
            with_backend!(connection, inner => diesel::sql_query(sql).load(inner))
                .map_err(DbError::Query)?;
        if rows.is_empty() {
            return Ok(());
        }
        process(&rows)?;
        offset += PAGE;
    }
}
