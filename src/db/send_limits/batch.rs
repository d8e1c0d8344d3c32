//! Reads, locks and writes several counters at once: on PostgreSQL each takes one round
//! trip, however many there are.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text};

use super::super::on_backend::{OnBackend as _, Prepared};
use super::super::schema::send_limits::dsl;
use super::super::{Conn, DbError};
use super::Counters;
use crate::domain::counter::Limit;
use crate::domain::rate::shared_present;

/// The time of the database, ms. Not that at which the transaction began: it may have
/// waited for a lock since then.
macro_rules! database_now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}

/// The counters of these limits that exist, and the present.
pub(super) fn read(
    connection: &mut Conn,
    limits: &[&Limit],
    own_now: i64,
) -> Result<(Counters, i64), DbError> {
    match connection {
        Conn::Postgres(postgres) => {
            let query = diesel::sql_query(concat!(
                "SELECT clock.now_ms, counted, paid_until FROM (SELECT ",
                database_now!(),
                " AS now_ms) AS clock LEFT JOIN send_limits ON counted = ANY($1)",
            ));
            let query = query.bind::<Array<Text>, _>(keys(limits));
            let rows: Vec<Seen> = Prepared(query).load(postgres)?;
            let now = rows.iter().map(|row| row.now_ms).max();
            let counters = rows.into_iter();
            let counters = counters.filter_map(|row| Some((row.counted?, row.paid_until?)));
            let now = now.map_or(own_now, |database| shared_present(own_now, database));
            Ok((counters.collect(), now))
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
            Ok((counters, own_now))
        }
    }
}

/// Locks the counters of these limits, which are sorted, until the transaction ends, and
/// returns them and the present. Those that are missing are created. `seen` is what was
/// read before: on SQLite nobody else has changed it.
pub(super) fn lock(
    connection: &mut Conn,
    limits: &[&Limit],
    seen: Counters,
    own_now: i64,
) -> Result<(Counters, i64), DbError> {
    match connection {
        Conn::Postgres(postgres) => lock_rows(postgres, keys(limits), own_now),
        Conn::Sqlite(_) => Ok((seen, own_now)),
    }
}

/// The same for one counter.
pub(super) fn lock_one(
    connection: &mut Conn,
    counted: &str,
    own_now: i64,
) -> Result<(i64, i64), DbError> {
    let Conn::Postgres(postgres) = connection else {
        let paid_until: Option<i64> = dsl::send_limits
            .find(counted)
            .select(dsl::paid_until)
            .first_on(connection)
            .optional()?;
        return Ok((paid_until.unwrap_or_default(), own_now));
    };
    let (counters, now) = lock_rows(postgres, vec![counted], own_now)?;
    Ok((counters.get(counted).copied().unwrap_or_default(), now))
}

fn lock_rows(
    postgres: &mut PgConnection,
    keys: Vec<&str>,
    own_now: i64,
) -> Result<(Counters, i64), DbError> {
    // An unused counter is one that was used up to a time that has passed, as 0 has.
    // On a conflict the update, although it changes nothing, takes the row lock that
    // `DO NOTHING` would not take, and returns what others have committed meanwhile.
    let query = diesel::sql_query(concat!(
        "INSERT INTO send_limits (counted, paid_until) SELECT key, 0 FROM unnest($1) AS key \
         ON CONFLICT (counted) DO UPDATE SET counted = excluded.counted \
         RETURNING counted, paid_until, ",
        database_now!(),
        " AS now_ms",
    ));
    let query = query.bind::<Array<Text>, _>(keys);
    let rows: Vec<Locked> = Prepared(query).load(postgres)?;
    // When the last of them was locked: nobody has charged any of them later.
    let now = rows.iter().map(|row| row.now_ms).max();
    let now = now.map_or(own_now, |database| shared_present(own_now, database));
    let counters = rows.into_iter().map(|row| (row.counted, row.paid_until));
    Ok((counters.collect(), now))
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
         WHERE send_limits.counted = charged.counted",
    );
    let query = query
        .bind::<Array<Text>, _>(keys)
        .bind::<Array<BigInt>, _>(times);
    Prepared(query).execute(postgres)?;
    Ok(())
}

fn keys<'a>(limits: &[&'a Limit]) -> Vec<&'a str> {
    limits.iter().map(|limit| limit.counted.as_str()).collect()
}

#[derive(QueryableByName)]
struct Seen {
    #[diesel(sql_type = BigInt)]
    now_ms: i64,
    #[diesel(sql_type = Nullable<Text>)]
    counted: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    paid_until: Option<i64>,
}

#[derive(QueryableByName)]
struct Locked {
    #[diesel(sql_type = Text)]
    counted: String,
    #[diesel(sql_type = BigInt)]
    paid_until: i64,
    #[diesel(sql_type = BigInt)]
    now_ms: i64,
}
