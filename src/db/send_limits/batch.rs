//! Reads, locks and writes several counters at once: on PostgreSQL each takes one round
//! trip, however many there are.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text};

use super::super::on_backend::{OnBackend as _, Prepared};
use super::super::schema::send_limits::dsl;
use super::super::{Conn, DbError};
use super::Counters;
use crate::domain::counter::Limit;

/// The counters of these limits that exist.
pub(super) fn read(connection: &mut Conn, limits: &[&Limit]) -> Result<Counters, DbError> {
    match connection {
        Conn::Postgres(postgres) => {
            let rows: Vec<(String, i64)> = dsl::send_limits
                .filter(dsl::counted.eq_any(keys(limits)))
                .select((dsl::counted, dsl::paid_until))
                .load(postgres)?;
            Ok(rows.into_iter().collect())
        }
        Conn::Sqlite(sqlite) => {
            let mut counters = Counters::new();
            for limit in limits {
                let paid_until: Option<i64> = dsl::send_limits
                    .find(&limit.counted)
                    .select(dsl::paid_until)
                    .first(sqlite)
                    .optional()?;
                counters.extend(paid_until.map(|time| (limit.counted.clone(), time)));
            }
            Ok(counters)
        }
    }
}

/// Locks the counters of these limits, which are sorted, until the transaction ends, and
/// returns them. Those that are missing are created. `seen` is what was read before: on
/// SQLite nobody else has changed it.
pub(super) fn lock(
    connection: &mut Conn,
    limits: &[&Limit],
    seen: Counters,
    now: i64,
) -> Result<Counters, DbError> {
    let Conn::Postgres(postgres) = connection else {
        return Ok(seen);
    };
    let starts: Vec<i64> = limits.iter().map(|limit| limit.start(now)).collect();
    // On a conflict the update, although it changes nothing, takes the row lock that
    // `DO NOTHING` would not take, and returns what others have committed meanwhile.
    let query = diesel::sql_query(
        "INSERT INTO send_limits (counted, paid_until) SELECT * FROM unnest($1, $2) \
         ON CONFLICT (counted) DO UPDATE SET counted = excluded.counted \
         RETURNING counted, paid_until",
    );
    let query = query
        .bind::<Array<Text>, _>(keys(limits))
        .bind::<Array<BigInt>, _>(starts);
    let rows: Vec<Row> = Prepared(query).load(postgres)?;
    Ok(rows
        .into_iter()
        .map(|row| (row.counted, row.paid_until))
        .collect())
}

/// Sets counters, which are locked.
pub(super) fn write(connection: &mut Conn, counters: &[(&str, i64)]) -> Result<(), DbError> {
    if counters.is_empty() {
        return Ok(());
    }
    let Conn::Postgres(postgres) = connection else {
        for (counted, paid_until) in counters {
            diesel::insert_into(dsl::send_limits)
                .values((dsl::counted.eq(counted), dsl::paid_until.eq(paid_until)))
                .on_conflict(dsl::counted)
                .do_update()
                .set(dsl::paid_until.eq(paid_until))
                .execute_on(connection)?;
        }
        return Ok(());
    };
    let (keys, times): (Vec<&str>, Vec<i64>) = counters.iter().copied().unzip();
    let query = diesel::sql_query(
        "UPDATE send_limits SET paid_until = charged.paid_until \
         FROM unnest($1, $2) AS charged (counted, paid_until) \
         WHERE send_limits.counted = charged.counted \
         RETURNING send_limits.counted, send_limits.paid_until",
    );
    let query = query
        .bind::<Array<Text>, _>(keys)
        .bind::<Array<BigInt>, _>(times);
    let _rows: Vec<Row> = Prepared(query).load(postgres)?;
    Ok(())
}

fn keys<'a>(limits: &[&'a Limit]) -> Vec<&'a str> {
    limits.iter().map(|limit| limit.counted.as_str()).collect()
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    counted: String,
    #[diesel(sql_type = BigInt)]
    paid_until: i64,
}
