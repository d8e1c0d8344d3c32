//! Finds associations by lookup hashes.
//!
//! On SQLite the indexes have only the start of each hash: they are a quarter as large as those
//! of whole hashes. The queries are texts, because SQLite uses such an index only for the
//! expression of its migration, with numbers that are not bound. On PostgreSQL the indexes have
//! whole hashes: it has no statistics of the start of hashes in a column without any, and would
//! start parallel workers for them.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text};

use super::super::hash_columns::HashSlot;
use super::super::on_backend::Prepared;
use super::super::{Conn, DbError};
use super::find::{FEW_KEYS, Found, FoundRow, IS_VALID, find_many, newest};
use crate::domain::association::CLOCK_SKEW_MS;

/// So many characters of a hash are in SQLite's index: 36 bits, which few of a million share.
const START: usize = 6;

/// The user of each hash that is one of an association that is valid at `now`, of its
/// canonical address or its other form; the newest one if there are several (LKP-16). The
/// hashes are those of the pepper with that slot.
pub fn find_by_hashes(
    connection: &mut Conn,
    slot: HashSlot,
    hashes: &[&str],
    now: i64,
) -> Result<HashMap<String, String>, DbError> {
    let (canonical, other) = slot.columns();
    let mut found = Vec::new();
    match connection {
        Conn::Sqlite(sqlite) if hashes.len() > FEW_KEYS => {
            for column in [canonical, other] {
                if column == canonical || has_any(sqlite, column)? {
                    let is_asked = format!(
                        "substr(associations.{column}, 1, {START}) \
                         = substr(asked.value, 1, {START}) \
                         AND associations.{column} = asked.value"
                    );
                    found.extend(find_many(sqlite, &is_asked, hashes, now)?);
                }
            }
        }
        _ => found = find_few(connection, [canonical, other], hashes, now)?,
    }
    Ok(newest(found))
}

/// The valid associations with one of the hashes in one of the columns, by one statement: of
/// all hashes on PostgreSQL, of each on SQLite.
fn find_few(
    connection: &mut Conn,
    columns: [&str; 2],
    hashes: &[&str],
    now: i64,
) -> Result<Vec<Found>, DbError> {
    let selects = columns.map(|column| {
        // Numbered in their order, `$` means the same to both.
        let is_asked = match connection {
            Conn::Sqlite(_) => {
                format!("{column} = $1 AND substr({column}, 1, {START}) = substr($1, 1, {START})")
            }
            Conn::Postgres(_) => format!("{column} = ANY($1)"),
        };
        format!(
            "SELECT {column} AS key, ts, mxid, origin FROM associations \
             WHERE {is_asked} AND {IS_VALID}"
        )
    });
    let query = diesel::sql_query(selects.join(" UNION ALL "));
    let latest = now.saturating_add(CLOCK_SKEW_MS);
    let rows: Vec<FoundRow> = match connection {
        Conn::Postgres(postgres) => {
            let query = query
                .bind::<Array<Text>, _>(hashes)
                .bind::<BigInt, _>(latest)
                .bind::<BigInt, _>(now);
            Prepared(query).load(postgres)?
        }
        Conn::Sqlite(sqlite) => {
            let mut rows = Vec::new();
            for hash in hashes {
                let query = query
                    .clone()
                    .bind::<Text, _>(hash)
                    .bind::<BigInt, _>(latest)
                    .bind::<BigInt, _>(now);
                rows.extend(Prepared(query).load::<FoundRow>(sqlite)?);
            }
            rows
        }
    };
    Ok(rows.into_iter().map(FoundRow::into_found).collect())
}

/// Whether any association has a value in that column: few addresses have another form.
fn has_any(sqlite: &mut SqliteConnection, column: &str) -> Result<bool, DbError> {
    #[derive(QueryableByName)]
    struct Any {
        #[diesel(sql_type = BigInt)]
        any: i64,
    }
    let query =
        format!("SELECT EXISTS (SELECT 1 FROM associations WHERE {column} IS NOT NULL) AS any");
    let row: Any = Prepared(diesel::sql_query(query)).get_result(sqlite)?;
    Ok(row.any != 0)
}
